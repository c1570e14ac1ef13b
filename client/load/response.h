/*
 * response: takes an HTTP/1.1 answer apart as its bytes come in, in pieces of any size.
 *
 * Knows what the store's frontends send: a head of at most RESPONSE_HEAD_MAX bytes, and a body with Content-Length, in chunks, or
 * to the end of the connection. Of the body only the beginning is kept.
 */
#ifndef PYGMY_LOAD_RESPONSE_H
#define PYGMY_LOAD_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESPONSE_HEAD_MAX 4096
#define RESPONSE_KEPT_MAX 256

enum response_outcome { RESPONSE_MORE, RESPONSE_DONE, RESPONSE_MALFORMED };

enum response_part { RESPONSE_HEAD, RESPONSE_BODY, RESPONSE_CHUNK_SIZE, RESPONSE_CHUNK, RESPONSE_CHUNK_END, RESPONSE_TRAILER, RESPONSE_TO_END };

struct response {
	enum response_part part;
	int status;
	bool closes;                  /* the server closes the connection behind it */
	bool hit;                     /* Cache-Status says that a cache had it */
	uint64_t left;                /* of the body or chunk */
	size_t head_len, kept_len;
	char head[RESPONSE_HEAD_MAX];
	char kept[RESPONSE_KEPT_MAX]; /* the body's beginning */
};

/* Before each answer. */
void response_begin(struct response *response);

/* Takes what has come. Bytes behind the answer's end are malformed: nobody asked for them. */
enum response_outcome response_take(struct response *response, const char *bytes, size_t len);

/* The connection has ended: whether that completes the answer. */
bool response_is_ended_by_close(const struct response *response);

/* Whether an answer with 503 says that the store was overloaded and did nothing. */
bool response_is_overload(const struct response *response);

/* The order's id in the answer to a purchase; 0 without one. */
int64_t response_order_id(const struct response *response);

#endif
