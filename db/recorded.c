/* recorded: see recorded.h. */
#include "db/recorded.h"

#include <stdlib.h>

#include "db/command.h"
#include "db/database.h"
#include "db/diagnostics.h"
#include "db/entry.h"
#include "db/result_row.h"

static const char *const statement_sql[] = { "BEGIN", "COMMIT", "SELECT log_index FROM store", RESULT_ROW_ORDER_SQL, RESULT_ROW_RESULT_SQL };
enum statement { BEGIN, COMMIT, POSITION, FIND_ORDER, FIND_RESULT, STATEMENT_COUNT };

struct recorded {
	struct database database;
};

enum pygmy_error recorded_open(const char *db_path, struct recorded **out)
{
	struct recorded *recorded = calloc(1, sizeof *recorded);
	*out = NULL;
	if (recorded == NULL)
		return PYGMY_OUT_OF_MEMORY;
	enum pygmy_error error = database_open(&recorded->database, db_path, DATABASE_READ);
	if (error == PYGMY_OK)
		error = database_prepare(&recorded->database, statement_sql, STATEMENT_COUNT);
	if (error != PYGMY_OK) {
		recorded_close(recorded);
		return error;
	}
	*out = recorded;
	return PYGMY_OK;
}

void recorded_close(struct recorded *recorded)
{
	if (recorded != NULL)
		database_close(&recorded->database);
	free(recorded);
}

static sqlite3_stmt *statement_of(const struct recorded *recorded, enum statement which)
{
	return recorded->database.statements[which];
}

/* The database may have been rebuilt since it applied index: then a missing record would prove nothing. */
static enum pygmy_error check_position(struct recorded *recorded, uint64_t index)
{
	sqlite3_stmt *statement = statement_of(recorded, POSITION);
	int rc = sqlite3_step(statement);
	uint64_t applied = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
	enum pygmy_error error = database_error(&recorded->database, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "read position");
	sqlite3_reset(statement);
	return error == PYGMY_OK && applied < index ? PYGMY_BEHIND : error;
}

static enum pygmy_error find_record(struct recorded *recorded, const struct command *command, bool *found, struct result *result)
{
	struct database *database = &recorded->database;
	*found = false;
	if (!command_is_recorded(command))
		return PYGMY_OK;
	enum pygmy_error error = result_row_find_order(database, statement_of(recorded, FIND_ORDER), command, found, result);
	if (error == PYGMY_OK && !*found)
		error = result_row_find_result(database, statement_of(recorded, FIND_RESULT), command, found, result);
	return error;
}

/* The command was applied as index: what it means that there is no record of it. */
static enum pygmy_error without_record(const struct command *command, uint64_t index, struct result *result)
{
	if (!command_is_recorded(command))
		return PYGMY_OK;
	if (index <= command->base_index || index - command->base_index <= RESULT_WINDOW_ENTRIES) {
		diagnose_error("no decision is recorded about a command of entry %llu", (unsigned long long)index);
		return PYGMY_INTERNAL;
	}
	result->error = PYGMY_KEY_TOO_OLD;
	return PYGMY_OK;
}

static enum pygmy_error find_result(struct recorded *recorded, const struct command *command, uint64_t index, struct result *result)
{
	bool found;
	*result = (struct result){ .revision = index };
	enum pygmy_error error = find_record(recorded, command, &found, result);
	if (error == PYGMY_OK && !found)
		return without_record(command, index, result);
	result->repeated = result->revision != index || result->error == PYGMY_KEY_REUSED;
	return error;
}

/* found NULL: the entry was applied as index. Else it tells whether all of its commands have records, index being before them. */
static enum pygmy_error find_results(struct recorded *recorded, struct slice body, uint64_t index, struct arena *arena,
				     struct result *results, size_t *result_count, bool *found)
{
	enum pygmy_error error = check_position(recorded, index);
	*result_count = 0;
	while (error == PYGMY_OK && body.len > 0 && (found == NULL || *found)) {
		struct command command;
		struct result *result = &results[*result_count];
		enum command_decode_error decoded =
			*result_count == BATCH_MAX_COMMANDS ? COMMAND_MALFORMED : command_decode(&body, arena, &command);
		if (decoded != COMMAND_OK)
			return decoded == COMMAND_NO_MEMORY ? PYGMY_OUT_OF_MEMORY : PYGMY_INTERNAL;
		if (found == NULL) {
			error = find_result(recorded, &command, index, result);
		} else {
			*result = (struct result){ .revision = 0 };
			error = find_record(recorded, &command, found, result);
			result->repeated = result->revision <= index || result->error == PYGMY_KEY_REUSED;
		}
		++*result_count;
	}
	return error;
}

static enum pygmy_error look_up(struct recorded *recorded, struct slice entry, uint64_t index, struct arena *arena, struct result *results,
				size_t *result_count, bool *found)
{
	struct database *database = &recorded->database;
	struct slice body;
	if (entry_open(entry, &body) != ENTRY_OK)
		return PYGMY_INTERNAL;
	enum pygmy_error error = statement_run(database, statement_of(recorded, BEGIN), "begin read");
	if (error == PYGMY_OK)
		error = find_results(recorded, body, index, arena, results, result_count, found);
	if (error == PYGMY_OK)
		error = statement_run(database, statement_of(recorded, COMMIT), "end read");
	database_rollback(database);
	return error;
}

enum pygmy_error recorded_results(struct recorded *recorded, struct slice entry, uint64_t index, struct arena *arena,
				  struct result *results, size_t *result_count)
{
	return look_up(recorded, entry, index, arena, results, result_count, NULL);
}

enum pygmy_error recorded_look(struct recorded *recorded, struct slice entry, uint64_t since, struct arena *arena, struct result *results,
			       size_t *result_count, bool *found)
{
	*found = true;
	return look_up(recorded, entry, since, arena, results, result_count, found);
}
