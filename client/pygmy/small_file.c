/*
 * small_file: open, check, read, close; errno becomes the return value.
 */
#include "client/pygmy/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, struct text *out)
{
	char block[4096];
	for (;;) {
		ssize_t got = read(fd, block, sizeof(block));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (got == 0)
			return 0;
		if (!text_append(out, block, (size_t)got))
			return EFBIG;
	}
}

int small_file_read(const char *path, struct text *out, mode_t *mode)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno;
	struct stat status;
	int error = 0;
	if (fstat(fd, &status) != 0)
		error = errno;
	else if (S_ISDIR(status.st_mode))
		error = EISDIR;
	else if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
		error = EINVAL;
	else
		error = read_all(fd, out);
	if (error == 0 && mode != NULL)
		*mode = status.st_mode & 07777;
	(void)close(fd);
	return error;
}
