/* log_embedded: see log_embedded.h. */
#include "db/log_embedded.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "db/apply.h"
#include "db/catalogue_file.h"
#include "db/checkpointer.h"
#include "db/diagnostics.h"
#include "db/writer_turn.h"

#define TURN_WAIT_MS 500

struct log_embedded {
	struct log log;
	struct database database;
	struct apply *apply;
	struct apply_position position;       /* valid between begin and the end of append */
	struct writer_turn *turn;
	bool has_turn;
	struct checkpointer *checkpointer;
	atomic_uint_fast64_t applied;
	char log_id[LOG_ID_TEXT_LEN + 1];
};

static struct log_embedded *embedded(struct log *log)
{
	return (struct log_embedded *)log;
}

static void end_turn(struct log_embedded *log)
{
	if (log->has_turn)
		writer_turn_end(log->turn);
	log->has_turn = false;
}

static void cancel(struct log *base)
{
	database_rollback(&embedded(base)->database);
	end_turn(embedded(base));
}

static enum pygmy_error begin(struct log *base)
{
	struct log_embedded *log = embedded(base);
	log->has_turn = writer_turn_begin(log->turn, TURN_WAIT_MS);
	enum pygmy_error error = database_exec(&log->database, "BEGIN IMMEDIATE");
	if (error == PYGMY_OK)
		error = apply_read_position(log->apply, &log->position);
	if (error == PYGMY_OK)
		atomic_store(&log->applied, log->position.index);
	else
		cancel(base);
	return error;
}

/*
 * SQLITE_FULL means that a frame of the WAL could not be written, so the commit frame, the last one, is not there: nothing was
 * changed. After any other failure the frames may be complete on disk, and a later recovery may find them.
 */
static enum pygmy_error commit(struct log_embedded *log)
{
	enum pygmy_error error = database_exec(&log->database, "COMMIT");
	if (error == PYGMY_OK || error == PYGMY_STORAGE_FULL)
		return error;
	return PYGMY_OUTCOME_UNKNOWN;
}

static enum pygmy_error append(struct log *base, struct slice entry, struct arena *arena, struct result *results, size_t *result_count)
{
	struct log_embedded *log = embedded(base);
	enum pygmy_error error = apply_entry(log->apply, &log->position, entry, arena, results, result_count);
	if (error == PYGMY_OK)
		error = commit(log);
	if (error == PYGMY_OK)
		atomic_store(&log->applied, log->position.index);
	cancel(base);
	return error;
}

static uint64_t applied_index(struct log *base)
{
	return atomic_load(&embedded(base)->applied);
}

static void close_log(struct log *base)
{
	struct log_embedded *log = embedded(base);
	if (log == NULL)
		return;
	checkpointer_destroy(log->checkpointer);
	apply_destroy(log->apply);
	database_close(&log->database);
	writer_turn_close(log->turn);
	free(log);
}

/* Every read of the file is as new as the log's end; a position that is not there now is no position of this log. */
static enum pygmy_error await_position(struct log *base, const struct read_terms *terms, int64_t deadline_ms, int64_t *stale_ms)
{
	(void)base;
	(void)terms;
	(void)deadline_ms;
	*stale_ms = 0;
	return PYGMY_OK;
}

static void log_id(struct log *base, char out[LOG_ID_TEXT_LEN + 1])
{
	memcpy(out, embedded(base)->log_id, LOG_ID_TEXT_LEN + 1);
}

static enum pygmy_error ready(struct log *base, const char **why)
{
	(void)base;
	(void)why;
	return PYGMY_OK;
}

static const struct log_operations operations = { begin, append, cancel, applied_index, await_position, log_id, ready, close_log };

/* ---- opening ---------------------------------------------------------------------------------------- */

static void new_log_id(char log_id[LOG_ID_TEXT_LEN + 1])
{
	unsigned char random[LOG_ID_TEXT_LEN / 2];
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(log_id, LOG_ID_TEXT_LEN + 1, random, sizeof random);
}

static enum pygmy_error read_log_id(struct database *database, char log_id[LOG_ID_TEXT_LEN + 1])
{
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(database->handle, "SELECT log_id FROM store", -1, &statement, NULL);
	if (rc != SQLITE_OK)
		return database_error(database, rc, "read log id");
	rc = sqlite3_step(statement);
	struct slice text = rc == SQLITE_ROW ? column_text(statement, 0) : SLICE_EMPTY;
	if (text.len == LOG_ID_TEXT_LEN)
		memcpy(log_id, text.ptr, LOG_ID_TEXT_LEN + 1);
	enum pygmy_error error = database_error(database, text.len == LOG_ID_TEXT_LEN ? SQLITE_OK : SQLITE_CORRUPT, "read log id");
	sqlite3_finalize(statement);
	return error;
}

/* In turn, like every write: who only polls for SQLite's lock may wait for most of a second while others write without a pause. */
static enum pygmy_error ensure_schema(struct log_embedded *log, bool *created)
{
	char fresh[LOG_ID_TEXT_LEN + 1];
	new_log_id(fresh);
	log->has_turn = writer_turn_begin(log->turn, TURN_WAIT_MS);
	enum pygmy_error error = database_exec(&log->database, "BEGIN IMMEDIATE");
	if (error == PYGMY_OK)
		error = schema_ensure(&log->database, fresh, created);
	if (error == PYGMY_OK)
		error = read_log_id(&log->database, log->log_id);
	if (error == PYGMY_OK)
		error = database_exec(&log->database, "COMMIT");
	cancel(&log->log);
	return error;
}

/* One part of the first catalogue; called by catalogue_file_load inside the open transaction. */
static enum pygmy_error apply_part(void *context, struct slice entry, struct arena *arena)
{
	struct log_embedded *log = context;
	struct result result;
	size_t count = 0;
	enum pygmy_error error = apply_entry(log->apply, &log->position, entry, arena, &result, &count);
	if (error != PYGMY_OK)
		return error;
	return count == 1 ? result.error : PYGMY_INTERNAL;
}

static enum pygmy_error load_catalogue(struct log_embedded *log, const char *path)
{
	enum pygmy_error error = begin(&log->log);
	if (error != PYGMY_OK)
		return error;
	if (!log->position.catalogue_loaded)
		error = catalogue_file_load(path, apply_part, log);
	if (error == PYGMY_OK)
		error = commit(log);
	cancel(&log->log);
	return error;
}

static enum pygmy_error remember_position(struct log_embedded *log)
{
	enum pygmy_error error = apply_read_position(log->apply, &log->position);
	if (error == PYGMY_OK)
		atomic_store(&log->applied, log->position.index);
	return error;
}

enum pygmy_error log_embedded_open(const char *db_path, const char *catalogue_path, bool *created, struct log **out)
{
	struct log_embedded *log = calloc(1, sizeof *log);
	*out = NULL;
	if (log == NULL)
		return PYGMY_OUT_OF_MEMORY;
	log->log.operations = &operations;
	writer_turn_open(db_path, &log->turn);
	enum pygmy_error error = database_open(&log->database, db_path, DATABASE_WRITE);
	if (error == PYGMY_OK)
		error = ensure_schema(log, created);
	if (error == PYGMY_OK)
		error = apply_create(&log->database, &log->apply);
	if (error == PYGMY_OK && catalogue_path != NULL)
		error = load_catalogue(log, catalogue_path);
	if (error == PYGMY_OK)
		error = remember_position(log);
	if (error == PYGMY_OK)
		error = checkpointer_create(db_path, &log->database, log->turn, &log->checkpointer);
	if (error != PYGMY_OK) {
		close_log(&log->log);
		return error;
	}
	*out = &log->log;
	return PYGMY_OK;
}
