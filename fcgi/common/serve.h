/*
 * serve: from a request to its answer, whoever brings it.
 */
#ifndef PYGMY_FCGI_SERVE_H
#define PYGMY_FCGI_SERVE_H

#include "fcgi/common/exchange.h"

/*
 * Serves one request: finds its route, checks what the route's row asks for, calls its handler, counts and logs.
 * The bytes (response head and body) are valid until the exchange is used again. Empty only when there is no memory at all.
 * Blocks for as long as the handler does: about REQUEST_DEADLINE_MS at most.
 */
struct slice serve(struct exchange *exchange, const struct request_source *source);

#endif
