/* reader_log: what readers tell about the log and the store as a whole: what changed since, one entry, the members, counts. */
#include "db/reader_internal.h"

#include <sodium.h>
#include <stdlib.h>

#include "db/limits.h"

/* ---- changes ---------------------------------------------------------------------------------------- */

static enum pygmy_error write_reset(struct reader *reader, struct arena *arena, struct slice *text)
{
	struct changes_head head = { .kind = CHANGES_RESET, .position = reader->revision };
	char buf[128];
	memcpy(head.log_id, reader->log_id, LOG_ID_HEX_LEN);
	*text = arena_copy(arena, (struct slice){ buf, changes_write_head(&head, buf, sizeof buf) });
	return text->ptr == NULL ? PYGMY_OUT_OF_MEMORY : PYGMY_OK;
}

/* Adds the slots of one entry to newest[], which keeps the last revision per slot. */
static void collect_slots(struct slice bytes, uint64_t revision, uint64_t *newest)
{
	for (size_t i = 0; i + 1 < bytes.len; i += 2)
		newest[(unsigned char)bytes.ptr[i] | (unsigned)(unsigned char)bytes.ptr[i + 1] << 8] = revision;
}

/* *complete becomes false when an entry of (since, revision] is not remembered, or changed everything. */
static enum pygmy_error collect_changes(struct reader *reader, uint64_t since, uint64_t *newest, bool *complete)
{
	sqlite3_stmt *statement = reader_statement(reader, READ_CHANGES);
	enum pygmy_error error = PYGMY_OK;
	*complete = true;
	for (uint64_t revision = since + 1; error == PYGMY_OK && *complete && revision <= reader->revision; revision++) {
		bind_int(statement, 1, (int64_t)(revision % CHANGES_RING_ENTRIES));
		bind_int(statement, 2, (int64_t)revision);
		int rc = sqlite3_step(statement);
		*complete = rc == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL;
		if (*complete)
			collect_slots(column_blob(statement, 0), revision, newest);
		error = database_error(&reader->database, rc, "read changes");
		sqlite3_reset(statement);
	}
	return error;
}

#define CHANGES_PAIR_MAX_BYTES 28     /* "<revision> <slot>\n" */

static enum pygmy_error write_delta(struct reader *reader, const uint64_t *newest, struct arena *arena, struct slice *text)
{
	struct changes_head head = { .kind = CHANGES_DELTA, .position = reader->revision };
	size_t pairs = 0;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		pairs += newest[slot] != 0 ? 1 : 0;
	size_t size = 128 + pairs * CHANGES_PAIR_MAX_BYTES;
	char *buf = size > CHANGES_TEXT_MAX_BYTES ? NULL : arena_take(arena, size);
	if (buf == NULL)
		return write_reset(reader, arena, text);
	memcpy(head.log_id, reader->log_id, LOG_ID_HEX_LEN);
	size_t len = changes_write_head(&head, buf, size);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (newest[slot] != 0)
			len += changes_write_line(newest[slot], &slot, 1, buf + len, size - len);
	*text = (struct slice){ buf, len };
	return PYGMY_OK;
}

enum pygmy_error reader_changes(struct reader *reader, struct slice log_id, uint64_t since, struct arena *arena, struct slice *text)
{
	bool known = slice_equal(log_id, slice_of(reader->log_id)) && since <= reader->revision &&
		     reader->revision - since < CHANGES_RING_ENTRIES;
	uint64_t *newest = known ? calloc(SLOT_COUNT, sizeof *newest) : NULL;
	bool complete = false;
	enum pygmy_error error = PYGMY_OK;
	if (newest != NULL)
		error = collect_changes(reader, since, newest, &complete);
	if (error == PYGMY_OK)
		error = complete ? write_delta(reader, newest, arena, text) : write_reset(reader, arena, text);
	free(newest);
	return error;
}

/* ---- entries, members, counts ----------------------------------------------------------------------- */

enum pygmy_error reader_entry(struct reader *reader, uint64_t index, struct reader_entry *out)
{
	sqlite3_stmt *statement = reader_statement(reader, READ_ENTRY);
	bind_int(statement, 1, (int64_t)(index % CHANGES_RING_ENTRIES));
	bind_int(statement, 2, (int64_t)index);
	int rc = sqlite3_step(statement);
	struct slice chain = rc == SQLITE_ROW ? column_blob(statement, 0) : SLICE_EMPTY;
	*out = (struct reader_entry){ 0 };
	bool remembered = chain.len == CHAIN_BYTES;
	if (remembered) {
		memcpy(out->chain, chain.ptr, CHAIN_BYTES);
		out->mod_revision = (uint64_t)sqlite3_column_int64(statement, 1);
		out->log_bytes = (uint64_t)sqlite3_column_int64(statement, 2);
	}
	enum pygmy_error error = database_error(&reader->database, rc, "read entry");
	sqlite3_reset(statement);
	return error == PYGMY_OK && !remembered ? PYGMY_NOT_READY : error;
}

static bool copy_text(sqlite3_stmt *statement, int column, char *out, size_t size)
{
	struct slice text = column_text(statement, column);
	if (text.ptr == NULL || text.len >= size)
		return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

enum pygmy_error reader_members(struct reader *reader, struct configured_member *members, size_t *count)
{
	sqlite3_stmt *statement = reader_statement(reader, READ_MEMBERS);
	bool sound = true;
	int rc;
	*count = 0;
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW && sound) {
		struct configured_member *member = &members[*count];
		sound = *count < MEMBERS_MAX && copy_text(statement, 0, member->name, sizeof member->name) &&
			copy_text(statement, 1, member->catalog_url, sizeof member->catalog_url) &&
			copy_text(statement, 2, member->order_url, sizeof member->order_url);
		if (sound)
			member->since = (uint64_t)sqlite3_column_int64(statement, 3);
		*count += sound ? 1 : 0;
	}
	enum pygmy_error error = database_error(&reader->database, sound ? rc : SQLITE_CORRUPT, "read members");
	sqlite3_reset(statement);
	return error;
}

enum pygmy_error reader_counts(struct reader *reader, struct reader_counts *out)
{
	sqlite3_stmt *statement = reader_statement(reader, READ_COUNTS);
	int rc = sqlite3_step(statement);
	*out = (struct reader_counts){ .revision = reader->revision };
	if (rc == SQLITE_ROW) {
		struct slice chain = column_blob(statement, 2);
		out->items = sqlite3_column_int64(statement, 0);
		out->orders = sqlite3_column_int64(statement, 1);
		if (chain.len == CHAIN_BYTES)
			sodium_bin2hex(out->chain_hex, sizeof out->chain_hex, (const unsigned char *)chain.ptr, chain.len);
	}
	enum pygmy_error error = database_error(&reader->database, rc, "count");
	sqlite3_reset(statement);
	return error;
}
