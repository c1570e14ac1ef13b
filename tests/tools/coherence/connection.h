/*
 * connection: HTTP/1.1 to a frontend with several requests under way at once (pipelined), for as little processor time as possible: the
 * checker shares its machine with what it checks. Answers come in the order of the requests. One thread.
 */
#ifndef PYGMY_TESTS_COHERENCE_CONNECTION_H
#define PYGMY_TESTS_COHERENCE_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONNECTION_BYTES ((size_t)256 * 1024)   /* the largest answer */

struct connection {
	int fd;                       /* -1: down */
	size_t start, len;            /* of what has come and is not used yet */
	char *bytes;                  /* CONNECTION_BYTES; owned */
};

/* Texts are not NUL-terminated, and valid until the next answer is taken. */
struct text {
	const char *ptr;
	size_t len;
};

struct seen_answer {
	int status;
	bool hit, may_be_stale, closes;
	struct text cache_status, etag, revision, body;
};

/* url like http://127.0.0.1:8010; false when nobody answers. Reads wait at most timeout_ms. */
bool connection_open(struct connection *connection, const char *url, int timeout_ms);
void connection_close(struct connection *connection);
void connection_free(struct connection *connection);
bool connection_send(struct connection *connection, const char *bytes, size_t len);
/* Waits for the next answer. False: there will be none; the connection is closed. */
bool connection_take(struct connection *connection, struct seen_answer *answer);

#endif
