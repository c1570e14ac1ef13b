/*
 * request_key: the name under which a request is executed at most once.
 *
 * The key is the client's own Idempotency-Key, or else the one that nginx made for the request: `<seconds>.<milliseconds>-<32 hex
 * digits>`, the same when nginx retries the request on another replica. Every write's answer names its key, so a client
 * whose request ended with an unknown outcome can ask again with it, whoever made it.
 *
 * Scoped key: `<route>/<account>/<key>`, for example `buy/0/8d2f...`. Routes that may carry the same update (PUT /item/N and
 * /item/propagate/N; buy and /update) share one route name.
 */
#ifndef PYGMY_DB_REQUEST_KEY_H
#define PYGMY_DB_REQUEST_KEY_H

#include <stdint.h>

#include "db/arena.h"

/* 1 to REQUEST_KEY_MAX_BYTES of [A-Za-z0-9._:-]. */
bool request_key_is_valid(struct slice key);

/* The scoped key, in the arena; ptr NULL without memory. account is 0 for everybody without one. */
struct slice request_key_scope(struct arena *arena, const char *route, int64_t account, struct slice key);

/*
 * Whether successes under this scoped key are kept for ever. Not so for keys in the form of nginx's, which nobody uses again
 * after the request's deadline, or soon after it: RESULT_WINDOW_ENTRIES suffice. (Purchases are kept in any case.)
 */
bool request_key_is_kept(struct slice scoped_key);

#endif
