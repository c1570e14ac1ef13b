/* reader: the pool, the transaction, items and orders. What readers tell about the log is in reader_log.c. See reader.h and the reads of replica.h. */
#include "db/reader_internal.h"

#include <stdlib.h>

#include "db/limits.h"

static const char *const statement_sql[] = {
#define X(name, sql) sql,
	READER_STATEMENTS(X)
#undef X
};

/* ---- the pool --------------------------------------------------------------------------------------- */

enum pygmy_error reader_pool_create(const char *path, int max, struct reader_pool **out)
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

/* NULL when none is idle; then *may_open tells whether another one may be opened, which counts already. */
static struct reader *pool_take_idle(struct reader_pool *pool, bool *may_open)
{
	pthread_mutex_lock(&pool->mutex);
	struct reader *reader = pool->idle;
	*may_open = reader == NULL && pool->opened < pool->max;
	if (reader != NULL)
		pool->idle = reader->next;
	else if (*may_open)
		pool->opened++;
	pthread_mutex_unlock(&pool->mutex);
	return reader;
}

static enum pygmy_error pool_take(struct reader_pool *pool, struct reader **out)
{
	struct reader *reader;
	bool may_open;
	/* A connection to a file that was removed or replaced would go on showing it. */
	while ((reader = pool_take_idle(pool, &may_open)) != NULL && database_has_moved(&reader->database))
		pool_discard(pool, reader);
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

/* ---- the transaction -------------------------------------------------------------------------------- */

sqlite3_stmt *reader_statement(const struct reader *reader, enum reader_query which)
{
	return reader->database.statements[which];
}

static enum pygmy_error read_position(struct reader *reader)
{
	sqlite3_stmt *statement = reader_statement(reader, READ_POSITION);
	int rc = sqlite3_step(statement);
	struct slice log_id = rc == SQLITE_ROW ? column_text(statement, 3) : SLICE_EMPTY;
	if (log_id.len == LOG_ID_TEXT_LEN) {
		memcpy(reader->log_id, log_id.ptr, LOG_ID_TEXT_LEN);
		reader->revision = (uint64_t)sqlite3_column_int64(statement, 0);
		reader->floor = (uint64_t)sqlite3_column_int64(statement, 1);
		reader->catalogue_loaded = sqlite3_column_int(statement, 2) != 0;
	}
	bool is_sound = log_id.len == LOG_ID_TEXT_LEN || (rc != SQLITE_ROW && rc != SQLITE_DONE);
	enum pygmy_error error = database_error(&reader->database, is_sound ? rc : SQLITE_CORRUPT, "read position");
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
	error = statement_run(&reader->database, reader_statement(reader, READ_BEGIN), "begin read");
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
	if (statement_run(&reader->database, reader_statement(reader, READ_COMMIT), "end read") == PYGMY_OK)
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
	sqlite3_stmt *statement = reader_statement(reader, READ_SLOT);
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
	sqlite3_stmt *statement = reader_statement(reader, READ_ITEM);
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
	sqlite3_stmt *statement = reader_statement(reader, topic.ptr == NULL ? READ_ITEMS : READ_ITEMS_OF_TOPIC);
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
	sqlite3_stmt *statement = reader_statement(reader, READ_ORDER);
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
	sqlite3_stmt *statement = reader_statement(reader, descending ? READ_ORDERS_DOWN : READ_ORDERS_UP);
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
