/* apply: one entry from envelope to position. The commands themselves are in apply_buy.c, apply_item.c and apply_cluster.c. */
#include "db/apply.h"

#include <sodium.h>
#include <stdlib.h>

#include "db/apply_internal.h"
#include "db/codec.h"
#include "db/entry.h"

static const char *const statement_sql[] = {
#define X(name, sql) sql,
	APPLY_STATEMENTS(X)
#undef X
};

enum pygmy_error apply_create(struct database *database, struct apply **out)
{
	*out = NULL;
	struct apply *apply = calloc(1, sizeof *apply);
	if (apply == NULL)
		return PYGMY_OUT_OF_MEMORY;
	apply->database = database;
	enum pygmy_error error = database_prepare(database, statement_sql, STATEMENT_COUNT);
	if (error != PYGMY_OK) {
		free(apply);
		return error;
	}
	rows_attach(apply);
	*out = apply;
	return PYGMY_OK;
}

void apply_destroy(struct apply *apply)
{
	if (apply != NULL)
		rows_detach(apply);
	free(apply);
}

enum pygmy_error apply_read_position(struct apply *apply, struct apply_position *out)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_READ_STORE);
	int rc = sqlite3_step(statement);
	enum pygmy_error error = PYGMY_OK;
	if (rc == SQLITE_ROW && column_blob(statement, 1).len == CHAIN_BYTES) {
		*out = (struct apply_position){ .index = (uint64_t)sqlite3_column_int64(statement, 0),
						.catalogue_loaded = sqlite3_column_int(statement, 2) != 0,
						.damaged_entries = (uint64_t)sqlite3_column_int64(statement, 3),
						.floor = (uint64_t)sqlite3_column_int64(statement, 4),
						.audit_item = sqlite3_column_int64(statement, 5),
						.audit_order = sqlite3_column_int64(statement, 6),
						.log_bytes = (uint64_t)sqlite3_column_int64(statement, 7) };
		memcpy(out->chain, column_blob(statement, 1).ptr, CHAIN_BYTES);
	} else {
		error = database_error(apply->database, rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "read position");
	}
	sqlite3_reset(statement);
	return error;
}

/* ---- one command ------------------------------------------------------------------------------------ */

/* Both places are asked for every command: a purchase's key used for something else is a reused key too. */
static enum pygmy_error find_recorded(struct apply *apply, const struct command *command, bool *found, struct result *result)
{
	struct database *database = apply->database;
	enum pygmy_error error =
		result_row_find_order(database, apply_statement(apply, STATEMENT_FIND_ORDER), command, found, result);
	if (error == PYGMY_OK && !*found)
		error = result_row_find_result(database, apply_statement(apply, STATEMENT_FIND_RESULT), command, found, result);
	return error;
}

static enum pygmy_error carry_out(struct apply *apply, const struct command *command, struct result *result)
{
	switch (command->type) {
	case COMMAND_BUY:
		return apply_buy(apply, command, result);
	case COMMAND_ITEM_CREATE:
		return apply_item_create(apply, &command->item_create, result);
	case COMMAND_ITEM_UPDATE:
		return apply_item_update(apply, &command->item_update, result);
	case COMMAND_ITEM_DELETE:
		return apply_item_delete(apply, &command->item_delete, result);
	case COMMAND_IMPORT:
		return apply_import(apply, &command->import, result);
	case COMMAND_GENESIS:
		apply_genesis(apply, &command->genesis, result);
		return PYGMY_OK;
	case COMMAND_MEMBER_SET:
		return apply_member_set(apply, &command->member_set, result);
	case COMMAND_MEMBER_REMOVE:
		return apply_member_remove(apply, &command->member_remove, result);
	case COMMAND_AUDIT:
		return apply_audit(apply, &command->audit);
	}
	return PYGMY_INTERNAL;
}

static bool is_recorded_elsewhere(const struct command *command, const struct result *result)
{
	return command->type == COMMAND_BUY && result->error == PYGMY_OK;     /* its order row is the record */
}

static enum pygmy_error apply_command(struct apply *apply, const struct command *command, struct result *result)
{
	bool found;
	*result = (struct result){ .revision = apply->index };
	if (!command_is_recorded(command))
		return carry_out(apply, command, result);
	if (apply->index > command->base_index && apply->index - command->base_index > RESULT_WINDOW_ENTRIES) {
		result->error = PYGMY_KEY_TOO_OLD;
		return PYGMY_OK;
	}
	enum pygmy_error error = find_recorded(apply, command, &found, result);
	if (error != PYGMY_OK || found)
		return error;
	error = carry_out(apply, command, result);
	if (error == PYGMY_OK && !is_recorded_elsewhere(command, result))
		error = apply_record_result(apply, command, result);
	return error;
}

/* ---- the entry -------------------------------------------------------------------------------------- */

static void put_result(struct codec_writer *writer, const struct result *result)
{
	codec_put_uint(writer, (uint64_t)result->error);
	codec_put_uint(writer, result->revision);
	codec_put_int(writer, result->id);
	codec_put_int(writer, result->quantity);
	codec_put_uint(writer, result->slot_count);
	for (uint32_t i = 0; result->slot_count != SLOTS_ALL_CHANGED && i < result->slot_count; i++)
		codec_put_uint(writer, result->slots[i]);
}

/* chain(i) = BLAKE2b-256(chain(i-1), entry(i), results(i), rows(i)); the envelope tells where a sound entry ends, its length where a damaged one. */
static void extend_chain(uint8_t chain[CHAIN_BYTES], struct slice entry, const struct result *results, size_t count,
			 const uint8_t rows[CHAIN_BYTES])
{
	char buf[(5 + SLOTS_PER_RESULT_MAX) * VARINT_MAX_BYTES];
	crypto_generichash_state state;
	struct codec_writer writer = codec_writer(buf, sizeof buf);
	codec_put_uint(&writer, entry.len);
	crypto_generichash_init(&state, NULL, 0, CHAIN_BYTES);
	crypto_generichash_update(&state, chain, CHAIN_BYTES);
	crypto_generichash_update(&state, (const unsigned char *)buf, writer.len);
	crypto_generichash_update(&state, (const unsigned char *)entry.ptr, entry.len);
	for (size_t i = 0; i < count; i++) {
		writer = codec_writer(buf, sizeof buf);
		put_result(&writer, &results[i]);
		crypto_generichash_update(&state, (const unsigned char *)buf, writer.len);
	}
	crypto_generichash_update(&state, rows, CHAIN_BYTES);
	crypto_generichash_final(&state, chain, CHAIN_BYTES);
}

/* Decodes all commands before the first is carried out. *count is 0 when the entry is damaged. */
static enum pygmy_error decode_entry(struct slice entry, struct arena *arena, struct command **out, size_t *count, bool *damaged)
{
	struct slice body = SLICE_EMPTY;
	enum entry_error opened = entry_open(entry, &body);
	*count = 0;
	*damaged = opened == ENTRY_DAMAGED;
	if (opened == ENTRY_UNKNOWN_FORMAT)
		return PYGMY_INCOMPATIBLE;
	struct command *commands = arena_take(arena, BATCH_MAX_COMMANDS * sizeof *commands);
	if (commands == NULL)
		return PYGMY_OUT_OF_MEMORY;
	size_t decoded = 0;
	while (!*damaged && body.len > 0) {
		enum command_decode_error error =
			decoded == BATCH_MAX_COMMANDS ? COMMAND_MALFORMED : command_decode(&body, arena, &commands[decoded]);
		if (error == COMMAND_UNKNOWN)
			return PYGMY_INCOMPATIBLE;
		if (error == COMMAND_NO_MEMORY)
			return PYGMY_OUT_OF_MEMORY;
		*damaged = error == COMMAND_MALFORMED;
		decoded++;
	}
	*out = commands;
	*count = *damaged ? 0 : decoded;
	return PYGMY_OK;
}

static enum pygmy_error write_position(struct apply *apply)
{
	const struct apply_position *position = &apply->next;
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_WRITE_STORE);
	bind_int(statement, 1, (int64_t)position->index);
	bind_blob(statement, 2, (struct slice){ (const char *)position->chain, CHAIN_BYTES });
	bind_int(statement, 3, position->catalogue_loaded ? 1 : 0);
	bind_int(statement, 4, (int64_t)position->damaged_entries);
	bind_int(statement, 5, (int64_t)position->floor);
	bind_int(statement, 6, position->audit_item);
	bind_int(statement, 7, position->audit_order);
	bind_int(statement, 8, (int64_t)position->log_bytes);
	return statement_run(apply->database, statement, "write position");
}

/* All that goes into the rows' digest happens here. */
static enum pygmy_error change_rows(struct apply *apply, const struct command *commands, size_t count, struct result *results,
				    uint8_t digest[CHAIN_BYTES])
{
	enum pygmy_error error = PYGMY_OK;
	rows_begin(&apply->rows);
	rows_put_position(&apply->rows, &apply->next);
	for (size_t i = 0; error == PYGMY_OK && i < count; i++)
		error = apply_command(apply, &commands[i], &results[i]);
	if (error == PYGMY_OK)
		error = apply_write_slots(apply);
	if (error == PYGMY_OK)
		error = apply_prune_results(apply);
	rows_put_position(&apply->rows, &apply->next);
	int rc = rows_end(&apply->rows, digest);
	return error != PYGMY_OK ? error : database_error(apply->database, rc, "hash rows");
}

enum pygmy_error apply_entry(struct apply *apply, struct apply_position *position, struct slice entry, struct arena *arena,
			     struct result *results, size_t *result_count)
{
	struct command *commands = NULL;
	uint8_t rows[CHAIN_BYTES];
	size_t count;
	bool damaged;
	enum pygmy_error error = decode_entry(entry, arena, &commands, &count, &damaged);
	if (error != PYGMY_OK)
		return error;
	apply->next = *position;
	apply->index = position->index + 1;
	slot_set_clear(&apply->touched);
	error = change_rows(apply, commands, count, results, rows);
	if (error != PYGMY_OK)
		return error;
	extend_chain(apply->next.chain, entry, results, count, rows);
	apply->next.index = apply->index;
	apply->next.damaged_entries += damaged ? 1 : 0;
	apply->next.log_bytes += entry.len;
	error = apply_write_changes(apply);
	if (error == PYGMY_OK)
		error = write_position(apply);
	if (error == PYGMY_OK) {
		*position = apply->next;
		*result_count = count;
	}
	return error;
}
