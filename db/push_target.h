/*
 * push_target: one frontend to which pushes are sent: its address, and the connections that are kept to it. Belongs to whoever pushes.
 *
 * A push that is not confirmed soon is sent again while the tries before it go on, each on a connection of its own: one that is lost, or
 * that a frontend's process holds which hangs, must not look like a frontend that hangs.
 */
#ifndef PYGMY_DB_PUSH_TARGET_H
#define PYGMY_DB_PUSH_TARGET_H

#include <curl/curl.h>
#include <stdint.h>

#include "db/frontends.h"
#include "db/slice.h"
#include "db/tls.h"

#define PUSH_URL_MAX 512
#define PUSH_TRY_MS 250               /* of one try */
#define PUSH_TRIES_MAX 10             /* at once */

struct push_target {
	/* Made when they are needed; NULL: not yet. Their CURLINFO_PRIVATE is the target, which so must not move. */
	CURL *tries[PUSH_TRIES_MAX];
	bool busy[PUSH_TRIES_MAX];
	char url[PUSH_URL_MAX];       /* `unix:/path` or `http(s)://host:port` */
	const struct push_headers *headers;
	const struct tls_files *tls;
	struct registered_frontend registered;        /* in a cluster */
	bool confirmed;               /* these three: of the push that is under way; times are monotonic */
	int64_t lapse_ms;             /* until then it is waited for */
	int64_t again_ms;             /* the next try begins not before */
	bool silent;                  /* already reported */
};

/* What is sent along. */
struct push_headers {
	struct curl_slist *plain;     /* for those on this machine */
	struct curl_slist *peer;      /* the same, with the peer token */
};

/* False without memory; close it then too. token NULL or "": none. */
bool push_headers_init(struct push_headers *headers, const char *token);
void push_headers_close(struct push_headers *headers);

/*
 * headers and tls must outlive it. Errors: INTERNAL (the URL can't be understood, or is https without certificates; logged), OUT_OF_MEMORY.
 */
enum pygmy_error push_target_init(struct push_target *target, struct slice url, const struct push_headers *headers, const struct tls_files *tls);
/* No try may be under way. */
void push_target_close(struct push_target *target);

/* Begins one more try, unless there are too many, or no memory for it. text must stay until it has ended. */
void push_target_start(struct push_target *target, CURLM *multi, struct slice text);
/* That try has ended. */
void push_target_end(struct push_target *target, CURLM *multi, CURL *try);
/* Breaks off all tries. */
void push_target_stop(struct push_target *target, CURLM *multi);
bool push_target_is_busy(const struct push_target *target);

#endif
