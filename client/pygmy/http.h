/*
 * http: one request, one answer, by libcurl.
 *
 * No redirects, no cookies, no .netrc, http and https only, certificates verified as libcurl does by default, a proxy from the
 * environment never for this machine's own addresses. Answers have a maximum size. It says whether a failed request may have
 * reached the server; whether to ask again is decided in retry.c. libcurl's codes are translated here.
 */
#ifndef PYGMY_CLIENT_HTTP_H
#define PYGMY_CLIENT_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "client/pygmy/text.h"

#define HTTP_ANSWER_MAX_BYTES (8 * 1024 * 1024)   /* a page of 1000 items with every byte escaped has 4 MiB */
#define HTTP_REASON_MAX_BYTES 320
#define HTTP_CONNECT_TIMEOUT_MS 3000
#define HTTP_HEADER_VALUE_MAX_BYTES 128

/* All strings are the caller's and live until the request is done. NULL: none. */
struct http_request {
	const char *method;
	const char *path;             /* percent-encoded, with its query */
	const char *body;             /* JSON */
	size_t body_len;
	const char *token;
	const char *key;              /* Idempotency-Key */
	const char *if_match;
};

enum http_result {
	HTTP_ANSWERED,                /* status, headers and body are there */
	HTTP_NOT_SENT,                /* no byte of the request left: nothing was done */
	HTTP_LOST,                    /* sent, at least partly, and no full answer: it may have been done */
	HTTP_IMPOSSIBLE               /* asking again can't help (certificate, URL, memory); nothing was done */
};

struct http_answer {
	enum http_result result;
	char reason[HTTP_REASON_MAX_BYTES];                  /* of a failure, for people, safe for a terminal */
	long status;
	struct text body;
	int64_t retry_after_ms;                              /* 0: not said */
	char key[HTTP_HEADER_VALUE_MAX_BYTES + 1];           /* X-Pygmy-Request-Key */
	char revision[HTTP_HEADER_VALUE_MAX_BYTES + 1];      /* X-Pygmy-Revision */
	char etag[HTTP_HEADER_VALUE_MAX_BYTES + 1];          /* with its quotes */
};

/* A kept-alive connection (or several); one thread at a time. */
struct http;

/* Once per process, before threads start. Errors: false. */
bool http_init(void);
/*
 * For https, whose word is taken besides that of the machine's own authorities: a PEM file, "" or NULL for nobody's. Kept by reference, for
 * all handles. Before threads start.
 */
void http_trust(const char *ca_file);

/* NULL without memory. */
struct http *http_create(void);
void http_destroy(struct http *http);

void http_answer_init(struct http_answer *answer);
void http_answer_close(struct http_answer *answer);

/* Sends to base_url + request->path. Blocks for at most timeout_ms, or until wait_is_interrupted (a second at most). */
void http_send(struct http *http, const char *base_url, const struct http_request *request, int64_t timeout_ms,
	       struct http_answer *answer);

#endif
