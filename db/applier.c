/*
 * applier: see applier.h. Opening, snapshots and resets are in applier_file.c.
 *
 * The position and the log's identity are read again in every transaction: what is in memory is never trusted about what is in the file.
 */
#include "db/applier_internal.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "db/command.h"
#include "db/diagnostics.h"
#include "db/entry.h"
#include "db/sequencer.h"

/* The results of a group's entries, until they are committed. */
struct group_result {
	struct result *results;
	size_t count;
};

void applier_log_id(uint64_t cluster_id, uint64_t create_revision, char log_id[LOG_ID_TEXT_LEN + 1])
{
	char text[48];
	unsigned char hash[crypto_generichash_BYTES];
	int len = snprintf(text, sizeof text, "%" PRIu64 "/%" PRIu64, cluster_id, create_revision);
	crypto_generichash(hash, sizeof hash, (const unsigned char *)text, (unsigned long long)len, NULL, 0);
	sodium_bin2hex(log_id, LOG_ID_TEXT_LEN + 1, hash, (size_t)LOG_ID_TEXT_LEN / 2);
}

/* ---- what is in the file ---------------------------------------------------------------------------- */

/* The log's name is derived from its identity: one that is not has been damaged. */
static bool log_id_fits(const struct applier_log *log, struct slice log_id)
{
	char expected[LOG_ID_TEXT_LEN + 1];
	if (log->cluster_id == 0)
		return log_id.len == LOG_ID_TEXT_LEN;
	applier_log_id(log->cluster_id, log->create_revision, expected);
	return slice_equal(log_id, slice_of(expected));
}

static enum pygmy_error read_log(struct applier *applier, struct applier_log *out)
{
	sqlite3_stmt *statement = applier->statements[APPLIER_READ_LOG];
	int rc = sqlite3_step(statement);
	bool sound = rc == SQLITE_ROW;
	if (sound) {
		*out = (struct applier_log){ .cluster_id = (uint64_t)sqlite3_column_int64(statement, 0),
					     .create_revision = (uint64_t)sqlite3_column_int64(statement, 1),
					     .base_index = (uint64_t)sqlite3_column_int64(statement, 2),
					     .mod_revision = (uint64_t)sqlite3_column_int64(statement, 3) };
		sound = log_id_fits(out, column_text(statement, 4));
	}
	enum pygmy_error error =
		database_error(&applier->database, sound ? SQLITE_OK : rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "read log");
	sqlite3_reset(statement);
	return error;
}

enum pygmy_error applier_read_state(struct applier *applier)
{
	struct apply_position position;
	struct applier_log log;
	enum pygmy_error error = apply_read_position(applier->apply, &position);
	if (error == PYGMY_OK)
		error = read_log(applier, &log);
	if (error == PYGMY_OK && position.index < log.base_index)
		error = database_error(&applier->database, SQLITE_CORRUPT, "read position: it is before the log's beginning");
	if (error == PYGMY_OK) {
		applier->position = position;
		applier->log = log;
	}
	return error;
}

static enum pygmy_error write_log(struct applier *applier, const struct applier_log *log)
{
	sqlite3_stmt *statement = applier->statements[APPLIER_WRITE_LOG];
	bind_int(statement, 1, (int64_t)log->cluster_id);
	bind_int(statement, 2, (int64_t)log->create_revision);
	bind_int(statement, 3, (int64_t)log->base_index);
	bind_int(statement, 4, (int64_t)log->mod_revision);
	return statement_run(&applier->database, statement, "write log");
}

static enum pygmy_error write_log_id(struct applier *applier, const struct applier_log *log)
{
	char log_id[LOG_ID_TEXT_LEN + 1];
	applier_log_id(log->cluster_id, log->create_revision, log_id);
	sqlite3_stmt *statement = applier->statements[APPLIER_WRITE_LOG_ID];
	bind_text(statement, 1, slice_of(log_id));
	return statement_run(&applier->database, statement, "write log id");
}

/* ---- the transaction -------------------------------------------------------------------------------- */

void applier_take_turn(struct applier *applier)
{
	applier->has_turn = writer_turn_begin(applier->turn, TURN_WAIT_MS);
}

void applier_end_turn(struct applier *applier)
{
	if (applier->has_turn)
		writer_turn_end(applier->turn);
	applier->has_turn = false;
}

enum pygmy_error applier_check_file(struct applier *applier)
{
	if (!database_has_moved(&applier->database))
		return PYGMY_OK;
	diagnose_error("the database file was removed or replaced");
	return PYGMY_STORAGE_CORRUPT;
}

static enum pygmy_error begin(struct applier *applier)
{
	enum pygmy_error error = applier_check_file(applier);
	if (error != PYGMY_OK)
		return error;
	applier_take_turn(applier);
	error = statement_run(&applier->database, applier->statements[APPLIER_BEGIN], "begin");
	return error == PYGMY_OK ? applier_read_state(applier) : error;
}

/* After a failure the file tells what is true, a commit that failed may yet have happened; if it can't, what was true before. */
static enum pygmy_error end(struct applier *applier, const struct apply_position *position, const struct applier_log *log,
			    enum pygmy_error error)
{
	if (error == PYGMY_OK)
		error = statement_run(&applier->database, applier->statements[APPLIER_COMMIT], "commit");
	if (error != PYGMY_OK) {
		database_rollback(&applier->database);
		applier->position = *position;
		applier->log = *log;
		enum pygmy_error again = applier_read_state(applier);
		if (again != PYGMY_OK)
			diagnose_warning("the position could not be read again: %s", error_text(again));
	}
	applier_end_turn(applier);
	return error;
}

/* ---- applying --------------------------------------------------------------------------------------- */

static struct sequencer sequencer_of(const struct applier *applier)
{
	return (struct sequencer){ .cluster_id = applier->log.cluster_id,
				   .create_revision = applier->log.create_revision,
				   .base_index = applier->log.base_index,
				   .applied_index = applier->position.index,
				   .mod_revision = applier->log.mod_revision };
}

/* Whether value is a log's first one and continues the database's position. */
static enum pygmy_error check_genesis(struct applier *applier, const struct etcd_value *value)
{
	struct slice body, chain = { (const char *)applier->position.chain, CHAIN_BYTES };
	struct command command;
	enum entry_error opened = entry_open(value->bytes, &body);
	if (opened == ENTRY_UNKNOWN_FORMAT)
		return PYGMY_INCOMPATIBLE;
	if (value->position.version != 1 || opened != ENTRY_OK)
		return PYGMY_OTHER_LOG;
	arena_reset(&applier->entry_arena);
	enum command_decode_error decoded = command_decode(&body, &applier->entry_arena, &command);
	if (decoded == COMMAND_NO_MEMORY)
		return PYGMY_OUT_OF_MEMORY;
	if (decoded == COMMAND_UNKNOWN)
		return PYGMY_INCOMPATIBLE;
	bool continues = decoded == COMMAND_OK && command.type == COMMAND_GENESIS &&
			 command.genesis.base_index == applier->position.index && slice_equal(command.genesis.chain, chain);
	return continues ? PYGMY_OK : PYGMY_OTHER_LOG;
}

/* The database becomes one of the log that begins with value. */
static enum pygmy_error adopt(struct applier *applier, const struct etcd_value *value)
{
	enum pygmy_error error = check_genesis(applier, value);
	if (error != PYGMY_OK)
		return error;
	applier->log = (struct applier_log){ .cluster_id = value->position.cluster_id,
					     .create_revision = value->position.create_revision,
					     .base_index = applier->position.index };
	return write_log_id(applier, &applier->log);
}

static enum pygmy_error adopt_if_other(struct applier *applier, const struct etcd_value *value)
{
	const struct applier_log *log = &applier->log;
	if (log->cluster_id == value->position.cluster_id && log->create_revision == value->position.create_revision)
		return PYGMY_OK;
	return adopt(applier, value);
}

static enum pygmy_error apply_value(struct applier *applier, const struct etcd_value *value, struct group_result *out)
{
	struct sequencer sequencer = sequencer_of(applier);
	if (sequencer_judge(&sequencer, &value->position) != SEQUENCE_NEXT)
		return PYGMY_INTERNAL;
	arena_reset(&applier->entry_arena);
	struct result *results = arena_take(&applier->entry_arena, BATCH_MAX_COMMANDS * sizeof *results);
	if (results == NULL)
		return PYGMY_OUT_OF_MEMORY;
	applier->position.mod_revision = value->position.mod_revision;
	enum pygmy_error error =
		apply_entry(applier->apply, &applier->position, value->bytes, &applier->entry_arena, results, &out->count);
	if (error != PYGMY_OK)
		return error;
	applier->log.mod_revision = value->position.mod_revision;
	struct slice kept = arena_copy(&applier->results_arena, (struct slice){ (const char *)results, out->count * sizeof *results });
	if (kept.ptr == NULL)
		return PYGMY_OUT_OF_MEMORY;
	out->results = (struct result *)(void *)(uintptr_t)kept.ptr;
	return PYGMY_OK;
}

enum pygmy_error applier_apply(struct applier *applier, const struct etcd_value *values, size_t count, applier_visit visit, void *context)
{
	if (count == 0 || count > APPLY_GROUP_ENTRIES)
		return count == 0 ? PYGMY_OK : PYGMY_INTERNAL;
	struct group_result group[APPLY_GROUP_ENTRIES];
	const struct apply_position position = applier->position;
	const struct applier_log log = applier->log;
	arena_reset(&applier->results_arena);
	enum pygmy_error error = begin(applier);
	if (error == PYGMY_OK)
		error = adopt_if_other(applier, &values[0]);
	for (size_t i = 0; error == PYGMY_OK && i < count; i++)
		error = apply_value(applier, &values[i], &group[i]);
	if (error == PYGMY_OK)
		error = write_log(applier, &applier->log);
	error = end(applier, &position, &log, error);
	uint64_t first = applier->position.index - count + 1;
	for (size_t i = 0; error == PYGMY_OK && visit != NULL && i < count; i++)
		visit(context, first + i, group[i].results, group[i].count);
	return error;
}

struct database *applier_database(struct applier *applier)
{
	return &applier->database;
}

const struct apply_position *applier_position(const struct applier *applier)
{
	return &applier->position;
}

const struct applier_log *applier_log(const struct applier *applier)
{
	return &applier->log;
}
