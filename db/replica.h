/*
 * replica: one node's copy of the store: the database file and the only code that changes it.
 *
 * Workers read through short read transactions and never write tables: they propose commands and wait for the result.
 * All functions may be called by any thread of the process unless it says otherwise.
 */
#ifndef PYGMY_DB_REPLICA_H
#define PYGMY_DB_REPLICA_H

#include <stdint.h>

#include "db/changes.h"
#include "db/cluster.h"
#include "db/command.h"
#include "db/log.h"
#include "db/member.h"
#include "db/result.h"
#include "db/stats.h"

struct replica;
struct reader;

struct replica_config {
	const char *db_path;
	const char *catalogue_path;   /* loaded when the store is new; NULL: none (order workers) */
	const char *frontends;        /* push targets, `unix:/path` or `http://host:port`, space separated; "" for none. Not used in a cluster: there they register */
	int lease_ms;                 /* T */
	int reader_max;               /* read connections = threads that read at the same time */
	const struct cluster_config *cluster;   /* NULL: the embedded store; else must outlive the replica, and db_path is that of cluster */
};

/* How the store was found when it was opened. */
enum replica_start { REPLICA_CREATED, REPLICA_EXISTING };

/*
 * Opens the replica. In a cluster that needs neither etcd nor a database: the follower (follower.h), which this starts, brings both, and
 * replica_ready tells what is missing (errors then: STORAGE_FAILED, OUT_OF_MEMORY, INTERNAL). In the embedded store: opens, creating the database when there is none (several processes may do so at once), and loads the
 * first catalogue. Strings of config are copied. Blocks for up to REPLICA_OPEN_MS. On error *out is NULL and the
 * reason was logged. Errors: STORAGE_*, INCOMPATIBLE, BUSY, OUT_OF_MEMORY, INTERNAL, OUTCOME_UNKNOWN (the first catalogue's commit);
 * of the catalogue file: INVALID_FIELD, BAD_JSON.
 */
#define REPLICA_OPEN_MS 10000
enum pygmy_error replica_open(const struct replica_config *config, struct replica **out);

/* No thread may be inside the replica any more. NULL is allowed. */
void replica_close(struct replica *replica);

enum replica_start replica_how_started(const struct replica *replica);

/* 16 lowercase hex digits that name the log, and NUL; LOG_ID_NONE while a node of a cluster knows of none. */
void replica_log_id(struct replica *replica, char out[LOG_ID_TEXT_LEN + 1]);

struct replica_stats *replica_stats(struct replica *replica);

/* ---- reads ----------------------------------------------------------------------------------------- */

/*
 * Begins a read transaction that shows what terms ask for, waiting for it until deadline_ms (monotonic).
 * The reader belongs to the calling thread and must be ended by it. Errors: BEHIND, NOT_READY, STORAGE_*, BUSY, STOPPING.
 */
enum pygmy_error reader_begin(struct replica *replica, const struct read_terms *terms, int64_t deadline_ms, struct reader **out);
/*
 * The same of whatever the database holds now, however old, in doubt or not of this cluster it may be: for those who look at the replica
 * itself, never for what the store sells. Errors: STORAGE_*, BUSY.
 */
enum pygmy_error reader_begin_as_is(struct replica *replica, struct reader **out);
void reader_end(struct reader *reader);

uint64_t reader_revision(const struct reader *reader);

/* How many milliseconds the answer may be behind the store; 0: it is fresh. */
int64_t reader_stale_ms(const struct reader *reader);

/* The last revision at which the slot changed, 0 for never. Errors: STORAGE_*. */
enum pygmy_error reader_slot_changed(struct reader *reader, uint32_t slot, uint64_t *revision);

/* One item. Slices are valid until the next call on this reader. Errors: ITEM_NOT_FOUND, STORAGE_*. */
enum pygmy_error reader_item(struct reader *reader, int64_t id, struct item *out);

/*
 * Items with id > after, ascending, at most limit; of one topic, or of all when topic.ptr is NULL. visit returns false to
 * stop. Slices are valid during the visit. *more tells whether there are further ones behind the last. Errors: STORAGE_*.
 */
typedef bool (*item_visit)(void *context, const struct item *item);
enum pygmy_error reader_items(struct reader *reader, struct slice topic, int64_t after, int limit, item_visit visit, void *context, bool *more);

/* Errors: ORDER_NOT_FOUND, STORAGE_*. */
enum pygmy_error reader_order(struct reader *reader, int64_t id, struct order *out);

/* Orders with id > bound ascending, or (descending) id < bound; bound 0 with descending: from the newest. As reader_items. */
typedef bool (*order_visit)(void *context, const struct order *order);
enum pygmy_error reader_orders(struct reader *reader, int64_t bound, bool descending, int limit, order_visit visit, void *context, bool *more);

/*
 * The changes text (changes.h) that answers "what changed since?": delta when log_id is this log's and since is still
 * remembered, else reset. text is in the arena. Errors: STORAGE_*, OUT_OF_MEMORY.
 */
enum pygmy_error reader_changes(struct reader *reader, struct slice log_id, uint64_t since, struct arena *arena, struct slice *text);

/* Numbers for /status. Errors: STORAGE_*. */
struct reader_counts {
	int64_t items;
	int64_t orders;
	uint64_t revision;
	char chain_hex[65];           /* chain hash at revision */
};
enum pygmy_error reader_counts(struct reader *reader, struct reader_counts *out);

/* What is remembered of one of the last CHANGES_RING_ENTRIES entries. Errors: STORAGE_*, NOT_READY (not remembered). */
struct reader_entry {
	uint8_t chain[CHAIN_BYTES];   /* behind this entry */
	uint64_t mod_revision;        /* of etcd; 0 in the embedded store */
	uint64_t log_bytes;           /* of all entries up to this one, since the log began or the snapshot's count */
};
enum pygmy_error reader_entry(struct reader *reader, uint64_t index, struct reader_entry *out);

/* The configured members of the cluster, by name; *count <= MEMBERS_MAX. None in the embedded store. Errors: STORAGE_*. */
struct configured_member {
	char name[NODE_NAME_MAX_BYTES + 1];
	char catalog_url[NODE_URL_MAX_BYTES + 1];     /* http://address:port of its catalog and order workers */
	char order_url[NODE_URL_MAX_BYTES + 1];
	uint64_t since;               /* index of the entry that made it one */
};
enum pygmy_error reader_members(struct reader *reader, struct configured_member *members, size_t *count);

/* The frontends that have joined the cluster, by name; *count <= FRONTENDS_MAX. None in the embedded store. Errors: STORAGE_*. */
struct registered_frontend {
	char name[NODE_NAME_MAX_BYTES + 1];
	char url[NODE_URL_MAX_BYTES + 1];     /* where it takes pushes */
	bool fenced;                  /* writes do not wait for it, and it gets no lease */
	uint64_t since;               /* index of the entry that made it so */
};
enum pygmy_error reader_frontends(struct reader *reader, struct registered_frontend *frontends, size_t *count);

/*
 * The answer (changes.h) to a frontend's question for its lease: that of reader_changes when it counts, as the one that joined as index since, at
 * the reader's position; else the kind `fenced`. Errors: STORAGE_*, OUT_OF_MEMORY.
 */
struct lease_question {
	struct slice log_id;
	uint64_t since;
	struct slice frontend;        /* its name */
	uint64_t joined;
};
enum pygmy_error reader_lease(struct reader *reader, const struct lease_question *question, struct arena *arena, struct slice *text);

/* ---- writes ---------------------------------------------------------------------------------------- */

/*
 * Proposes the command and waits for its result until deadline_ms (monotonic), and until the frontends know of it.
 * The command's base_index is not used. PYGMY_OK means that *out holds the recorded decision (which may be a refusal: out->error).
 * Errors (nothing was changed): OVERLOADED, STORAGE_FULL, STORAGE_FAILED, STORAGE_CORRUPT, BUSY, STOPPING, OUT_OF_MEMORY;
 * in a cluster NO_QUORUM, LOG_FULL, NOT_READY, OTHER_LOG, INCOMPATIBLE.
 * Error (it may have happened): OUTCOME_UNKNOWN.
 */
enum pygmy_error replica_propose(struct replica *replica, const struct command *command, int64_t deadline_ms, struct result *out);

/* From now on proposals are refused with STOPPING; those that wait are finished. */
void replica_stop_proposals(struct replica *replica);

/* Why it is not ready, or PYGMY_OK; why (may be NULL) is set to a static sentence for people, or NULL. Cheap. */
enum pygmy_error replica_ready(struct replica *replica, const char **why);
/* How long ago the replica was last known to be complete: 0 for a store on one machine, INT64_MAX when it never was. */
int64_t replica_age_ms(const struct replica *replica);

/* ---- the cluster ------------------------------------------------------------------------------------- */

/* NULL in the embedded store. */
const struct cluster_config *replica_cluster(const struct replica *replica);
struct node_state *replica_node_state(struct replica *replica);

#endif
