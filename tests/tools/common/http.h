/*
 * http: as much of HTTP/1.1 as the proxies of the tests need: heads and bodies of one side of a connection, as they come in. Blocking, but
 * never behind a side that has gone.
 */
#ifndef PYGMY_TESTS_HTTP_H
#define PYGMY_TESTS_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define PROXY_HEAD_MAX ((size_t)64 * 1024)
#define PROXY_BODY_MAX ((size_t)16 * 1024 * 1024)

/* What was read and not used yet. */
struct proxy_side {
	int fd;                       /* -1: not connected */
	int other_fd;                 /* when that one's other end goes away, waiting ends */
	char *bytes;
	size_t start, len, size;
};

/* A head and what it says; owns both texts. */
struct proxy_message {
	char *head;                   /* NUL-terminated, with the empty line */
	char *body;
	size_t body_len;
	bool is_chunked;
};

void side_close(struct proxy_side *side);
/* Waits for bytes, limit_ms at most (-1: for ever). 1: some, 0: time is over, -1: the end, of this side or the other. */
int side_fill(struct proxy_side *side, int limit_ms);
bool side_read_head(struct proxy_side *side, struct proxy_message *message);
/* The whole body, of any framing; without one that says how long it is, none. */
bool side_read_body(struct proxy_side *side, struct proxy_message *message);
/* The next piece of a chunked body: 1 with *bytes (valid until the next call) and *len, 0: time is over, -1: its end. */
int side_read_chunk(struct proxy_side *side, int limit_ms, char **bytes, size_t *len);
bool side_write(int fd, const void *bytes, size_t len);
bool side_printf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
void message_free(struct proxy_message *message);

#endif
