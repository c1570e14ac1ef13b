/*
 * apply_internal: what the files apply*.c share: the statements, the slots that the current entry touched, and the
 * functions that carry out one kind of command each.
 *
 * A command function returns a local failure, or PYGMY_OK with its decision in *result (which may be a refusal: then it has
 * changed nothing). It checks everything before its first change.
 */
#ifndef PYGMY_DB_APPLY_INTERNAL_H
#define PYGMY_DB_APPLY_INTERNAL_H

#include <sodium.h>

#include "db/apply.h"
#include "db/command.h"
#include "db/result_row.h"

/* X(NAME, sql) */
#define APPLY_STATEMENTS(X) \
	X(READ_STORE, "SELECT log_index, chain, catalogue_loaded, damaged_entries, floor, audit_item, audit_order, log_bytes FROM store") \
	X(WRITE_STORE, "UPDATE store SET log_index = ?1, chain = ?2, catalogue_loaded = ?3, damaged_entries = ?4, floor = ?5," \
		       " audit_item = ?6, audit_order = ?7, log_bytes = ?8") \
	X(FIND_ORDER, RESULT_ROW_ORDER_SQL) \
	X(FIND_RESULT, RESULT_ROW_RESULT_SQL) \
	X(RECORD_RESULT, "INSERT INTO results (request_key, payload_hash, error, revision, id, quantity, slots, kept)" \
			 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)") \
	X(PRUNE_RESULT, "DELETE FROM results WHERE request_key = (SELECT request_key FROM results" \
			" WHERE kept = 0 AND revision < ?1 ORDER BY revision, request_key LIMIT 1)") \
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
	X(COUNT_MEMBERS, "SELECT count(*), coalesce(sum(name = ?1), 0) FROM members") \
	X(PUT_MEMBER, "INSERT INTO members (name, catalog_url, order_url, since) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET" \
		      " catalog_url = excluded.catalog_url, order_url = excluded.order_url") \
	X(REMOVE_MEMBER, "DELETE FROM members WHERE name = ?1") \
	X(AUDIT_ITEMS, "SELECT * FROM items WHERE id > ?1 ORDER BY id LIMIT ?2") \
	X(AUDIT_ORDERS, "SELECT * FROM orders WHERE id > ?1 ORDER BY id LIMIT ?2") \
	X(AUDIT_MEMBERS, "SELECT * FROM members ORDER BY name") \
	X(WRITE_CHANGES, "INSERT INTO changes (ring, revision, slots, chain, mod_revision, log_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)" \
			 " ON CONFLICT (ring) DO UPDATE SET revision = excluded.revision, slots = excluded.slots," \
			 " chain = excluded.chain, mod_revision = excluded.mod_revision, log_bytes = excluded.log_bytes")

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

/* The hash over the rows that the current entry changes. */
struct row_digest {
	crypto_generichash_state state;
	char buf[512];
	size_t used;
	int rc;                       /* SQLite's, of reading the rows */
	bool open;                    /* between rows_begin and rows_end: changes count */
};

struct apply {
	struct database *database;
	uint64_t index;               /* of the entry that is being applied */
	struct apply_position next;   /* becomes the position behind it; its chain is still the one before */
	struct slot_set touched;
	struct row_digest rows;
};

static inline sqlite3_stmt *apply_statement(const struct apply *apply, enum apply_statement which)
{
	return apply->database->statements[which];
}

/* apply_buy.c */
enum pygmy_error apply_buy(struct apply *apply, const struct command *command, struct result *result);

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
/* Writes the touched slots for apply->index. */
enum pygmy_error apply_write_slots(struct apply *apply);
/* Writes the entry's place in the ring, when apply->next is complete. */
enum pygmy_error apply_write_changes(struct apply *apply);
void slot_set_clear(struct slot_set *set);

/* apply_cluster.c */
void apply_genesis(const struct apply *apply, const struct genesis_command *genesis, struct result *result);
enum pygmy_error apply_member_set(struct apply *apply, const struct member_set_command *member_set, struct result *result);
enum pygmy_error apply_member_remove(struct apply *apply, const struct member_remove_command *member_remove, struct result *result);
enum pygmy_error apply_audit(struct apply *apply, const struct audit_command *audit);

/* apply_rows.c */
void rows_attach(struct apply *apply);
void rows_detach(struct apply *apply);
void rows_begin(struct row_digest *digest);
/* Returns SQLITE_OK, or why a row could not be hashed: then out is worth nothing. */
int rows_end(struct row_digest *digest, uint8_t out[CHAIN_BYTES]);
void rows_put_position(struct row_digest *digest, const struct apply_position *position);
void rows_put_row(struct row_digest *digest, sqlite3_stmt *statement);    /* the row on which statement stands */

/* apply_record.c */
enum pygmy_error apply_record_result(struct apply *apply, const struct command *command, const struct result *result);
enum pygmy_error apply_prune_results(struct apply *apply);

#endif
