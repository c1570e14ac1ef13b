/*
 * request: what nginx passed, taken apart and checked for form; what it means is the route's business.
 *
 * Slices point into the FastCGI parameters and into the arena: valid until the request ends.
 */
#ifndef PYGMY_FCGI_REQUEST_H
#define PYGMY_FCGI_REQUEST_H

#include <stdint.h>

#include "db/arena.h"
#include "db/query_string.h"
#include "fcgi/common/refusal.h"

enum method { METHOD_GET = 1, METHOD_POST = 2, METHOD_PUT = 4, METHOD_DELETE = 8, METHOD_HEAD = 16, METHOD_OTHER = 32 };

/* Where a request comes from: FastCGI, or a test. */
struct request_source {
	char *const *params;          /* NAME=value, NULL at the end; outlives the request */
	/* Reads up to size bytes of the body; fewer means its end (or that nginx is gone). */
	size_t (*read_body)(void *context, char *bytes, size_t size);
	/* Called before what may have to wait. NULL: nobody wants to know. */
	void (*may_wait)(void *context);
	void *context;
};

struct request {
	enum method method;           /* HEAD is GET with head_only */
	bool head_only;
	struct slice path;            /* decoded and normalised by nginx */
	struct slice query_text;
	struct slice content_type;
	struct slice content_length;
	struct slice authorization;
	struct slice idempotency_key;
	struct slice if_match;
	struct slice if_none_match;
	struct slice min_revision;    /* the client's */
	struct slice consistency;     /* the client's */
	struct slice allow_stale;     /* the client's, or a frontend's */
	/* What nginx itself adds; clients can't: their headers arrive as HTTP_*. */
	struct slice request_id;
	struct slice trace_id;        /* by which the request is followed through the logs; "" when nginx sent none */
	struct slice nginx_key;
	struct slice nginx_slot;
	struct slice nginx_min_revision;
	struct slice nginx_consistency;
	struct slice nginx_frontend;  /* "1" when a frontend of the cluster asks, and proved that it is one */
	struct slice nginx_arrived;   /* when nginx had the whole request, in seconds since the epoch with three decimals; "": not said */
	struct slice nginx_overloaded;        /* the status by which nginx wants to be told of an overload; "": 503 */
	struct slice nginx_private;   /* "1" from nginx's own socket server only */
	const char *repeated_header;  /* a header of the above that came twice, or NULL */

	struct query_string query;    /* after request_parse_query */
	struct slice body;            /* after request_read_body */
	struct slice path_id;         /* the text of {id} or {name}, set by the route */
};

/* Collects the parameters. Never fails: what is wrong with them is found by the checks below. */
void request_collect(struct request *request, const struct request_source *source);

/* Headers that came twice are refused (proxies and workers could choose different ones). Errors: INVALID_HEADER. */
bool request_check_headers(const struct request *request, struct refusal *refusal);

/* Fills request->query. Errors: QUERY_TOO_LONG, BAD_ENCODING, INVALID_PARAMETER. */
bool request_parse_query(struct request *request, struct refusal *refusal);

/* Whether the request has a body, by its Content-Length. nginx buffers bodies, so there always is one for a body. */
bool request_has_body(const struct request *request);

/*
 * Reads a JSON body of at most max_bytes into the arena. Errors: BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, INVALID_HEADER
 * (Content-Length is no number, or not the body's length), OUT_OF_MEMORY.
 */
bool request_read_body(struct request *request, const struct request_source *source, size_t max_bytes, struct arena *arena,
	struct refusal *refusal);

/* How long the request has waited at now_ms (wall clock), 0 when nginx does not say, or cannot mean it (ADMISSION_WAIT_MAX_MS). */
int64_t request_waited_ms(const struct request *request, int64_t now_ms);

/* The least revision at which the request may be answered: the larger of the client's and nginx's. Errors: INVALID_HEADER. */
bool request_min_revision(const struct request *request, uint64_t *revision, struct refusal *refusal);

/* Whether the newest state is asked for. Errors: INVALID_HEADER. */
bool request_is_strict(const struct request *request, bool *strict, struct refusal *refusal);

/* Whether rather an old answer is asked for than none. Errors: INVALID_HEADER. */
bool request_allows_stale(const struct request *request, bool *allowed, struct refusal *refusal);

/* Decimal digits without sign or leading zeros, up to max. */
bool decimal_parse(struct slice text, uint64_t max, uint64_t *number);

#endif
