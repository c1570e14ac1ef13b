/*
 * apply_internal: what the files apply*.c share: the statements, the slots that the current entry touched, and the
 * functions that carry out one kind of command each.
 *
 * A command function returns a local failure, or PYGMY_OK with its decision in *result (which may be a refusal: then it has
 * changed nothing). It checks everything before its first change.
 */
#ifndef PYGMY_DB_APPLY_INTERNAL_H
#define PYGMY_DB_APPLY_INTERNAL_H

#include "db/apply.h"
#include "db/command.h"

/* X(NAME, sql) */
#define APPLY_STATEMENTS(X) \
	X(READ_STORE, "SELECT log_index, chain, catalogue_loaded, damaged_entries FROM store") \
	X(WRITE_STORE, "UPDATE store SET log_index = ?1, chain = ?2, catalogue_loaded = ?3, damaged_entries = ?4") \
	X(RAISE_FLOOR, "UPDATE store SET log_index = ?1, floor = ?1") \
	X(FIND_ORDER, "SELECT id, item_id, quantity, revision, topic_slot, payload_hash FROM orders WHERE request_key = ?1") \
	X(FIND_RESULT, "SELECT error, revision, id, quantity, slots, payload_hash FROM results WHERE request_key = ?1") \
	X(RECORD_RESULT, "INSERT INTO results (request_key, payload_hash, error, revision, id, quantity, slots, kept)" \
			 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)") \
	X(PRUNE_RESULTS, "DELETE FROM results WHERE request_key IN (SELECT request_key FROM results" \
			 " WHERE kept = 0 AND revision < ?1 ORDER BY revision, request_key LIMIT ?2)") \
	X(FIND_ITEM, "SELECT title, topic, cost_minor, count FROM items WHERE id = ?1 AND deleted = 0") \
	X(SELL_ITEM, "UPDATE items SET count = count - ?2, sold = sold + ?2 WHERE id = ?1") \
	X(INSERT_ORDER, "INSERT INTO orders (item_id, quantity, unit_cost_minor, created_ms, revision, topic_slot, request_key," \
			" payload_hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)") \
	X(UPDATE_ITEM, "UPDATE items SET cost_minor = ?2, count = ?3, supplied = ?3 + sold WHERE id = ?1") \
	X(DELETE_ITEM, "UPDATE items SET deleted = 1, count = 0, supplied = sold WHERE id = ?1") \
	X(LAST_ITEM, "SELECT coalesce(max(id), 0) FROM items") \
	X(PUT_ITEM, "INSERT INTO items (id, title, topic, cost_minor, count, supplied, sold, deleted)" \
		    " VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, 0) ON CONFLICT (id) DO UPDATE SET title = excluded.title," \
		    " topic = excluded.topic, cost_minor = excluded.cost_minor, count = excluded.count," \
		    " supplied = excluded.count + sold, deleted = 0") \
	X(RAISE_SLOT, "INSERT INTO slots (slot, revision) VALUES (?1, ?2) ON CONFLICT (slot) DO UPDATE SET revision = excluded.revision") \
	X(WRITE_CHANGES, "INSERT INTO changes (ring, revision, slots) VALUES (?1, ?2, ?3)" \
			 " ON CONFLICT (ring) DO UPDATE SET revision = excluded.revision, slots = excluded.slots")

enum apply_statement {
#define X(name, sql) STATEMENT_##name,
	APPLY_STATEMENTS(X)
#undef X
	STATEMENT_COUNT
};

/* The slots touched by the current entry, each once, in the order of their first touch. */
struct slot_set {
	uint8_t member[SLOT_COUNT / 8];
	uint32_t slots[BATCH_MAX_COMMANDS * SLOTS_PER_RESULT_MAX];
	uint32_t count;
	bool all;                     /* everything counts as changed */
};

struct apply {
	struct database *database;
	uint64_t index;               /* of the entry that is being applied */
	bool catalogue_loaded;
	struct slot_set touched;
};

static inline sqlite3_stmt *apply_statement(const struct apply *apply, enum apply_statement which)
{
	return apply->database->statements[which];
}

/* apply_buy.c */
enum pygmy_error apply_buy(struct apply *apply, const struct command *command, struct result *result);
/* What an earlier purchase under this key decided. *found tells whether there was one. */
enum pygmy_error apply_find_order(struct apply *apply, const struct command *command, bool *found, struct result *result);

/* apply_item.c */
enum pygmy_error apply_item_create(struct apply *apply, const struct item_create_command *create, struct result *result);
enum pygmy_error apply_item_update(struct apply *apply, const struct item_update_command *update, struct result *result);
enum pygmy_error apply_item_delete(struct apply *apply, const struct item_delete_command *delete, struct result *result);
enum pygmy_error apply_import(struct apply *apply, const struct import_command *import, struct result *result);
/* Reads a live item; the texts are valid until the statement FIND_ITEM is reset, which the caller does. */
enum pygmy_error apply_find_item(struct apply *apply, int64_t id, bool *found, struct item *item);

/* apply_slots.c */
void touch_slot(struct apply *apply, struct result *result, uint32_t slot);
void touch_everything(struct apply *apply, struct result *result);
/* Writes the touched slots and the changes ring for apply->index, and empties the set. */
enum pygmy_error apply_write_slots(struct apply *apply);
void slot_set_clear(struct slot_set *set);

/* apply_record.c */
enum pygmy_error apply_find_result(struct apply *apply, const struct command *command, bool *found, struct result *result);
enum pygmy_error apply_record_result(struct apply *apply, const struct command *command, const struct result *result);
enum pygmy_error apply_prune_results(struct apply *apply);

#endif
