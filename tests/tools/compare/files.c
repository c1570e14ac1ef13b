/*
 * files: the replicas' database files: each is sound and its books balance, and at one index all hold the same rows in every table
 * that the log determines. See compare.h.
 */
#include <inttypes.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/compare/compare.h"

#define BUSY_MS 5000
#define PAUSE_MS 50
#define HASH_BYTES 32

struct file {
	const char *path;
	sqlite3 *handle;
	int64_t index;
};

static struct file files[NODES_MAX];
static int file_count;

/* What the log determines: everything but what a replica knows of the log itself. */
static const char *const tables[] = {
	"SELECT * FROM store", "SELECT * FROM items ORDER BY id", "SELECT * FROM orders ORDER BY id", "SELECT * FROM results ORDER BY request_key",
	"SELECT * FROM slots ORDER BY slot", "SELECT * FROM changes ORDER BY ring", "SELECT * FROM members ORDER BY name",
};
#define TABLE_COUNT ((int)(sizeof tables / sizeof tables[0]))

/* Each row of these is something wrong. */
static const char *const complaints[] = {
	"SELECT 'integrity: ' || integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
	"SELECT 'foreign key: ' || \"table\" || ' ' || rowid FROM pragma_foreign_key_check",
	"SELECT 'item ' || id || ': ' || supplied || ' supplied, ' || count || ' left, ' || sold || ' sold' FROM items"
		" WHERE supplied <> count + sold OR count < 0",
	"SELECT 'item ' || items.id || ': ' || sold || ' sold, ' || coalesce(sum(quantity), 0) || ' ordered' FROM items"
		" LEFT JOIN orders ON item_id = items.id GROUP BY items.id HAVING sold <> coalesce(sum(quantity), 0)",
	"SELECT 'key ' || request_key || ' made ' || count(*) || ' orders' FROM orders GROUP BY request_key HAVING count(*) > 1",
};

void files_add(const char *path)
{
	if (file_count == NODES_MAX)
		tool_fail("--db is given more than %d times", NODES_MAX);
	files[file_count++].path = path;
}

static sqlite3_stmt *prepare(struct file *file, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(file->handle, sql, -1, &statement, NULL) != SQLITE_OK)
		problem("%s: %s: %s", file->path, sql, sqlite3_errmsg(file->handle));
	return statement;
}

static void exec(struct file *file, const char *sql)
{
	if (sqlite3_exec(file->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		problem("%s: %s: %s", file->path, sql, sqlite3_errmsg(file->handle));
}

/* Begins a read transaction; the file's position. */
static int64_t begin(struct file *file)
{
	int64_t index = -1;
	exec(file, "BEGIN");
	sqlite3_stmt *statement = prepare(file, "SELECT log_index FROM store");
	if (statement != NULL && sqlite3_step(statement) == SQLITE_ROW)
		index = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return index;
}

/* Begins a transaction on each at one index. Replicas in use move on, so it takes some tries. */
static bool begin_all(int64_t deadline_us)
{
	for (;;) {
		bool same = true;
		for (int i = 0; i < file_count; i++) {
			files[i].index = begin(&files[i]);
			same = same && files[i].index >= 0 && files[i].index == files[0].index;
		}
		if (same)
			return true;
		if (tool_now_us() > deadline_us) {
			for (int i = 0; i < file_count; i++)
				problem("%s is at index %" PRId64, files[i].path, files[i].index);
			return false;
		}
		for (int i = 0; i < file_count; i++)
			exec(&files[i], "ROLLBACK");
		tool_sleep_ms(PAUSE_MS);
	}
}

static void complain(struct file *file, const char *sql)
{
	sqlite3_stmt *statement = prepare(file, sql);
	while (statement != NULL && sqlite3_step(statement) == SQLITE_ROW)
		problem("%s: %s", file->path, (const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
}

static void hash_column(crypto_generichash_state *state, sqlite3_stmt *statement, int column)
{
	int type = sqlite3_column_type(statement, column), len = sqlite3_column_bytes(statement, column);
	const void *bytes = sqlite3_column_blob(statement, column);
	crypto_generichash_update(state, (const unsigned char *)&type, sizeof type);
	crypto_generichash_update(state, (const unsigned char *)&len, sizeof len);
	if (len > 0)
		crypto_generichash_update(state, bytes, (unsigned long long)len);
}

static void hash_table(struct file *file, const char *sql, unsigned char hash[HASH_BYTES])
{
	crypto_generichash_state state;
	sqlite3_stmt *statement = prepare(file, sql);
	crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
	while (statement != NULL && sqlite3_step(statement) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(statement); i++)
			hash_column(&state, statement, i);
	sqlite3_finalize(statement);
	crypto_generichash_final(&state, hash, HASH_BYTES);
}

static void compare_table(const char *sql)
{
	unsigned char first[HASH_BYTES], other[HASH_BYTES];
	hash_table(&files[0], sql, first);
	for (int i = 1; i < file_count; i++) {
		hash_table(&files[i], sql, other);
		if (memcmp(first, other, HASH_BYTES) != 0)
			problem("at index %" PRId64 " %s and %s differ in: %s", files[0].index, files[0].path, files[i].path, sql);
	}
}

static void look_up_acks(struct file *file)
{
	char key[600];
	sqlite3_stmt *statement = prepare(file, "SELECT id FROM orders WHERE request_key = ?1");
	for (size_t i = 0; i < books_ack_count() && statement != NULL; i++) {
		const struct ack *ack = books_ack(i);
		snprintf(key, sizeof key, "buy/0/%s", ack->key);
		sqlite3_bind_text(statement, 1, key, -1, SQLITE_TRANSIENT);
		int64_t order = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
		if (order != ack->order)
			problem("%s: %s was answered with order %" PRId64 ", but made %" PRId64 " (0: none)", file->path, ack->key, ack->order, order);
		sqlite3_reset(statement);
	}
	sqlite3_finalize(statement);
}

void files_compare(int64_t deadline_us)
{
	for (int i = 0; i < file_count; i++) {
		if (sqlite3_open_v2(files[i].path, &files[i].handle, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
			tool_fail("%s: %s", files[i].path, sqlite3_errmsg(files[i].handle));
		sqlite3_busy_timeout(files[i].handle, BUSY_MS);
	}
	if (file_count > 0 && begin_all(deadline_us)) {
		for (int i = 0; i < TABLE_COUNT; i++)
			compare_table(tables[i]);
		for (int i = 0; i < file_count; i++) {
			for (size_t j = 0; j < sizeof complaints / sizeof complaints[0]; j++)
				complain(&files[i], complaints[j]);
			look_up_acks(&files[i]);
		}
	}
	for (int i = 0; i < file_count; i++)
		sqlite3_close(files[i].handle);
}
