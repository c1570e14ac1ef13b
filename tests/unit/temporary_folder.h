/* temporary_folder: a fresh folder per test, removed with all that is in it. For unit tests only. */
#ifndef PYGMY_TESTS_TEMPORARY_FOLDER_H
#define PYGMY_TESTS_TEMPORARY_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct temporary_folder {
	char path[256];
};

static inline void temporary_folder_make(struct temporary_folder *folder)
{
	const char *base = getenv("TMPDIR");
	snprintf(folder->path, sizeof folder->path, "%s/pygmy-unit-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(folder->path) == NULL)
		abort();
}

static inline int temporary_folder_remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static inline void temporary_folder_remove(const struct temporary_folder *folder)
{
	nftw(folder->path, temporary_folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file of the folder with the given mode, and puts its path into out. */
static inline void temporary_folder_write(const struct temporary_folder *folder, const char *name, const char *text, mode_t mode,
	char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s", folder->path, name);
	unlink(out); /* it may be there with a mode that lets nobody but root write it */
	int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, mode) != 0 || close(fd) != 0)
		abort();
}

/* The whole of a small file, NUL-terminated; free it. */
static inline char *temporary_folder_read(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *stream = fopen(path, "re");
	if (text == NULL || stream == NULL)
		abort();
	text[fread(text, 1, (1 << 20) - 1, stream)] = '\0';
	fclose(stream);
	return text;
}

#endif
