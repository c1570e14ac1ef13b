/*
 * apply: what a log entry does to the database. A pure function of (state, entry).
 *
 * No clock, no randomness, no environment, no network, no local health: two replicas that are in the same state and apply the
 * same entry are in the same state afterwards, and have recorded the same results. A local failure (disk, memory,
 * corruption) is no result: the transaction is rolled back, and the entry is applied again later or the worker stops.
 *
 * The caller opens the transaction (BEGIN IMMEDIATE), and commits it or rolls it back. One thread at a time. How many entries share a
 * transaction changes nothing.
 *
 * The chain hash: chain(i) = H(chain(i-1), entry(i), results(i), rows(i)), H being BLAKE2b-256 and rows(i) that of every row that
 * the entry changed, with all its columns before and after (apply_rows.c). Replicas that have the same chain hash at an index
 * have done the same to the same rows ever since they began.
 */
#ifndef PYGMY_DB_APPLY_H
#define PYGMY_DB_APPLY_H

#include "db/arena.h"
#include "db/database.h"
#include "db/result.h"
#include "db/schema.h"

struct apply;

/* Where the replica stands. */
struct apply_position {
	uint64_t index;               /* of the last applied entry, 0 for none */
	uint8_t chain[CHAIN_BYTES];
	bool catalogue_loaded;
	uint64_t damaged_entries;
	uint64_t floor;               /* the index of the last entry that changed everything */
	int64_t audit_item, audit_order;   /* the last rows that an audit has hashed, 0: it begins anew */
	uint64_t log_bytes;           /* of all entries up to this one, since the store began or was migrated */
	/* etcd's, of the entry that is applied next: whoever has one sets it before. It is kept beside the entry's changes, and decides nothing. */
	uint64_t mod_revision;
};

/* Prepares the statements on database, which must outlive *out, and takes its preupdate hook. Errors: STORAGE_*, OUT_OF_MEMORY, INTERNAL. */
enum pygmy_error apply_create(struct database *database, struct apply **out);
void apply_destroy(struct apply *apply);

/* Reads the position within the open transaction; mod_revision is 0. Errors: STORAGE_*. */
enum pygmy_error apply_read_position(struct apply *apply, struct apply_position *out);

/*
 * Applies entry behind *position and moves *position to it. results gets one result per command, *result_count of them
 * (BATCH_MAX_COMMANDS suffice). A damaged entry has none, and counts. Memory comes from arena.
 * Errors (roll back): INCOMPATIBLE (a command of a newer version), STORAGE_*, OUT_OF_MEMORY, INTERNAL.
 */
enum pygmy_error apply_entry(struct apply *apply, struct apply_position *position, struct slice entry, struct arena *arena,
			     struct result *results, size_t *result_count);

#endif
