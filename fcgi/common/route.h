/*
 * route: the table that says what exists: method, path, parameters, body, credentials, and who handles it.
 *
 * A pattern is a path, whose last segment may be `{id}` (a number) or `{name}`: any text but an empty one; what it must be is the
 * handler's business. A path that is a pattern by itself belongs to that one alone (`/item/import` is no item). Rows of one path may
 * differ in everything but the path.
 */
#ifndef PYGMY_FCGI_ROUTE_H
#define PYGMY_FCGI_ROUTE_H

#include "fcgi/common/auth.h"
#include "fcgi/common/request.h"

struct exchange;
typedef void (*route_handler)(struct exchange *exchange);

struct route {
	enum method method;               /* GET serves HEAD too, unless: */
	bool without_head;                /* this GET changes something */
	const char *pattern;
	route_handler handler;
	const char *const *parameters;    /* allowed in the query, NULL at the end; NULL: none */
	enum auth_role role;
	size_t body_max_bytes;            /* 0: takes no body */
	bool body_required;
	bool is_private;                  /* exists only for nginx's own socket server, and for peers */
	bool needs_replica;               /* answered with 503 while there is none */
	bool is_quick;                    /* without a body, and in a store on one machine, it waits for nobody */
};

enum route_found { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };

#define ALLOW_TEXT_BYTES 48

/*
 * Finds the row for method (METHOD_HEAD for a HEAD) and path. With ROUTE_FOUND, *route and *id (what stands in place of the last segment, else empty) are set; with
 * ROUTE_NO_METHOD, allow is the value of the Allow header.
 */
enum route_found route_find(const struct route *const *routes, size_t route_count, enum method method, struct slice path, bool is_private,
	const struct route **route, struct slice *id, char allow[ALLOW_TEXT_BYTES]);

#endif
