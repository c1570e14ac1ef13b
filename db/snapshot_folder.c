/* snapshot_folder: see snapshot_folder.h. */
#include "db/snapshot_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/snapshot_internal.h"

#define RANDOM_BYTES 8
#define CREATE_TRIES 3
#define PART ".part"
#define WHOLE ".db"

/* ---- tidying ----------------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);
	return len > end_len && strcmp(name + len - end_len, end) == 0;
}

static bool is_newer(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec != b->st_mtim.tv_sec ? a->st_mtim.tv_sec > b->st_mtim.tv_sec : a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

static void find_newest(DIR *folder, char newest[NAME_MAX + 1])
{
	struct stat newest_status = { 0 }, status;
	newest[0] = '\0';
	for (struct dirent *file; (file = readdir(folder)) != NULL;) {
		if (!ends_with(file->d_name, WHOLE) || fstatat(dirfd(folder), file->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (newest[0] != '\0' && !is_newer(&status, &newest_status))
			continue;
		snprintf(newest, NAME_MAX + 1, "%s", file->d_name);
		newest_status = status;
	}
}

/* (Another process may be tidying, too.) */
static void remove_file(DIR *folder, const char *name)
{
	if (unlinkat(dirfd(folder), name, 0) != 0 && errno != ENOENT)
		diagnose_warning("snapshot: can't remove %s: %s", name, strerror(errno));
}

/* A lock that can be had means that nobody writes it. */
static void remove_abandoned(DIR *folder, const char *name)
{
	int fd = openat(dirfd(folder), name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		diagnose_info("snapshot: removing %s, which was never finished", name);
		remove_file(folder, name);
	}
	close(fd);
}

void snapshot_folder_tidy(const char *path, int keep)
{
	char newest[NAME_MAX + 1] = "";
	DIR *folder = opendir(path);
	if (folder == NULL)
		return;               /* nothing was made in it yet */
	if (keep > 0)
		find_newest(folder, newest);
	rewinddir(folder);
	for (struct dirent *file; (file = readdir(folder)) != NULL;) {
		if (ends_with(file->d_name, PART))
			remove_abandoned(folder, file->d_name);
		else if (ends_with(file->d_name, WHOLE) && strcmp(file->d_name, newest) != 0)
			remove_file(folder, file->d_name);
	}
	closedir(folder);
}

/* ---- a part ------------------------------------------------------------------------------------------ */

/* False with EAGAIN: whoever tidies took it for an abandoned one before it was locked. */
static bool create_file(const char *folder, struct snapshot_part *part)
{
	unsigned char random[RANDOM_BYTES];
	char digits[2 * RANDOM_BYTES + 1];
	struct stat status;
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(digits, sizeof digits, random, sizeof random);
	int len = snprintf(part->path, sizeof part->path, "%s/%s" PART, folder, digits);
	if (len < 0 || len >= (int)sizeof part->path) {
		errno = ENAMETOOLONG;
		return false;
	}
	part->fd = open(part->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (part->fd < 0)
		return false;
	if (flock(part->fd, LOCK_EX | LOCK_NB) == 0 && fstat(part->fd, &status) == 0 && status.st_nlink > 0)
		return true;
	close(part->fd);
	errno = EAGAIN;
	return false;
}

enum pygmy_error snapshot_part_create(const char *folder, struct snapshot_part *part)
{
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return snapshot_file_error(errno, folder, NULL);
	for (int i = 0; i < CREATE_TRIES; i++) {
		if (create_file(folder, part))
			return PYGMY_OK;
		if (errno != EAGAIN)
			break;
	}
	return snapshot_file_error(errno, folder, NULL);
}

static enum pygmy_error finish(struct snapshot_part *part, uint64_t index, char path[PATH_MAX])
{
	const char *slash = strrchr(part->path, '/');
	int len = snprintf(path, PATH_MAX, "%.*s%" PRIu64 "-%.*s" WHOLE, (int)(slash - part->path) + 1, part->path, index, 2 * RANDOM_BYTES,
			   slash + 1);
	if (len < 0 || len >= PATH_MAX)
		return snapshot_file_error(ENAMETOOLONG, part->path, NULL);
	if (fsync(part->fd) != 0 || rename(part->path, path) != 0)
		return snapshot_file_error(errno, part->path, NULL);
	return PYGMY_OK;
}

enum pygmy_error snapshot_part_end(struct snapshot_part *part, enum pygmy_error error, uint64_t index, char path[PATH_MAX])
{
	if (error == PYGMY_OK)
		error = finish(part, index, path);
	if (error != PYGMY_OK && unlink(part->path) != 0)
		diagnose_warning("snapshot: can't remove %s: %s", part->path, strerror(errno));
	close(part->fd);
	return error;
}
