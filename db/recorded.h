/*
 * recorded: what was decided about the commands of an entry, read back from a database that has applied it.
 *
 * In a cluster the one who applies an entry is not the one who proposed it: the proposer waits until its node has applied the entry and
 * then looks the decisions up under the commands' request keys. Belongs to one thread at a time.
 */
#ifndef PYGMY_DB_RECORDED_H
#define PYGMY_DB_RECORDED_H

#include "db/arena.h"
#include "db/result.h"
#include "db/slice.h"

struct recorded;

/* Errors: STORAGE_*, OUT_OF_MEMORY. */
enum pygmy_error recorded_open(const char *db_path, struct recorded **out);
void recorded_close(struct recorded *recorded);           /* NULL is allowed */

/*
 * The results of the commands of entry, which the database has applied as index (or earlier: repeated is set where the decision is
 * older than index). A command that came later than its window, and of which there is no record, was refused as KEY_TOO_OLD, the one
 * decision that is not recorded; audits have none either, and always succeed. Memory comes from arena.
 * Errors: STORAGE_*, BUSY, OUT_OF_MEMORY; BEHIND: the database has not applied index (any more: it was rebuilt); INTERNAL: no sound
 * entry, or a record is missing. After none of them anything is known about the outcome.
 */
enum pygmy_error recorded_results(struct recorded *recorded, struct slice entry, uint64_t index, struct arena *arena,
				  struct result *results, size_t *result_count);

/*
 * For an entry of which nobody could tell whether it went into the log: whether the database, which has applied since or more, holds a
 * record of each of its commands. Then (*found) results are as above, and repeated is set for decisions of since and older. Errors: as above.
 */
enum pygmy_error recorded_look(struct recorded *recorded, struct slice entry, uint64_t since, struct arena *arena, struct result *results,
			       size_t *result_count, bool *found);

#endif
