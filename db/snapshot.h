/*
 * snapshot: a consistent copy of a replica's database as one file: made here for peers and backups, fetched from a peer,
 * and checked before anything of it is used.
 */
#ifndef PYGMY_DB_SNAPSHOT_H
#define PYGMY_DB_SNAPSHOT_H

#include <limits.h>
#include <stdatomic.h>

#include "db/cluster.h"
#include "db/error.h"
#include "db/schema.h"

#define SNAPSHOT_MAX_BYTES (INT64_C(64) * 1024 * 1024 * 1024)
#define SNAPSHOT_STALL_MS 5000        /* a transfer that brings nothing for so long is given up */

struct snapshot_info {
	uint64_t index;
	uint8_t chain[CHAIN_BYTES];
	char log_id[LOG_ID_TEXT_LEN + 1];
	uint64_t cluster_id, create_revision, base_index;     /* 0: of an embedded store */
	int64_t items, orders;
	int64_t bytes;
};

/*
 * Copies the database to a new file below folder (0600, in a subfolder `snapshots`), and removes older ones: two are kept. One copy at
 * a time per process; whoever asks while one is being made, or within SNAPSHOT_REUSE_MS of its end, gets that one. path is its file's
 * absolute path. Blocks. Errors: STORAGE_*, BUSY (asked for too often), OUT_OF_MEMORY.
 */
#define SNAPSHOT_REUSE_MS 1000
struct snapshot_maker;
enum pygmy_error snapshot_maker_create(const char *db_path, const char *folder, struct snapshot_maker **out);
void snapshot_maker_destroy(struct snapshot_maker *maker);    /* NULL is allowed */
enum pygmy_error snapshot_make(struct snapshot_maker *maker, char path[PATH_MAX], struct snapshot_info *info);

/*
 * Checks a database file: that it is one of this version, PRAGMA integrity_check, foreign keys, supplied = count + sold, the orders of
 * each item add up to what was sold, and that its position makes sense. Nothing is changed. why (may be NULL) gets a sentence for people.
 * Errors: STORAGE_CORRUPT (what is wrong with its content), INCOMPATIBLE, STORAGE_FAILED.
 */
#define SNAPSHOT_WHY_BYTES 300
enum pygmy_error snapshot_check(const char *path, struct snapshot_info *info, char why[SNAPSHOT_WHY_BYTES]);

/*
 * Fetches GET <peer_url>/snapshot with the peer credential into the new file path (0600; there is none on error). Blocks until it is
 * whole, stalls, or *stop becomes true. Errors: NOT_READY (the peer has none, or can't be reached), STORAGE_FULL, STORAGE_FAILED, STOPPING.
 */
enum pygmy_error snapshot_fetch(const struct cluster_config *config, const char *peer_url, const char *path, const atomic_bool *stop);

#endif
