/*
 * request_key: the name under which a request is executed at most once.
 *
 * Scoped key: `<route>/<account>/<origin>:<key>`, for example `buy/0/c:8d2f...` where origin is
 *     c  the client's own Idempotency-Key (recorded successes are kept for ever)
 *     n  made by nginx for this request (the same when nginx retries it on another replica; never seen again later)
 *     s  made by the store itself (first catalogue)
 * Routes that may carry the same update (PUT /item/N and /item/propagate/N; buy and /update) share one route name.
 */
#ifndef PYGMY_DB_REQUEST_KEY_H
#define PYGMY_DB_REQUEST_KEY_H

#include <stdint.h>

#include "db/arena.h"

enum request_key_origin { KEY_FROM_CLIENT = 'c', KEY_FROM_NGINX = 'n', KEY_FROM_STORE = 's' };

/* 1 to REQUEST_KEY_MAX_BYTES of [A-Za-z0-9._:-]. */
bool request_key_is_valid(struct slice key);

/* The scoped key, in the arena; ptr NULL without memory. account is 0 for everybody without one. */
struct slice request_key_scope(struct arena *arena, const char *route, int64_t account, enum request_key_origin origin, struct slice key);

/* Whether results under this scoped key are kept for ever (origin c). */
bool request_key_is_kept(struct slice scoped_key);

#endif
