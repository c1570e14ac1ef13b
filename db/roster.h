/*
 * roster: the heartbeats of a cluster's members and the state of etcd's, as they are now, for whoever looks at the cluster.
 *
 * Each process asks etcd by itself, so that the cluster can be looked at also when the node's keeper is the trouble. Answers are kept
 * for a moment and shared by all threads that ask at the same time: any number of requests costs etcd a few questions per second.
 */
#ifndef PYGMY_DB_ROSTER_H
#define PYGMY_DB_ROSTER_H

#include <pthread.h>

#include "db/etcd.h"
#include "db/roll.h"

#define ROSTER_KEPT_MS 250            /* heartbeats */
#define ROSTER_STATUS_KEPT_MS 2000    /* etcd's members */
#define ROSTER_ASK_MS 300             /* for the heartbeats */
#define ROSTER_STATUS_MS 100          /* for the state of one member of etcd */
#define ROSTER_LOOK_MS 500            /* for all: a frontend waits no longer */

struct roster_endpoint {
	char url[NODE_URL_MAX_BYTES + 1];
	bool reachable;
	bool is_leader;
	uint64_t db_bytes, db_used_bytes;
	char version[24];
};

struct roster_view {
	struct member members[ROLL_MAX];
	size_t count;
	int64_t asked_at_ms;          /* monotonic; when the answer's question was sent, 0: there was never an answer */
	struct roster_endpoint endpoints[ETCD_ENDPOINTS_MAX];
	int endpoint_count;
};

struct roster {
	pthread_mutex_t mutex;
	pthread_cond_t asked;         /* CLOCK_MONOTONIC */
	bool asking;                  /* by one thread, which has the client and next */
	struct etcd *etcd;            /* NULL until it is first needed */
	struct roster_view *kept, *next;
	int64_t tried_at_ms, status_at_ms;
};

void roster_init(struct roster *roster);
/* Nobody may be asking. */
void roster_close(struct roster *roster);

/*
 * What is known, at most ROSTER_KEPT_MS old when etcd answers. Blocks for about ROSTER_LOOK_MS at most. Errors: OUT_OF_MEMORY,
 * INTERNAL (the endpoints make no sense). Any thread.
 */
enum pygmy_error roster_look(struct roster *roster, const struct cluster_config *config, struct roster_view *out);

#endif
