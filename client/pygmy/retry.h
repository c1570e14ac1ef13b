/*
 * retry: asks until there is a definite answer, within a deadline, always with the same request key.
 *
 * Asked again: what could not be sent, what was lost, and 429 (this client asks too often), 502, 503, 504, not before Retry-After, unless the answer says that nothing was done and that
 * waiting won't help (a full disk). Equal servers are asked in turn. The key makes that
 * harmless: the store executes it once and gives everybody the recorded answer. What is left at the end is one of:
 * answered; surely not done; perhaps done.
 */
#ifndef PYGMY_CLIENT_RETRY_H
#define PYGMY_CLIENT_RETRY_H

#include "client/pygmy/http.h"
#include "client/pygmy/settings.h"

enum retry_end {
	RETRY_ANSWERED,               /* answer is definite: 2xx to 4xx, 500; or a 429 or 5xx that says that nothing was done */
	RETRY_NOT_DONE,               /* no server could be reached: nothing was done */
	RETRY_UNKNOWN                 /* one of the attempts may have been executed */
};

struct retry_policy {
	int64_t deadline_ms;          /* for all attempts together */
	int64_t attempt_ms;           /* for one */
	unsigned rounds_max;          /* times that every server is asked; 0: until the deadline */
	void (*on_retry)(void *context, const char *reason, int64_t left_ms);   /* before the second round; may be NULL */
	void *context;
};

/* Blocks for deadline_ms at most (and a little for Ctrl-C). answer holds the last attempt's. */
enum retry_end retry_send(struct http *http, const struct settings_urls *urls, const struct http_request *request,
			  const struct retry_policy *policy, struct http_answer *answer);

#endif
