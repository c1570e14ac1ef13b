/* server: what a thread of a worker does: it takes requests, serves them by libfcgi, and leaves its seat before what may have to wait. */
#ifndef PYGMY_FCGI_SERVER_H
#define PYGMY_FCGI_SERVER_H

#include "fcgi/common/connections.h"
#include "fcgi/common/worker.h"

/* Until connections_stop was called or the worker stops. False without memory. */
bool server_run(struct worker *worker, struct connections *connections);

#endif
