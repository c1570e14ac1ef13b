/* apply_record: the results of all requests but successful purchases, by request key. */
#include "db/apply_internal.h"
#include "db/request_key.h"

#define SLOT_BYTES 2
#define PRUNE_EVERY_ENTRIES 16
#define PRUNE_MAX_ROWS (2 * PRUNE_EVERY_ENTRIES * BATCH_MAX_COMMANDS)     /* twice what can have come since */

static void bind_slots(sqlite3_stmt *statement, int index, const struct result *result, char *buf)
{
	if (result->slot_count == SLOTS_ALL_CHANGED) {
		sqlite3_bind_null(statement, index);
		return;
	}
	for (uint32_t i = 0; i < result->slot_count; i++) {
		buf[SLOT_BYTES * i] = (char)(unsigned char)(result->slots[i] & 0xff);
		buf[SLOT_BYTES * i + 1] = (char)(unsigned char)(result->slots[i] >> 8);
	}
	bind_blob(statement, index, (struct slice){ buf, (size_t)SLOT_BYTES * result->slot_count });
}

enum pygmy_error apply_record_result(struct apply *apply, const struct command *command, const struct result *result)
{
	char slots[SLOT_BYTES * SLOTS_PER_RESULT_MAX];
	bool kept = result->error == PYGMY_OK && request_key_is_kept(command->request_key);
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_RECORD_RESULT);
	bind_text(statement, 1, command->request_key);
	bind_blob(statement, 2, (struct slice){ (const char *)command->payload_hash, PAYLOAD_HASH_BYTES });
	bind_int(statement, 3, result->error);
	bind_int(statement, 4, (int64_t)result->revision);
	bind_int(statement, 5, result->id);
	bind_int(statement, 6, result->quantity);
	bind_slots(statement, 7, result, slots);
	bind_int(statement, 8, kept ? 1 : 0);
	return statement_run(apply->database, statement, "record result");
}

/* One by one, oldest first: the order goes into the chain hash. */
enum pygmy_error apply_prune_results(struct apply *apply)
{
	enum pygmy_error error = PYGMY_OK;
	if (apply->index % PRUNE_EVERY_ENTRIES != 0 || apply->index <= RESULT_WINDOW_ENTRIES)
		return PYGMY_OK;
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_PRUNE_RESULT);
	bind_int(statement, 1, (int64_t)(apply->index - RESULT_WINDOW_ENTRIES));
	for (int i = 0; error == PYGMY_OK && i < PRUNE_MAX_ROWS; i++) {
		error = statement_run(apply->database, statement, "prune results");
		if (error == PYGMY_OK && sqlite3_changes(apply->database->handle) == 0)
			break;
	}
	return error;
}
