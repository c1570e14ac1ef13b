/* database_reset: makes a damaged file an empty database again, while others may have it open. See database.h. */
#include "db/database.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/diagnostics.h"

#define PAGE_BYTES 4096               /* SQLite's default, which nothing here changes */

static void remove_beside(const char *path, const char *suffix)
{
	char beside[PATH_MAX];
	int len = snprintf(beside, sizeof beside, "%s%s", path, suffix);
	if (len > 0 && (size_t)len < sizeof beside && unlink(beside) != 0 && errno != ENOENT)
		diagnose_warning("%s could not be removed: %s", beside, strerror(errno));
}

/* Without a database file, what stands beside it belongs to one that is gone. */
static void remove_orphans(const char *path)
{
	struct stat status;
	if (stat(path, &status) == 0 || errno != ENOENT)
		return;
	remove_beside(path, "-wal");
	remove_beside(path, "-shm");
}

/* The first bytes of a database in WAL mode with pages of 4096 bytes: magic, page size, file format versions, fixed numbers. */
static const unsigned char wal_mode_head[24] = "SQLite format 3\0\x10\x00\x02\x02\x00\x40\x20\x20";

/*
 * SQLite learns from the file's head that others have it open in WAL mode. Without that it would wait for ever for the lock that
 * they hold; and of a file of zero length it deletes the WAL, though others use it. So a head that does not say so is replaced by that of an
 * empty database: what it was a part of is lost anyway. (Through SQLite's own descriptor: closing another one of this file would drop the
 * locks that this process holds on it.)
 */
static int repair_head(sqlite3 *handle)
{
	unsigned char page[PAGE_BYTES] = { [24 + 3] = 1, [28 + 3] = 1, [44 + 3] = 4, [56 + 3] = 1, [92 + 3] = 1,
					   [100] = 0x0d, [105] = 0x10 };     /* versions, one page, UTF-8; an empty table's leaf */
	unsigned char head[sizeof wal_mode_head];
	sqlite3_file *file = NULL;
	int rc = sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (rc != SQLITE_OK || file == NULL || file->pMethods == NULL)
		return rc == SQLITE_OK ? SQLITE_CANTOPEN : rc;
	rc = file->pMethods->xRead(file, head, sizeof head, 0);
	if (rc == SQLITE_OK && memcmp(head, wal_mode_head, sizeof head) == 0)
		return SQLITE_OK;
	if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
		return rc;
	memcpy(page, wal_mode_head, sizeof wal_mode_head);
	return file->pMethods->xWrite(file, page, sizeof page, 0);
}

/* As SQLite's documentation of RESET_DATABASE says; reading the schema first keeps it in WAL mode, and may fail. */
static int empty(sqlite3 *handle)
{
	sqlite3_table_column_metadata(handle, NULL, "dummy", NULL, NULL, NULL, NULL, NULL, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_RESET_DATABASE, 1, NULL);
	int rc = sqlite3_exec(handle, "VACUUM", NULL, NULL, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_RESET_DATABASE, 0, NULL);
	return rc;
}

enum pygmy_error database_reset(const char *path)
{
	struct database database = { 0 };
	remove_orphans(path);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(path, &database.handle, flags, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(database.handle, DATABASE_BUSY_MS);
	if (rc == SQLITE_OK)
		rc = repair_head(database.handle);
	if (rc == SQLITE_OK)
		rc = empty(database.handle);
	enum pygmy_error error = database_error(&database, rc, "reset");
	database_close(&database);
	return error;
}
