/*
 * snapshot_header: the first 100 bytes of an SQLite file (https://www.sqlite.org/fileformat.html), and what lies beside the
 * file, looked at before SQLite is: so that no file makes it read a journal, another encoding or a size that is not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/snapshot_internal.h"

#define HEADER_BYTES 100
#define PAGE_BYTES 4096               /* a database with other pages can't be copied into a replica's */
#define FORMAT_NAME "SQLite format 3"

/* The header's fields, by their offset. */
enum {
	AT_PAGE_SIZE = 16, AT_WRITE_FORMAT = 18, AT_READ_FORMAT = 19, AT_RESERVED = 20, AT_CHANGE_COUNTER = 24, AT_PAGE_COUNT = 28,
	AT_LARGEST_ROOT = 52, AT_ENCODING = 56, AT_USER_VERSION = 60, AT_APPLICATION_ID = 68, AT_VALID_FOR = 92
};

static uint32_t word(const unsigned char *header, int at)
{
	return (uint32_t)header[at] << 24 | (uint32_t)header[at + 1] << 16 | (uint32_t)header[at + 2] << 8 | header[at + 3];
}

static enum pygmy_error damaged(char why[SNAPSHOT_WHY_BYTES], const char *text)
{
	snprintf(why, SNAPSHOT_WHY_BYTES, "%s", text);
	return PYGMY_STORAGE_CORRUPT;
}

static enum pygmy_error check_header(const unsigned char *header, int64_t bytes, char why[SNAPSHOT_WHY_BYTES])
{
	if (memcmp(header, FORMAT_NAME, sizeof FORMAT_NAME) != 0)
		return damaged(why, "it is no database");
	if (word(header, AT_APPLICATION_ID) != SCHEMA_APPLICATION_ID) {
		snprintf(why, SNAPSHOT_WHY_BYTES, "it is another program's database");
		return PYGMY_INCOMPATIBLE;
	}
	if (word(header, AT_USER_VERSION) != SCHEMA_VERSION) {
		snprintf(why, SNAPSHOT_WHY_BYTES, "it has schema version %u, this program knows %d", (unsigned)word(header, AT_USER_VERSION),
			 SCHEMA_VERSION);
		return PYGMY_INCOMPATIBLE;
	}
	if ((header[AT_PAGE_SIZE] << 8 | header[AT_PAGE_SIZE + 1]) != PAGE_BYTES || header[AT_RESERVED] != 0 || word(header, AT_ENCODING) != 1
			|| word(header, AT_LARGEST_ROOT) != 0 || header[AT_WRITE_FORMAT] < 1 || header[AT_WRITE_FORMAT] > 2
			|| header[AT_READ_FORMAT] < 1 || header[AT_READ_FORMAT] > 2)
		return damaged(why, "its header is not that of a store's database");
	if (word(header, AT_CHANGE_COUNTER) != word(header, AT_VALID_FOR) || (int64_t)word(header, AT_PAGE_COUNT) * PAGE_BYTES != bytes) {
		snprintf(why, SNAPSHOT_WHY_BYTES, "it has %lld bytes, but its header speaks of %lld: it was cut off, or is damaged",
			 (long long)bytes, (long long)word(header, AT_PAGE_COUNT) * PAGE_BYTES);
		return PYGMY_STORAGE_CORRUPT;
	}
	return PYGMY_OK;
}

/* What stands in a journal belongs to the database, and would be missed. */
static enum pygmy_error check_beside(const char *path, const char *suffix, char why[SNAPSHOT_WHY_BYTES])
{
	char name[PATH_MAX];
	struct stat status;
	int len = snprintf(name, sizeof name, "%s%s", path, suffix);
	if (len < 0 || len >= (int)sizeof name || lstat(name, &status) != 0 || status.st_size == 0)
		return PYGMY_OK;
	snprintf(why, SNAPSHOT_WHY_BYTES, "it is a store's own database, in use or not closed (there is a file with %s behind its name), and no copy",
		 suffix);
	return PYGMY_STORAGE_FAILED;
}

static enum pygmy_error check_file(int fd, const char *path, int64_t *bytes, char why[SNAPSHOT_WHY_BYTES])
{
	unsigned char header[HEADER_BYTES];
	struct stat status;
	if (fstat(fd, &status) != 0)
		return snapshot_file_error(errno, path, why);
	if (!S_ISREG(status.st_mode)) {
		snprintf(why, SNAPSHOT_WHY_BYTES, "it is not a regular file");
		return PYGMY_STORAGE_FAILED;
	}
	ssize_t len = pread(fd, header, sizeof header, 0);
	*bytes = (int64_t)status.st_size;
	if (len < 0)
		return snapshot_file_error(errno, path, why);
	if (len < HEADER_BYTES)
		return damaged(why, len == 0 ? "it is empty" : "it is no database");
	return check_header(header, *bytes, why);
}

enum pygmy_error snapshot_check_header(const char *path, int64_t *bytes, char why[SNAPSHOT_WHY_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return snapshot_file_error(errno, path, why);
	enum pygmy_error error = check_beside(path, "-wal", why);
	if (error == PYGMY_OK)
		error = check_beside(path, "-journal", why);
	if (error == PYGMY_OK)
		error = check_file(fd, path, bytes, why);
	close(fd);
	return error;
}
