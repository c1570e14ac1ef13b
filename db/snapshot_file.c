/* snapshot_file: what making, checking and restoring have in common: the position of a database, and a file's disk. */
#include "db/snapshot_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "db/diagnostics.h"

#define FORMATS_AT 18

enum pygmy_error snapshot_read_position(struct database *database, struct snapshot_info *info)
{
	sqlite3_stmt *statement;
	static const char sql[] = "SELECT log_index, chain, log_id, cluster_id, create_revision, base_index FROM store, log";
	int rc = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
	if (rc != SQLITE_OK)
		return database_error(database, rc, "read position");
	*info = (struct snapshot_info){ 0 };
	rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) {
		struct slice chain = column_blob(statement, 1), log_id = column_text(statement, 2);
		info->index = (uint64_t)sqlite3_column_int64(statement, 0);
		info->cluster_id = (uint64_t)sqlite3_column_int64(statement, 3);
		info->create_revision = (uint64_t)sqlite3_column_int64(statement, 4);
		info->base_index = (uint64_t)sqlite3_column_int64(statement, 5);
		rc = chain.len == CHAIN_BYTES && log_id.len == LOG_ID_TEXT_LEN ? SQLITE_OK : SQLITE_CORRUPT;
		if (rc == SQLITE_OK) {
			memcpy(info->chain, chain.ptr, CHAIN_BYTES);
			memcpy(info->log_id, log_id.ptr, LOG_ID_TEXT_LEN);
		}
	} else if (rc == SQLITE_DONE) {
		rc = SQLITE_CORRUPT;
	}
	enum pygmy_error error = database_error(database, rc, "read position");
	sqlite3_finalize(statement);
	return error;
}

static enum pygmy_error count(struct database *database, const char *sql, int64_t *number)
{
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
	if (rc != SQLITE_OK)
		return database_error(database, rc, sql);
	rc = sqlite3_step(statement);
	*number = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	enum pygmy_error error = database_error(database, rc, sql);
	sqlite3_finalize(statement);
	return error;
}

enum pygmy_error snapshot_read_info(struct database *database, struct snapshot_info *info)
{
	enum pygmy_error error = snapshot_read_position(database, info);
	if (error == PYGMY_OK)
		error = count(database, "SELECT count(*) FROM items WHERE deleted = 0", &info->items);
	if (error == PYGMY_OK)
		error = count(database, "SELECT count(*) FROM orders", &info->orders);
	return error;
}

bool snapshot_fits(int fd, int64_t bytes)
{
	struct statvfs disk;
	if (fstatvfs(fd, &disk) != 0 || disk.f_frsize == 0)
		return true;          /* then writing will tell */
	uint64_t wanted = (uint64_t)bytes + (uint64_t)SNAPSHOT_SPARE_BYTES;
	return disk.f_bavail >= wanted / disk.f_frsize + 1;
}

bool snapshot_unmark_wal(int fd)
{
	/* The file format's version for writing and for reading: 1 with a rollback journal, 2 with a WAL. */
	static const unsigned char formats[] = { 1, 1 };
	ssize_t len = pwrite(fd, formats, sizeof formats, FORMATS_AT);
	if (len >= 0 && len < (ssize_t)sizeof formats)
		errno = ENOSPC;
	return len == (ssize_t)sizeof formats;
}

enum pygmy_error snapshot_file_error(int number, const char *path, char why[SNAPSHOT_WHY_BYTES])
{
	diagnose_error("snapshot %s: %s", path, strerror(number));
	if (why != NULL)
		snprintf(why, SNAPSHOT_WHY_BYTES, "%s", strerror(number));
	if (number == ENOSPC || number == EDQUOT || number == EFBIG)
		return PYGMY_STORAGE_FULL;
	return number == ENOMEM ? PYGMY_OUT_OF_MEMORY : PYGMY_STORAGE_FAILED;
}

void snapshot_sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int len = slash == NULL ? snprintf(folder, sizeof folder, ".") : snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + 1, path);
	int fd = len > 0 && len < (int)sizeof folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	if (fsync(fd) != 0)
		diagnose_warning("snapshot %s: its folder can't be synced: %s", path, strerror(errno));
	close(fd);
}
