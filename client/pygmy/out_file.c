/*
 * out_file: mkstemp, fsync, rename, fsync of the folder.
 */
#include "client/pygmy/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What chmod gives a new file: what open(2) would have given it. */
static mode_t new_file_mode(void)
{
	mode_t mask = umask(0);
	(void)umask(mask);
	return 0666 & ~mask;
}

static int open_direct(struct out_file *file)
{
	file->stream = fopen(file->path, "we");
	return file->stream == NULL ? errno : 0;
}

static int open_temporary(struct out_file *file, mode_t mode)
{
	const char *slash = strrchr(file->path, '/');
	int folder_len = slash == NULL ? 0 : (int)(slash - file->path) + 1;
	int len = snprintf(file->temporary, sizeof(file->temporary), "%.*s.pygmy-XXXXXX", folder_len, file->path);
	if (len < 0 || (size_t)len >= sizeof(file->temporary))
		return ENAMETOOLONG;
	int fd = mkostemp(file->temporary, O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (fchmod(fd, mode) == 0 && (file->stream = fdopen(fd, "w")) != NULL)
		return 0;
	int error = errno;
	(void)close(fd);
	(void)unlink(file->temporary);
	return error;
}

int out_file_open(struct out_file *file, const char *path)
{
	*file = (struct out_file){ .stream = NULL };
	struct stat status;
	char *real = realpath(path, NULL);
	int len = snprintf(file->path, sizeof(file->path), "%s", real != NULL ? real : path);
	free(real);
	if (len < 0 || (size_t)len >= sizeof(file->path))
		return ENAMETOOLONG;
	bool exists = stat(file->path, &status) == 0;
	if (exists && S_ISDIR(status.st_mode))
		return EISDIR;
	if (exists && !S_ISREG(status.st_mode))
		return open_direct(file);
	return open_temporary(file, exists ? status.st_mode & 0777 : new_file_mode());
}

/* A rename is durable when its folder is. Some file systems can't do that: then it is as durable as they make it. */
static void sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int len = slash == NULL ? snprintf(folder, sizeof(folder), ".") : snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path) + 1, path);
	int fd = len > 0 && (size_t)len < sizeof(folder) ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
}

int out_file_commit(struct out_file *file)
{
	bool direct = file->temporary[0] == '\0';
	int error = 0;
	if (ferror(file->stream) != 0 || fflush(file->stream) != 0 || (!direct && fsync(fileno(file->stream)) != 0))
		error = errno != 0 ? errno : EIO;
	if (fclose(file->stream) != 0 && error == 0)
		error = errno;
	file->stream = NULL;
	if (error == 0 && !direct && rename(file->temporary, file->path) != 0)
		error = errno;
	if (error != 0 && !direct)
		(void)unlink(file->temporary);
	if (error == 0 && !direct)
		sync_folder(file->path);
	return error;
}

void out_file_abandon(struct out_file *file)
{
	if (file->stream != NULL)
		(void)fclose(file->stream);
	file->stream = NULL;
	if (file->temporary[0] != '\0')
		(void)unlink(file->temporary);
}
