/*
 * shared_file: a small file beside the database, `<db>-<kind>-<boot id>` (0600), that the worker processes of a node map and share.
 *
 * Its name holds the machine's boot id: what was locked or going on when the power went is never met again. Files of earlier boots
 * are removed when a new one is made.
 */
#ifndef PYGMY_DB_SHARED_FILE_H
#define PYGMY_DB_SHARED_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct shared_file {
	char path[PATH_MAX];
	size_t size;
	dev_t device;
	ino_t inode;
	void *content;                /* NULL: not mapped */
};

/*
 * Maps the file of size bytes, making it when there is none; init fills the zeroed content of a new one in, before anybody else sees
 * it. False (the reason is logged) when it can't be used: no memory or space, or another kind of file is in its place.
 */
bool shared_file_map(const char *db_path, const char *kind, size_t size, bool (*init)(void *content), struct shared_file *out);
void shared_file_unmap(struct shared_file *file);

/* Whether the mapped file is still the one at its path: it may have been deleted together with the database. */
bool shared_file_is_current(const struct shared_file *file);

#endif
