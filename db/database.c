/* database: opens SQLite, but for database_reset.c, and translates its errors. */
#include "db/database.h"

#include <stdlib.h>

#include "db/diagnostics.h"

/*
 * cache_size is small because reads go through mmap; the journal is truncated to its limit after a large import;
 * autocheckpoint is off because the log's writer checkpoints itself (log_embedded.c).
 */
static const char write_settings[] =
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 0;"
	"PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192; PRAGMA secure_delete = OFF; PRAGMA trusted_schema = OFF;";
static const char read_settings[] =
	"PRAGMA query_only = ON; PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -256; PRAGMA trusted_schema = OFF;";
static const char copy_settings[] =
	"PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192;"
	"PRAGMA trusted_schema = OFF;";
/* Not mapped: a file that gets shorter, or a disk that fails, is an error and no signal then. */
static const char foreign_settings[] =
	"PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -32768; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;";

#define FOREIGN_VALUE_MAX_BYTES (4 * 1024 * 1024)     /* far more than any of our own rows has */

enum pygmy_error database_error(struct database *database, int rc, const char *during)
{
	const char *text = database->handle != NULL ? sqlite3_errmsg(database->handle) : sqlite3_errstr(rc);
	enum pygmy_error error;
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return PYGMY_OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return PYGMY_BUSY;
	case SQLITE_FULL:
		error = PYGMY_STORAGE_FULL;
		break;
	case SQLITE_NOMEM:
		error = PYGMY_OUT_OF_MEMORY;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:       /* apply checks before it writes: a row that is in the way is not what it should be */
		error = PYGMY_STORAGE_CORRUPT;
		break;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_PROTOCOL:
		error = PYGMY_STORAGE_FAILED;
		break;
	default:
		error = PYGMY_INTERNAL;
		break;
	}
	diagnose_error("%s: %s (SQLite %d)", during, text, rc);
	return error;
}

enum pygmy_error database_exec(struct database *database, const char *sql)
{
	int rc = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
	return database_error(database, rc, "database");
}

/* The name by which SQLite opens the file as one that does not change: no locks, no journal. */
static char *immutable_uri(const char *path)
{
	sqlite3_str *uri = sqlite3_str_new(NULL);
	sqlite3_str_appendall(uri, path[0] == '/' ? "file://" : "file:");
	for (const char *at = path; *at != '\0'; at++) {
		if (*at == '%' || *at == '?' || *at == '#')
			sqlite3_str_appendf(uri, "%%%02x", (unsigned)(unsigned char)*at);
		else
			sqlite3_str_appendchar(uri, 1, *at);
	}
	sqlite3_str_appendall(uri, "?immutable=1");
	return sqlite3_str_finish(uri);
}

static int open_foreign(sqlite3 **handle, const char *path, int flags)
{
	char *uri = immutable_uri(path);
	if (uri == NULL)
		return SQLITE_NOMEM;
	int rc = sqlite3_open_v2(uri, handle, flags | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	sqlite3_free(uri);
	if (rc == SQLITE_OK) {
		sqlite3_db_config(*handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
		sqlite3_limit(*handle, SQLITE_LIMIT_LENGTH, FOREIGN_VALUE_MAX_BYTES);
	}
	return rc;
}

enum pygmy_error database_open(struct database *database, const char *path, enum database_mode mode)
{
	static const char *const settings[] = {
		[DATABASE_WRITE] = write_settings, [DATABASE_READ] = read_settings,
		[DATABASE_COPY] = copy_settings, [DATABASE_FOREIGN] = foreign_settings,
	};
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
	int created = mode == DATABASE_WRITE || mode == DATABASE_COPY ? SQLITE_OPEN_CREATE : 0;
	*database = (struct database){ 0 };
	int rc = mode == DATABASE_FOREIGN ? open_foreign(&database->handle, path, flags)
					  : sqlite3_open_v2(path, &database->handle, flags | SQLITE_OPEN_READWRITE | created, NULL);
	enum pygmy_error error = database_error(database, rc, path);
	if (error == PYGMY_OK) {
		sqlite3_busy_timeout(database->handle, DATABASE_BUSY_MS);
		error = database_exec(database, settings[mode]);
	}
	if (error != PYGMY_OK)
		database_close(database);
	return error;
}

bool database_has_moved(const struct database *database)
{
	int moved = 0;
	return sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0;
}

enum pygmy_error database_prepare(struct database *database, const char *const *sql, int count)
{
	database->statements = calloc((size_t)count, sizeof *database->statements);
	if (database->statements == NULL)
		return PYGMY_OUT_OF_MEMORY;
	database->statement_count = count;
	for (int i = 0; i < count; i++) {
		int rc = sqlite3_prepare_v3(database->handle, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &database->statements[i], NULL);
		if (rc != SQLITE_OK)
			return database_error(database, rc, sql[i]);
	}
	return PYGMY_OK;
}

void database_close(struct database *database)
{
	for (int i = 0; i < database->statement_count; i++)
		sqlite3_finalize(database->statements[i]);
	free(database->statements);
	sqlite3_close(database->handle);
	*database = (struct database){ 0 };
}

void database_rollback(struct database *database)
{
	if (sqlite3_get_autocommit(database->handle) == 0 && sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		diagnose_warning("rollback: %s", sqlite3_errmsg(database->handle));
}

void bind_int(sqlite3_stmt *statement, int index, int64_t value)
{
	sqlite3_bind_int64(statement, index, value);
}

void bind_text(sqlite3_stmt *statement, int index, struct slice text)
{
	sqlite3_bind_text64(statement, index, text.len == 0 ? "" : text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

void bind_blob(sqlite3_stmt *statement, int index, struct slice bytes)
{
	sqlite3_bind_blob64(statement, index, bytes.len == 0 ? "" : bytes.ptr, bytes.len, SQLITE_STATIC);
}

struct slice column_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);
	return (struct slice){ text, text == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, column) };
}

struct slice column_blob(sqlite3_stmt *statement, int column)
{
	const char *bytes = sqlite3_column_blob(statement, column);
	return (struct slice){ bytes, bytes == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, column) };
}

enum pygmy_error statement_run(struct database *database, sqlite3_stmt *statement, const char *during)
{
	int rc = sqlite3_step(statement);
	enum pygmy_error error = rc == SQLITE_DONE ? PYGMY_OK : database_error(database, rc == SQLITE_ROW ? SQLITE_MISUSE : rc, during);
	sqlite3_reset(statement);
	return error;
}
