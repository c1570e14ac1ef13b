/*
 * applier: the one who changes a replica's database in a cluster: applies entries of the log, and installs snapshots.
 *
 * It belongs to one thread, which holds the node's lock (node_state.h) and never another applier's. Commits are
 * synchronous=NORMAL: etcd is the durable copy, and a power cut may take the end of the file (the log is followed again from there).
 */
#ifndef PYGMY_DB_APPLIER_H
#define PYGMY_DB_APPLIER_H

#include "db/apply.h"
#include "db/etcd.h"
#include "db/writer_turn.h"

struct applier;

/* Which log the database belongs to, and how far it has applied it. Not replicated state, but true of every copy of the database. */
struct applier_log {
	uint64_t cluster_id;          /* 0: the database belongs to no log yet (new), or to an embedded store */
	uint64_t create_revision;
	uint64_t base_index;
	uint64_t mod_revision;        /* of the last applied entry */
};

/* The name of a log, 16 hex digits, that its readers and frontends know it by: the first 8 bytes of BLAKE2b-256 over "cluster_id/create_revision". */
void applier_log_id(uint64_t cluster_id, uint64_t create_revision, char log_id[LOG_ID_TEXT_LEN + 1]);

/* Opens or creates the database, or brings one of schema version 1 to this version. turn may be NULL. Errors: STORAGE_* (CORRUPT: see applier_reset), INCOMPATIBLE, OUT_OF_MEMORY, BUSY. */
enum pygmy_error applier_open(const char *db_path, struct writer_turn *turn, struct applier **out);
void applier_close(struct applier *applier);              /* NULL is allowed */

struct database *applier_database(struct applier *applier);   /* for the checkpointer; runs in WAL mode */

/* As of the last call, also of one that failed: then they are as the file says. */
const struct apply_position *applier_position(const struct applier *applier);
const struct applier_log *applier_log(const struct applier *applier);

/*
 * Applies values, at most APPLY_GROUP_ENTRIES, in order, in one transaction. Each must be the next one (sequencer.h). When the database
 * belongs to no log or to another one, the first must be version 1, a genesis that continues exactly the database's index and chain
 * hash: then the database is this log's from now on. visit (may be NULL) is called for each entry, after the commit, in order.
 * On error nothing was changed (a commit that failed in the middle may have happened all the same: see applier_position).
 * Errors: STORAGE_* (CORRUPT also when the file was removed or replaced), INCOMPATIBLE, BUSY, OUT_OF_MEMORY, INTERNAL (not the next one);
 * OTHER_LOG: the values are another log's, and the first is no genesis that continues the database's position.
 */
typedef void (*applier_visit)(void *context, uint64_t index, const struct result *results, size_t count);
enum pygmy_error applier_apply(struct applier *applier, const struct etcd_value *values, size_t count, applier_visit visit, void *context);

/*
 * Replaces the content by that of the database file at path (a snapshot that was checked: snapshot.h), with SQLite's backup API,
 * in one transaction: readers of all processes see either. Errors: STORAGE_*, BUSY, OUT_OF_MEMORY, INCOMPATIBLE (not of this version).
 */
enum pygmy_error applier_install(struct applier *applier, const char *path);

/*
 * Empties a database, also a damaged one (SQLITE_DBCONFIG_RESET_DATABASE), and creates it anew. For replicas that will be rebuilt
 * from the log or from a snapshot. applier_open has failed with STORAGE_CORRUPT, or the applier is closed. Others may have it open.
 * Errors: STORAGE_*, BUSY, OUT_OF_MEMORY.
 */
enum pygmy_error applier_reset(const char *db_path);

#endif
