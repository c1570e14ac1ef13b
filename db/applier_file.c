/* applier_file: an applier's database as a file: opened, replaced by a snapshot, made anew. */
#include "db/applier_internal.h"

#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "db/diagnostics.h"

#define ENTRY_ARENA_BYTES ((size_t)16 * 1024 * 1024)      /* of one entry's commands */
#define RESULTS_ARENA_BYTES ((size_t)4 * 1024 * 1024)     /* of a whole group's results */

static const char *const statement_sql[] = {
#define X(name, sql) sql,
	APPLIER_STATEMENTS(X)
#undef X
};

/* ---- snapshots -------------------------------------------------------------------------------------- */

static enum pygmy_error copy_pages(struct applier *applier, struct database *source)
{
	sqlite3 *target = applier->database.handle;
	sqlite3_backup *backup = sqlite3_backup_init(target, "main", source->handle, "main");
	if (backup == NULL)
		return database_error(&applier->database, sqlite3_extended_errcode(target), "install snapshot");
	sqlite3_backup_step(backup, -1);
	return database_error(&applier->database, sqlite3_backup_finish(backup), "install snapshot");
}

enum pygmy_error applier_install(struct applier *applier, const char *path)
{
	struct database source;
	enum pygmy_error error = applier_check_file(applier);
	if (error == PYGMY_OK)
		error = database_open(&source, path, DATABASE_FOREIGN);
	if (error != PYGMY_OK)
		return error;
	error = schema_check(&source);
	if (error == PYGMY_OK) {
		applier_take_turn(applier);
		error = copy_pages(applier, &source);
		applier_end_turn(applier);
	}
	database_close(&source);
	return error == PYGMY_OK ? applier_read_state(applier) : error;
}

enum pygmy_error applier_reset(const char *db_path)
{
	struct applier *applier;
	enum pygmy_error error = database_reset(db_path);
	if (error == PYGMY_OK)
		error = applier_open(db_path, NULL, &applier);
	if (error == PYGMY_OK)
		applier_close(applier);
	return error;
}

/* ---- opening ---------------------------------------------------------------------------------------- */

/*
 * SQLite would join what the connections of other processes have in memory about a file that is gone, or was cut to nothing under them.
 * Who creates a database does it in an order that never leaves an empty file with a WAL.
 */
static enum pygmy_error check_before_open(const char *db_path)
{
	char wal[PATH_MAX];
	struct stat status, wal_status;
	int len = snprintf(wal, sizeof wal, "%s-wal", db_path);
	if (len < 0 || (size_t)len >= sizeof wal)
		return PYGMY_STORAGE_FAILED;
	bool has_wal = stat(wal, &wal_status) == 0, is_empty = stat(db_path, &status) != 0 || status.st_size == 0;
	if (!has_wal || !is_empty)
		return PYGMY_OK;
	diagnose_error("the database file %s is gone or empty, but its log %s is there", db_path, wal);
	return PYGMY_STORAGE_CORRUPT;
}

static enum pygmy_error prepare(struct applier *applier)
{
	enum pygmy_error error = apply_create(&applier->database, &applier->apply);
	for (int i = 0; error == PYGMY_OK && i < APPLIER_STATEMENT_COUNT; i++) {
		int rc = sqlite3_prepare_v3(applier->database.handle, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
					    &applier->statements[i], NULL);
		error = database_error(&applier->database, rc, statement_sql[i]);
	}
	return error;
}

static enum pygmy_error ensure_schema(struct applier *applier)
{
	bool created;
	applier_take_turn(applier);
	enum pygmy_error error = database_exec(&applier->database, "BEGIN IMMEDIATE");
	if (error == PYGMY_OK)
		error = schema_ensure(&applier->database, LOG_ID_NONE, &created);
	if (error == PYGMY_OK)
		error = database_exec(&applier->database, "COMMIT");
	database_rollback(&applier->database);
	applier_end_turn(applier);
	return error;
}

enum pygmy_error applier_open(const char *db_path, struct writer_turn *turn, struct applier **out)
{
	*out = NULL;
	if (sodium_init() < 0)
		return PYGMY_INTERNAL;
	struct applier *applier = calloc(1, sizeof *applier);
	if (applier == NULL)
		return PYGMY_OUT_OF_MEMORY;
	applier->turn = turn;
	arena_init(&applier->entry_arena, ENTRY_ARENA_BYTES);
	arena_init(&applier->results_arena, RESULTS_ARENA_BYTES);
	enum pygmy_error error = check_before_open(db_path);
	if (error == PYGMY_OK)
		error = database_open(&applier->database, db_path, DATABASE_WRITE);
	if (error == PYGMY_OK)
		error = database_exec(&applier->database, "PRAGMA synchronous = NORMAL");
	if (error == PYGMY_OK)
		error = ensure_schema(applier);
	if (error == PYGMY_OK)
		error = prepare(applier);
	if (error == PYGMY_OK)
		error = applier_read_state(applier);
	if (error != PYGMY_OK) {
		applier_close(applier);
		return error;
	}
	*out = applier;
	return PYGMY_OK;
}

void applier_close(struct applier *applier)
{
	if (applier == NULL)
		return;
	for (int i = 0; i < APPLIER_STATEMENT_COUNT; i++)
		sqlite3_finalize(applier->statements[i]);
	apply_destroy(applier->apply);
	database_close(&applier->database);
	arena_close(&applier->entry_arena);
	arena_close(&applier->results_arena);
	free(applier);
}
