/* result_row: see result_row.h. */
#include "db/result_row.h"

#include "db/slot.h"

#define SLOT_BYTES 2

static void read_order(sqlite3_stmt *statement, struct result *result)
{
	result->id = sqlite3_column_int64(statement, 0);
	result->quantity = sqlite3_column_int64(statement, 2);
	result->revision = (uint64_t)sqlite3_column_int64(statement, 3);
	result->slot_count = 3;
	result->slots[0] = slot_of_item(sqlite3_column_int64(statement, 1));
	result->slots[1] = (uint32_t)sqlite3_column_int64(statement, 4);
	result->slots[2] = slot_of_all();
}

static void read_slots(sqlite3_stmt *statement, int column, struct result *result)
{
	if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
		result->slot_count = SLOTS_ALL_CHANGED;
		return;
	}
	struct slice bytes = column_blob(statement, column);
	for (size_t i = 0; i + 1 < bytes.len && result->slot_count < SLOTS_PER_RESULT_MAX; i += SLOT_BYTES)
		result->slots[result->slot_count++] = (uint32_t)(unsigned char)bytes.ptr[i] | (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
}

static void read_result(sqlite3_stmt *statement, struct result *result)
{
	int error = sqlite3_column_int(statement, 0);
	result->error = error_is_known(error) ? (enum pygmy_error)error : PYGMY_INTERNAL;
	result->revision = (uint64_t)sqlite3_column_int64(statement, 1);
	result->id = sqlite3_column_int64(statement, 2);
	result->quantity = sqlite3_column_int64(statement, 3);
	read_slots(statement, 4, result);
}

/* Both queries have the payload hash in their sixth column. */
static enum pygmy_error find(struct database *database, sqlite3_stmt *statement, const struct command *command, bool *found,
			     struct result *result, void (*read)(sqlite3_stmt *, struct result *))
{
	struct slice hash = { (const char *)command->payload_hash, PAYLOAD_HASH_BYTES };
	bind_text(statement, 1, command->request_key);
	int rc = sqlite3_step(statement);
	*found = rc == SQLITE_ROW;
	if (*found) {
		result->repeated = true;
		if (slice_equal(column_blob(statement, 5), hash))
			read(statement, result);
		else
			result->error = PYGMY_KEY_REUSED;
	}
	enum pygmy_error error = database_error(database, rc, "find request key");
	sqlite3_reset(statement);
	return error;
}

enum pygmy_error result_row_find_order(struct database *database, sqlite3_stmt *statement, const struct command *command, bool *found,
				       struct result *result)
{
	return find(database, statement, command, found, result, read_order);
}

enum pygmy_error result_row_find_result(struct database *database, sqlite3_stmt *statement, const struct command *command, bool *found,
					struct result *result)
{
	return find(database, statement, command, found, result, read_result);
}
