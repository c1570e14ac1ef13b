/*
 * lifecycle: how this worker came to be: its first start, a restart after a stop, or a restart after a crash.
 *
 * A marker file per worker, next to the database, says `running` while the worker runs and `stopped` after it ended in
 * order. Whoever finds `running` at its start follows a crash. The file, one line:
 *     pygmy-lifecycle 1 <running|stopped> <starts> <crashes> <started_ms>
 * It is replaced as a whole (rename) and synced. It records, it does not decide: a file that can't be read or written is
 * reported and otherwise ignored.
 */
#ifndef PYGMY_FCGI_LIFECYCLE_H
#define PYGMY_FCGI_LIFECYCLE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum lifecycle_start { LIFECYCLE_FIRST_START, LIFECYCLE_AFTER_STOP, LIFECYCLE_AFTER_CRASH };

struct lifecycle {
	char path[PATH_MAX];
	enum lifecycle_start how;
	uint64_t starts;              /* with this one */
	uint64_t crashes;             /* how many of the earlier runs ended in one */
	int64_t started_ms;           /* wall clock */
};

/* Reads the marker <folder of db_path>/<name>.lifecycle, logs what it means, marks this run as running. Blocks on file I/O. */
void lifecycle_begin(struct lifecycle *lifecycle, const char *db_path, const char *name);

/* Marks this run as ended in order. */
void lifecycle_end(const struct lifecycle *lifecycle);

/* "first_start", "after_stop" or "after_crash". */
const char *lifecycle_how_text(enum lifecycle_start how);

#endif
