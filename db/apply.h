/*
 * apply: what a log entry does to the database. A pure function of (state, entry).
 *
 * No clock, no randomness, no environment, no network, no local health: two replicas that are in the same state and apply the
 * same entry are in the same state afterwards, and have recorded the same results. A local failure (disk, memory,
 * corruption) is no result: the transaction is rolled back, and the entry is applied again later or the worker stops.
 *
 * The caller opens the transaction (BEGIN IMMEDIATE), and commits it or rolls it back. One thread at a time.
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
};

/* Prepares the statements on database, which must outlive *out. Errors: STORAGE_*, OUT_OF_MEMORY, INTERNAL. */
enum pygmy_error apply_create(struct database *database, struct apply **out);
void apply_destroy(struct apply *apply);

/* Reads the position within the open transaction. Errors: STORAGE_*. */
enum pygmy_error apply_read_position(struct apply *apply, struct apply_position *out);

/*
 * Applies entry behind *position and moves *position to it. results gets one result per command, *result_count of them
 * (BATCH_MAX_COMMANDS suffice). A damaged entry has none, and counts. Memory comes from arena.
 * Errors (roll back): INCOMPATIBLE (a command of a newer version), STORAGE_*, OUT_OF_MEMORY, INTERNAL.
 */
enum pygmy_error apply_entry(struct apply *apply, struct apply_position *position, struct slice entry, struct arena *arena,
			     struct result *results, size_t *result_count);

#endif
