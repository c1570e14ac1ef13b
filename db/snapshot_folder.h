/*
 * snapshot_folder: the folder that copies of the database are made in.
 *
 * `<index>-<random>.db` is a whole copy; while it is written, `.part` stands behind the name, and its writer holds a lock (flock) on it:
 * so a .part without one is known to have been left behind by a killed process. Several processes may share the folder.
 */
#ifndef PYGMY_DB_SNAPSHOT_FOLDER_H
#define PYGMY_DB_SNAPSHOT_FOLDER_H

#include <limits.h>
#include <stdint.h>

#include "db/error.h"

/* A copy that is being written. */
struct snapshot_part {
	int fd;                       /* with the lock */
	char path[PATH_MAX];          /* of the .part */
};

/* Removes what was left behind, and all whole copies but the newest keep (1 or 0). */
void snapshot_folder_tidy(const char *folder, int keep);

/* Makes the folder (0700) if there is none, and an empty part (0600) in it. Errors: STORAGE_*. */
enum pygmy_error snapshot_part_create(const char *folder, struct snapshot_part *part);

/* Ends it: as a whole file, durable, whose path is put into path; or, when error is one, without a file. Errors: error; STORAGE_*. */
enum pygmy_error snapshot_part_end(struct snapshot_part *part, enum pygmy_error error, uint64_t index, char path[PATH_MAX]);

#endif
