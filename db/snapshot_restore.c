/*
 * snapshot_restore: a database out of a snapshot. See snapshot.h.
 *
 * What is checked is the copy, not the file that it comes from: that one may be changed meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/snapshot_internal.h"

#define COPY_BYTES ((size_t)1024 * 1024)

static enum pygmy_error copy_bytes(int from, const char *from_path, int to, const char *to_path, char why[SNAPSHOT_WHY_BYTES])
{
	char *buffer = malloc(COPY_BYTES);
	enum pygmy_error error = buffer == NULL ? PYGMY_OUT_OF_MEMORY : PYGMY_OK;
	ssize_t len = 1;
	while (error == PYGMY_OK && (len = read(from, buffer, COPY_BYTES)) > 0) {
		for (ssize_t done = 0; error == PYGMY_OK && done < len;) {
			ssize_t written = write(to, buffer + done, (size_t)(len - done));
			if (written > 0)
				done += written;
			else if (written == 0 || errno != EINTR)
				error = snapshot_file_error(written == 0 ? EIO : errno, to_path, why);
		}
	}
	if (error == PYGMY_OK && len < 0)
		error = snapshot_file_error(errno, from_path, why);
	free(buffer);
	return error;
}

static enum pygmy_error copy_file(const char *from_path, int to, const char *to_path, char why[SNAPSHOT_WHY_BYTES])
{
	struct stat status;
	int from = open(from_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (from < 0)
		return snapshot_file_error(errno, from_path, why);
	enum pygmy_error error = PYGMY_OK;
	if (fstat(from, &status) != 0)
		error = snapshot_file_error(errno, from_path, why);
	else if (!snapshot_fits(to, (int64_t)status.st_size))
		error = snapshot_file_error(ENOSPC, to_path, why);
	else
		error = copy_bytes(from, from_path, to, to_path, why);
	close(from);
	return error;
}

/* Another log id, and the memory of no log. */
static enum pygmy_error leave_log(const char *path, struct snapshot_info *info)
{
	unsigned char random[LOG_ID_TEXT_LEN / 2];
	char sql[256];
	struct database database;
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(info->log_id, sizeof info->log_id, random, sizeof random);
	enum pygmy_error error = database_open(&database, path, DATABASE_COPY);
	if (error != PYGMY_OK)
		return error;
	snprintf(sql, sizeof sql, "UPDATE store SET log_id = '%s';"
		 "UPDATE log SET cluster_id = 0, create_revision = 0, base_index = 0, mod_revision = 0; UPDATE changes SET mod_revision = 0;",
		 info->log_id);
	error = database_exec(&database, sql);
	database_close(&database);
	info->cluster_id = info->create_revision = info->base_index = 0;
	return error;
}

enum pygmy_error snapshot_restore(const char *from, const char *to, struct snapshot_info *info, char why[SNAPSHOT_WHY_BYTES])
{
	char part[PATH_MAX], ignored[SNAPSHOT_WHY_BYTES];
	why = why != NULL ? why : ignored;
	why[0] = '\0';
	int len = snprintf(part, sizeof part, "%s.part", to);
	if (len < 0 || len >= (int)sizeof part)
		return snapshot_file_error(ENAMETOOLONG, to, why);
	int fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return snapshot_file_error(errno, part, why);
	enum pygmy_error error = copy_file(from, fd, part, why);
	if (error == PYGMY_OK)
		error = snapshot_check(part, info, why);
	if (error == PYGMY_OK && !snapshot_unmark_wal(fd))
		error = snapshot_file_error(errno, part, why);
	if (error == PYGMY_OK)
		error = leave_log(part, info);
	/* link, unlike rename, replaces nothing. */
	if (error == PYGMY_OK && (fsync(fd) != 0 || link(part, to) != 0))
		error = snapshot_file_error(errno, to, why);
	close(fd);
	if (unlink(part) != 0)
		diagnose_warning("snapshot: can't remove %s: %s", part, strerror(errno));
	if (error == PYGMY_OK)
		snapshot_sync_folder(to);
	else if (why[0] == '\0')
		snprintf(why, SNAPSHOT_WHY_BYTES, "%s", error_text(error));
	return error;
}
