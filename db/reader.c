/* reader: see reader.h and the reads of replica.h. */
#include "db/reader.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "db/database.h"
#include "db/limits.h"
#include "db/schema.h"

/* X(NAME, sql) */
#define READER_STATEMENTS(X) \
	X(BEGIN, "BEGIN") \
	X(COMMIT, "COMMIT") \
	X(POSITION, "SELECT log_index, floor, catalogue_loaded FROM store") \
	X(SLOT, "SELECT revision FROM slots WHERE slot = ?1") \
	X(ITEM, "SELECT id, title, topic, cost_minor, count FROM items WHERE id = ?1 AND deleted = 0") \
	X(ITEMS, "SELECT id, title, topic, cost_minor, count FROM items WHERE id > ?2 AND deleted = 0 ORDER BY id LIMIT ?3") \
	X(ITEMS_OF_TOPIC, "SELECT id, title, topic, cost_minor, count FROM items" \
			  " WHERE topic = ?1 AND id > ?2 AND deleted = 0 ORDER BY id LIMIT ?3") \
	X(ORDER, "SELECT id, item_id, quantity, unit_cost_minor, created_ms FROM orders WHERE id = ?1") \
	X(ORDERS_UP, "SELECT id, item_id, quantity, unit_cost_minor, created_ms FROM orders WHERE id > ?1 ORDER BY id LIMIT ?2") \
	X(ORDERS_DOWN, "SELECT id, item_id, quantity, unit_cost_minor, created_ms FROM orders WHERE id < ?1 ORDER BY id DESC LIMIT ?2") \
	X(CHANGES, "SELECT slots FROM changes WHERE ring = ?1 AND revision = ?2") \
	X(COUNTS, "SELECT (SELECT count(*) FROM items WHERE deleted = 0), (SELECT coalesce(max(id), 0) FROM orders), chain FROM store")

enum reader_statement {
#define X(name, sql) READ_##name,
	READER_STATEMENTS(X)
#undef X
	READ_STATEMENT_COUNT
};

static const char *const statement_sql[] = {
#define X(name, sql) sql,
	READER_STATEMENTS(X)
#undef X
};

struct reader {
	struct reader_pool *pool;
	struct reader *next;          /* in the pool's list of idle readers */
	struct database database;
	uint64_t revision;
	uint64_t floor;
	int64_t stale_ms;
	bool catalogue_loaded;
	sqlite3_stmt *item_statement; /* whose row the caller still looks at, or NULL */
};

struct reader_pool {
	pthread_mutex_t mutex;
	struct reader *idle;
	int opened;
	int max;
	char *path;
	const char *log_id;
};

/* ---- the pool --------------------------------------------------------------------------------------- */

enum pygmy_error reader_pool_create(const char *path, int max, const char *log_id, struct reader_pool **out)
{
	struct reader_pool *pool = calloc(1, sizeof *pool);
	*out = NULL;
	if (pool == NULL)
		return PYGMY_OUT_OF_MEMORY;
	pool->path = strdup(path);
	if (pool->path == NULL) {
		free(pool);
		return PYGMY_OUT_OF_MEMORY;
	}
	pthread_mutex_init(&pool->mutex, NULL);
	pool->max = max;
	pool->log_id = log_id;
	*out = pool;
	return PYGMY_OK;
}

static void reader_destroy(struct reader *reader)
{
	database_close(&reader->database);
	free(reader);
}

void reader_pool_destroy(struct reader_pool *pool)
{
	if (pool == NULL)
		return;
	while (pool->idle != NULL) {
		struct reader *next = pool->idle->next;
		reader_destroy(pool->idle);
		pool->idle = next;
	}
	pthread_mutex_destroy(&pool->mutex);
	free(pool->path);
	free(pool);
}

static enum pygmy_error reader_create(struct reader_pool *pool, struct reader **out)
{
	struct reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL)
		return PYGMY_OUT_OF_MEMORY;
	reader->pool = pool;
	enum pygmy_error error = database_open(&reader->database, pool->path, DATABASE_READ);
	if (error == PYGMY_OK)
		error = database_prepare(&reader->database, statement_sql, READ_STATEMENT_COUNT);
	if (error != PYGMY_OK) {
		reader_destroy(reader);
		return error;
	}
	*out = reader;
	return PYGMY_OK;
}

static enum pygmy_error pool_take(struct reader_pool *pool, struct reader **out)
{
	pthread_mutex_lock(&pool->mutex);
	struct reader *reader = pool->idle;
	bool may_open = reader == NULL && pool->opened < pool->max;
	if (reader != NULL)
		pool->idle = reader->next;
	else if (may_open)
		pool->opened++;
	pthread_mutex_unlock(&pool->mutex);
	*out = reader;
	if (reader != NULL)
		return PYGMY_OK;
	if (!may_open)
		return PYGMY_BUSY;
	enum pygmy_error error = reader_create(pool, out);
	if (error != PYGMY_OK) {
		pthread_mutex_lock(&pool->mutex);
		pool->opened--;
		pthread_mutex_unlock(&pool->mutex);
	}
	return error;
}

static void pool_put(struct reader_pool *pool, struct reader *reader)
{
	pthread_mutex_lock(&pool->mutex);
	reader->next = pool->idle;
	pool->idle = reader;
	pthread_mutex_unlock(&pool->mutex);
}

/* A connection that failed may be in any state: it is closed, and the next one opened afresh. */
static void pool_discard(struct reader_pool *pool, struct reader *reader)
{
	reader_destroy(reader);
	pthread_mutex_lock(&pool->mutex);
	pool->opened--;
	pthread_mutex_unlock(&pool->mutex);
}

/* ---- the transaction -------------------------------------------------------------------------------- */

static sqlite3_stmt *statement_of(const struct reader *reader, enum reader_statement which)
{
	return reader->database.statements[which];
}

static enum pygmy_error read_position(struct reader *reader)
{
	sqlite3_stmt *statement = statement_of(reader, READ_POSITION);
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) {
		reader->revision = (uint64_t)sqlite3_column_int64(statement, 0);
		reader->floor = (uint64_t)sqlite3_column_int64(statement, 1);
		reader->catalogue_loaded = sqlite3_column_int(statement, 2) != 0;
	}
	enum pygmy_error error = database_error(&reader->database, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "read position");
	sqlite3_reset(statement);
	return error;
}

enum pygmy_error reader_pool_begin(struct reader_pool *pool, int64_t stale_ms, struct reader **out)
{
	struct reader *reader;
	enum pygmy_error error = pool_take(pool, &reader);
	*out = NULL;
	if (error != PYGMY_OK)
		return error;
	error = statement_run(&reader->database, statement_of(reader, READ_BEGIN), "begin read");
	if (error == PYGMY_OK)
		error = read_position(reader);
	if (error != PYGMY_OK) {
		pool_discard(pool, reader);
		return error;
	}
	reader->stale_ms = stale_ms;
	*out = reader;
	return PYGMY_OK;
}

static void release_item(struct reader *reader)
{
	if (reader->item_statement != NULL)
		sqlite3_reset(reader->item_statement);
	reader->item_statement = NULL;
}

void reader_end(struct reader *reader)
{
	struct reader_pool *pool = reader->pool;
	release_item(reader);
	if (statement_run(&reader->database, statement_of(reader, READ_COMMIT), "end read") == PYGMY_OK)
		pool_put(pool, reader);
	else
		pool_discard(pool, reader);
}

uint64_t reader_revision(const struct reader *reader)
{
	return reader->revision;
}

int64_t reader_stale_ms(const struct reader *reader)
{
	return reader->stale_ms;
}

bool reader_catalogue_loaded(const struct reader *reader)
{
	return reader->catalogue_loaded;
}

enum pygmy_error reader_slot_changed(struct reader *reader, uint32_t slot, uint64_t *revision)
{
	release_item(reader);
	sqlite3_stmt *statement = statement_of(reader, READ_SLOT);
	bind_int(statement, 1, slot);
	int rc = sqlite3_step(statement);
	uint64_t changed = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
	*revision = changed > reader->floor ? changed : reader->floor;
	enum pygmy_error error = database_error(&reader->database, rc, "read slot");
	sqlite3_reset(statement);
	return error;
}

/* ---- items and orders ------------------------------------------------------------------------------- */

static struct item item_of_row(sqlite3_stmt *statement)
{
	return (struct item){ .id = sqlite3_column_int64(statement, 0),
			      .title = column_text(statement, 1),
			      .topic = column_text(statement, 2),
			      .cost_minor = sqlite3_column_int64(statement, 3),
			      .count = sqlite3_column_int64(statement, 4) };
}

enum pygmy_error reader_item(struct reader *reader, int64_t id, struct item *out)
{
	release_item(reader);
	sqlite3_stmt *statement = statement_of(reader, READ_ITEM);
	bind_int(statement, 1, id);
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) {
		*out = item_of_row(statement);
		reader->item_statement = statement;
		return PYGMY_OK;
	}
	enum pygmy_error error = database_error(&reader->database, rc, "read item");
	sqlite3_reset(statement);
	return error == PYGMY_OK ? PYGMY_ITEM_NOT_FOUND : error;
}

enum pygmy_error reader_items(struct reader *reader, struct slice topic, int64_t after, int limit, item_visit visit, void *context,
			      bool *more)
{
	release_item(reader);
	sqlite3_stmt *statement = statement_of(reader, topic.ptr == NULL ? READ_ITEMS : READ_ITEMS_OF_TOPIC);
	if (topic.ptr != NULL)
		bind_text(statement, 1, topic);
	bind_int(statement, 2, after);
	bind_int(statement, 3, (int64_t)limit + 1);
	int rc, seen = 0;
	*more = false;
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		struct item item = item_of_row(statement);
		*more = seen++ == limit;
		if (*more || !visit(context, &item))
			break;
	}
	enum pygmy_error error = database_error(&reader->database, rc, "read items");
	sqlite3_reset(statement);
	return error;
}

static struct order order_of_row(sqlite3_stmt *statement)
{
	return (struct order){ .id = sqlite3_column_int64(statement, 0),
			       .item_id = sqlite3_column_int64(statement, 1),
			       .quantity = sqlite3_column_int64(statement, 2),
			       .unit_cost_minor = sqlite3_column_int64(statement, 3),
			       .created_ms = sqlite3_column_int64(statement, 4) };
}

enum pygmy_error reader_order(struct reader *reader, int64_t id, struct order *out)
{
	sqlite3_stmt *statement = statement_of(reader, READ_ORDER);
	bind_int(statement, 1, id);
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*out = order_of_row(statement);
	enum pygmy_error error = database_error(&reader->database, rc, "read order");
	sqlite3_reset(statement);
	return error == PYGMY_OK && rc == SQLITE_DONE ? PYGMY_ORDER_NOT_FOUND : error;
}

enum pygmy_error reader_orders(struct reader *reader, int64_t bound, bool descending, int limit, order_visit visit, void *context,
			       bool *more)
{
	sqlite3_stmt *statement = statement_of(reader, descending ? READ_ORDERS_DOWN : READ_ORDERS_UP);
	bind_int(statement, 1, descending && bound == 0 ? INT64_MAX : bound);
	bind_int(statement, 2, (int64_t)limit + 1);
	int rc, seen = 0;
	*more = false;
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		struct order order = order_of_row(statement);
		*more = seen++ == limit;
		if (*more || !visit(context, &order))
			break;
	}
	enum pygmy_error error = database_error(&reader->database, rc, "read orders");
	sqlite3_reset(statement);
	return error;
}

/* ---- changes and counts ----------------------------------------------------------------------------- */

static enum pygmy_error write_reset(struct reader *reader, struct arena *arena, struct slice *text)
{
	struct changes_head head = { .kind = CHANGES_RESET, .position = reader->revision };
	char buf[128];
	memcpy(head.log_id, reader->pool->log_id, LOG_ID_HEX_LEN);
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
	sqlite3_stmt *statement = statement_of(reader, READ_CHANGES);
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
	memcpy(head.log_id, reader->pool->log_id, LOG_ID_HEX_LEN);
	size_t len = changes_write_head(&head, buf, size);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (newest[slot] != 0)
			len += changes_write_line(newest[slot], &slot, 1, buf + len, size - len);
	*text = (struct slice){ buf, len };
	return PYGMY_OK;
}

enum pygmy_error reader_changes(struct reader *reader, struct slice log_id, uint64_t since, struct arena *arena, struct slice *text)
{
	bool known = slice_equal(log_id, slice_of(reader->pool->log_id)) && since <= reader->revision &&
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

enum pygmy_error reader_counts(struct reader *reader, struct reader_counts *out)
{
	sqlite3_stmt *statement = statement_of(reader, READ_COUNTS);
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
