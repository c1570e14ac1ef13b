/*
 * push_target: one frontend to which pushes are sent: its address, and the connection that is kept to it. Belongs to whoever pushes.
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

struct push_target {
	CURL *handle;                 /* its CURLINFO_PRIVATE is the target, which so must not move while it pushes; NULL: it can't be reached from here */
	char url[PUSH_URL_MAX];       /* `unix:/path` or `http(s)://host:port` */
	struct registered_frontend registered;        /* in a cluster */
	bool confirmed;               /* these two: of the push that is under way */
	int64_t lapse_ms;             /* until then it is waited for; monotonic */
	bool silent;                  /* already reported */
};

/* What is sent along, which must outlive the targets. */
struct push_headers {
	struct curl_slist *plain;     /* for those on this machine */
	struct curl_slist *peer;      /* the same, with the peer token */
};

/* False without memory; close it then too. token NULL or "": none. */
bool push_headers_init(struct push_headers *headers, const char *token);
void push_headers_close(struct push_headers *headers);

/* Errors: INTERNAL (the URL can't be understood, or is https without certificates; logged), OUT_OF_MEMORY. */
enum pygmy_error push_target_init(struct push_target *target, struct slice url, const struct push_headers *headers, const struct tls_files *tls);
void push_target_close(struct push_target *target);

#endif
