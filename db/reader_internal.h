/* reader_internal: what the files reader*.c share: the statements, and what a reader is. */
#ifndef PYGMY_DB_READER_INTERNAL_H
#define PYGMY_DB_READER_INTERNAL_H

#include <pthread.h>

#include "db/database.h"
#include "db/reader.h"

/* X(NAME, sql) */
#define READER_STATEMENTS(X) \
	X(BEGIN, "BEGIN") \
	X(COMMIT, "COMMIT") \
	X(POSITION, "SELECT log_index, floor, catalogue_loaded, log_id FROM store") \
	X(SLOT, "SELECT revision FROM slots WHERE slot = ?1") \
	X(ITEM, "SELECT id, title, topic, cost_minor, count FROM items WHERE id = ?1 AND deleted = 0") \
	X(ITEMS, "SELECT id, title, topic, cost_minor, count FROM items WHERE id > ?2 AND deleted = 0 ORDER BY id LIMIT ?3") \
	X(ITEMS_OF_TOPIC, "SELECT id, title, topic, cost_minor, count FROM items" \
			  " WHERE topic = ?1 AND id > ?2 AND deleted = 0 ORDER BY id LIMIT ?3") \
	X(ORDER, "SELECT id, item_id, quantity, unit_cost_minor, created_ms FROM orders WHERE id = ?1") \
	X(ORDERS_UP, "SELECT id, item_id, quantity, unit_cost_minor, created_ms FROM orders WHERE id > ?1 ORDER BY id LIMIT ?2") \
	X(ORDERS_DOWN, "SELECT id, item_id, quantity, unit_cost_minor, created_ms FROM orders WHERE id < ?1 ORDER BY id DESC LIMIT ?2") \
	X(CHANGES, "SELECT slots FROM changes WHERE ring = ?1 AND revision = ?2") \
	X(ENTRY, "SELECT chain, mod_revision, log_bytes FROM changes WHERE ring = ?1 AND revision = ?2") \
	X(MEMBERS, "SELECT name, catalog_url, order_url, since FROM members ORDER BY name") \
	X(COUNTS, "SELECT (SELECT count(*) FROM items WHERE deleted = 0), (SELECT coalesce(max(id), 0) FROM orders), chain FROM store")

enum reader_query {
#define X(name, sql) READ_##name,
	READER_STATEMENTS(X)
#undef X
	READ_STATEMENT_COUNT
};

struct reader {
	struct reader_pool *pool;
	struct reader *next;          /* in the pool's list of idle readers */
	struct database database;
	uint64_t revision;
	uint64_t floor;
	int64_t stale_ms;
	bool catalogue_loaded;
	char log_id[LOG_ID_TEXT_LEN + 1];     /* of the log that the database belongs to now */
	sqlite3_stmt *item_statement; /* whose row the caller still looks at, or NULL */
};

struct reader_pool {
	pthread_mutex_t mutex;
	struct reader *idle;
	int opened;
	int max;
	char *path;
};

sqlite3_stmt *reader_statement(const struct reader *reader, enum reader_query which);

#endif
