/* shared_file: see shared_file.h. */
#include "db/shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "db/diagnostics.h"

#define BOOT_ID_LEN 36

static bool read_boot_id(char out[BOOT_ID_LEN + 1])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t len = read(fd, out, BOOT_ID_LEN);
	close(fd);
	out[BOOT_ID_LEN] = '\0';
	return len == BOOT_ID_LEN;
}

static void *map(int fd, size_t size)
{
	void *content = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return content == MAP_FAILED ? NULL : content;
}

/* Makes the file complete under another name first, so that nobody maps a half-made one. Losing the race is fine. */
static void make_file(const struct shared_file *file, bool (*init)(void *content))
{
	char temporary[PATH_MAX + 16];
	snprintf(temporary, sizeof temporary, "%s.XXXXXX", file->path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return;
	void *content = NULL;
	if (posix_fallocate(fd, 0, (off_t)file->size) == 0)
		content = map(fd, file->size);
	if (content != NULL) {
		if (init(content) && link(temporary, file->path) != 0 && errno != EEXIST)
			diagnose_warning("%s: %s", file->path, strerror(errno));
		munmap(content, file->size);
	}
	unlink(temporary);
	close(fd);
}

/* The files of earlier boots, which nobody uses any more. */
static void remove_old_files(const char *db_path, const char *kind, const char *current)
{
	char pattern[PATH_MAX];
	glob_t found;
	if (snprintf(pattern, sizeof pattern, "%s-%s-*", db_path, kind) >= (int)sizeof pattern || glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (strlen(found.gl_pathv[i]) == strlen(current) && strcmp(found.gl_pathv[i], current) != 0)
			unlink(found.gl_pathv[i]);
	globfree(&found);
}

static bool open_file(struct shared_file *file)
{
	int fd = open(file->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat status = { 0 };
	if (fd < 0)
		return false;
	if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && status.st_size == (off_t)file->size)
		file->content = map(fd, file->size);
	file->device = status.st_dev;
	file->inode = status.st_ino;
	close(fd);
	return file->content != NULL;
}

bool shared_file_map(const char *db_path, const char *kind, size_t size, bool (*init)(void *content), struct shared_file *out)
{
	char boot_id[BOOT_ID_LEN + 1];
	*out = (struct shared_file){ .size = size };
	if (!read_boot_id(boot_id) || snprintf(out->path, sizeof out->path, "%s-%s-%s", db_path, kind, boot_id) >= (int)sizeof out->path)
		return false;
	if (open_file(out))
		return true;
	make_file(out, init);
	remove_old_files(db_path, kind, out->path);
	if (open_file(out))
		return true;
	diagnose_warning("%s can't be used: %s", out->path, strerror(errno));
	return false;
}

void shared_file_unmap(struct shared_file *file)
{
	if (file->content != NULL)
		munmap(file->content, file->size);
	file->content = NULL;
}

bool shared_file_is_current(const struct shared_file *file)
{
	struct stat status;
	return lstat(file->path, &status) == 0 && status.st_dev == file->device && status.st_ino == file->inode;
}
