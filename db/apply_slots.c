/* apply_slots: which coherence slots an entry changed. They are written once per entry, however often it touched them. */
#include "db/apply_internal.h"

static void put_slot16(char *out, uint32_t slot)
{
	out[0] = (char)(unsigned char)(slot & 0xff);
	out[1] = (char)(unsigned char)(slot >> 8);
}

void slot_set_clear(struct slot_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		set->member[set->slots[i] / 8] = 0;
	set->count = 0;
	set->all = false;
}

void touch_slot(struct apply *apply, struct result *result, uint32_t slot)
{
	struct slot_set *set = &apply->touched;
	if (result->slot_count < SLOTS_PER_RESULT_MAX)
		result->slots[result->slot_count++] = slot;
	else
		touch_everything(apply, result);
	uint8_t bit = (uint8_t)(1u << (slot % 8));
	if ((set->member[slot / 8] & bit) != 0)
		return;
	set->member[slot / 8] |= bit;
	set->slots[set->count++] = slot;
}

void touch_everything(struct apply *apply, struct result *result)
{
	result->slot_count = SLOTS_ALL_CHANGED;
	apply->touched.all = true;
}

static enum pygmy_error raise_slots(struct apply *apply)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_RAISE_SLOT);
	enum pygmy_error error = PYGMY_OK;
	for (uint32_t i = 0; error == PYGMY_OK && i < apply->touched.count; i++) {
		bind_int(statement, 1, apply->touched.slots[i]);
		bind_int(statement, 2, (int64_t)apply->index);
		error = statement_run(apply->database, statement, "raise slot");
	}
	return error;
}

enum pygmy_error apply_write_changes(struct apply *apply)
{
	const struct slot_set *set = &apply->touched;
	char bytes[sizeof set->slots / sizeof set->slots[0] * 2];
	for (uint32_t i = 0; i < set->count; i++)
		put_slot16(bytes + (size_t)2 * i, set->slots[i]);
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_WRITE_CHANGES);
	bind_int(statement, 1, (int64_t)(apply->index % CHANGES_RING_ENTRIES));
	bind_int(statement, 2, (int64_t)apply->index);
	if (set->all)
		sqlite3_bind_null(statement, 3);
	else
		bind_blob(statement, 3, (struct slice){ bytes, (size_t)2 * set->count });
	bind_blob(statement, 4, (struct slice){ (const char *)apply->next.chain, CHAIN_BYTES });
	bind_int(statement, 5, (int64_t)apply->next.mod_revision);
	bind_int(statement, 6, (int64_t)apply->next.log_bytes);
	return statement_run(apply->database, statement, "write changes");
}

enum pygmy_error apply_write_slots(struct apply *apply)
{
	if (!apply->touched.all)
		return raise_slots(apply);
	apply->next.floor = apply->index;
	return PYGMY_OK;
}
