/*
 * store_status: asks every server of the store how it is, all at once.
 */
#ifndef PYGMY_CLIENT_STORE_STATUS_H
#define PYGMY_CLIENT_STORE_STATUS_H

#include <jansson.h>

#include "client/pygmy/send_pool.h"

#define STORE_SERVERS_MAX (3 * SETTINGS_URLS_MAX)
#define STORE_STATUS_TIMEOUT_MS 2000      /* of one question; a healthy server needs milliseconds */
#define SERVER_NAME_MAX_BYTES 64
#define SERVER_STATE_MAX_BYTES 512

struct server_status {
	const char *kind;             /* "frontend", "catalog" or "order" */
	struct settings_urls url;     /* exactly one */
	char name[SERVER_NAME_MAX_BYTES];     /* its own, or kind-A, kind-B when it does not answer */
	bool ready;
	char state[SERVER_STATE_MAX_BYTES];   /* "ready", or why not; safe for a terminal */
	json_t *worker;               /* of /status, or NULL */
	json_t *nodes;                /* of a frontend's /nodes: whom it asks and whom it leaves out; NULL: it is none of a cluster */
	struct send_job job;
};

struct store_status {
	struct server_status servers[STORE_SERVERS_MAX];
	size_t count;
	bool ready;                   /* all of them */
	json_t *members;              /* the answer to /members of a server that knows most, or NULL: none did, or it is no cluster */
};

/* Asks all. Blocks for at most four times STORE_STATUS_TIMEOUT_MS. Errors: false without memory or threads. Close it in any case. */
bool store_status_get(const struct settings *settings, struct store_status *out);
void store_status_close(struct store_status *status);

/* 75 s as "1m 15s": the two greatest units. */
void duration_append(struct text *out, int64_t duration_ms);

#endif
