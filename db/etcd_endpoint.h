/*
 * etcd_endpoint: one HTTP request to one endpoint of etcd, and what is known when it is over.
 */
#ifndef PYGMY_DB_ETCD_ENDPOINT_H
#define PYGMY_DB_ETCD_ENDPOINT_H

#include <curl/curl.h>
#include <stdint.h>

#include "db/buffer.h"
#include "db/tls.h"

#define ETCD_URL_MAX_BYTES 256
#define ETCD_ERROR_MAX_BYTES 600

struct etcd_endpoint {
	char url[ETCD_URL_MAX_BYTES]; /* without a path */
	CURL *curl;                   /* its connection is kept alive */
	char curl_error[CURL_ERROR_SIZE];
	struct buffer answer;         /* of the last exchange */
};

/* Strings are copied. False without memory; close it in any case. */
bool etcd_endpoint_init(struct etcd_endpoint *endpoint, struct slice url, const struct tls_files *tls);
void etcd_endpoint_close(struct etcd_endpoint *endpoint);

/* What all transfers to etcd have in common: HTTP/1.1, no proxy, no redirect, no signal. Also for the watch. False without memory. */
bool etcd_endpoint_configure(CURL *curl, const struct tls_files *tls, char *curl_error);
/* The headers of a request; NULL without memory. needs_leader: a member that knows no leader refuses at once. */
struct curl_slist *etcd_endpoint_headers(bool needs_leader);

enum etcd_exchange {
	ETCD_EXCHANGE_ANSWERED,       /* *status, and endpoint->answer, valid until the next exchange */
	ETCD_EXCHANGE_NOT_SENT,       /* no byte of the request left this machine's hands */
	ETCD_EXCHANGE_LOST            /* sent, at least in part, and not (or not wholly) answered */
};

struct etcd_post {
	const char *path;             /* "/v3/kv/range" */
	struct slice body;
	struct curl_slist *headers;
	int64_t timeout_ms;           /* > 0 */
};

/* Blocks for timeout_ms at most. error, of ETCD_ERROR_MAX_BYTES, tells what went wrong unless it was answered. */
enum etcd_exchange etcd_endpoint_exchange(struct etcd_endpoint *endpoint, const struct etcd_post *post, long *status, char *error);

#endif
