/*
 * cluster_init: begins a cluster's log: its genesis, the first members, the first catalogue. What `pygmy init` does.
 *
 * Nothing else ever creates the log. An init that was interrupted, whenever, is completed by running it again with the same arguments:
 * what is in the log already is read back and compared, and only the rest is appended. A key beside the log tells that it is complete;
 * then, or when the log holds something else, nothing is done.
 */
#ifndef PYGMY_DB_CLUSTER_INIT_H
#define PYGMY_DB_CLUSTER_INIT_H

#include "db/etcd.h"

#define CLUSTER_INIT_CALL_MS 10000    /* for each question to etcd, when nobody says otherwise */
#define CLUSTER_INIT_WHY_BYTES 400

struct cluster_init_member {
	struct slice name, catalog_url, order_url;
};

struct cluster_init {
	const struct cluster_init_member *members;    /* 1 to MEMBERS_MAX, valid, names differ */
	size_t member_count;
	const char *catalogue_path;   /* NULL: none. Not together with: */
	const char *continue_path;    /* a database (see snapshot_restore) whose position the log continues; NULL: a new store */
	bool (*go_on)(void *context); /* asked between two entries; false: stop. NULL: always */
	void *context;
	int64_t call_ms;              /* for each question to etcd; 0: CLUSTER_INIT_CALL_MS */
};

enum cluster_init_outcome {
	CLUSTER_INIT_DONE,
	CLUSTER_INIT_EXISTS,          /* this etcd holds a store's log already: nothing was done */
	CLUSTER_INIT_DIFFERS,         /* an init with other arguments was interrupted, or the log is in use: nothing was done */
	CLUSTER_INIT_BAD_INPUT,       /* the catalogue or the database: nothing was done */
	CLUSTER_INIT_UNREACHABLE,     /* etcd could not be reached, or refused: run it again with the same arguments */
	CLUSTER_INIT_STOPPED,         /* by go_on: run it again with the same arguments */
	CLUSTER_INIT_NO_MEMORY
};

struct cluster_init_result {
	uint64_t cluster_id;
	uint64_t base_index;
	size_t entries;               /* that init consists of */
	size_t found;                 /* of these, what was in the log already */
	char why[CLUSTER_INIT_WHY_BYTES];     /* if not DONE: a sentence without its full stop */
};

/* Blocks for at most some call_ms per entry. sodium_init must have been called. */
enum cluster_init_outcome cluster_init_run(struct etcd *etcd, const struct cluster_init *init, struct cluster_init_result *out);

#endif
