/*
 * support: what the tests of the database share: a temporary folder, a bare store with apply on it, commands by one call,
 * one number out of SQL, a seeded random sequence, and waiting with a deadline.
 *
 * Functions that assert use cmocka and belong to the test's main thread. Header only, so that a test stays one file.
 */
#ifndef PYGMY_TESTS_UNIT_SUPPORT_H
#define PYGMY_TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "db/apply.h"
#include "db/command.h"
#include "db/diagnostics.h"
#include "db/entry.h"
#include "db/limits.h"

/* ---- folders ---------------------------------------------------------------------------------------- */

#define FOLDER_MAX 64
#define PATH_BYTES 128

static inline void folder_make(char folder[FOLDER_MAX])
{
	snprintf(folder, FOLDER_MAX, "/tmp/pygmy-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
}

/* Removes a folder without subfolders. */
static inline void folder_remove(const char *folder)
{
	char path[512];
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *file; (file = readdir(dir)) != NULL;) {
		snprintf(path, sizeof path, "%s/%s", folder, file->d_name);
		if (strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0)
			assert_int_equal(unlink(path), 0);
	}
	closedir(dir);
	assert_int_equal(rmdir(folder), 0);
}

/* Copies a text that must fit. (Not by snprintf: text and out may be parts of one object, which compilers take for an overlap.) */
static inline void text_put(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);
	assert_true(len < size);
	memcpy(out, text, len + 1);
}

static inline void path_in(char path[PATH_BYTES], const char *folder, const char *name)
{
	char text[512];
	assert_in_range(snprintf(text, sizeof text, "%s/%s", folder, name), 1, PATH_BYTES - 1);
	text_put(path, PATH_BYTES, text);
}

static inline void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* -1 when there is no such file. */
static inline int64_t file_size(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 ? (int64_t)status.st_size : -1;
}

/* ---- time and chance -------------------------------------------------------------------------------- */

static inline int64_t test_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* For polling: much shorter than the deadline of whoever polls. */
static inline void test_pause_ms(int ms)
{
	struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };
	nanosleep(&pause, NULL);
}

/* Waits until the condition holds, at most limit_ms. Its value is whether it does. */
#define WAIT_FOR(condition, limit_ms) __extension__({ \
	int64_t wait_until_ms = test_now_ms() + (limit_ms); \
	while (!(condition) && test_now_ms() < wait_until_ms) \
		test_pause_ms(1); \
	(condition); \
})

/* The seed of a test's random choices: PYGMY_TEST_SEED repeats a run. It is printed. */
static inline uint64_t test_seed(const char *test)
{
	const char *given = getenv("PYGMY_TEST_SEED");
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
	printf("# %s: PYGMY_TEST_SEED=%" PRIu64 "\n", test, seed);
	fflush(stdout);
	return seed;
}

/* splitmix64 (Steele, Lea, Flood): any seed will do. */
static inline uint64_t test_random(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* [min, max] */
static inline int64_t test_random_in(uint64_t *seed, int64_t min, int64_t max)
{
	return min + (int64_t)(test_random(seed) % (uint64_t)(max - min + 1));
}

/* ---- commands --------------------------------------------------------------------------------------- */

static inline struct command command_of(enum command_type type, const char *key)
{
	return (struct command){ .type = type, .request_key = slice_of(key), .time_ms = 1700000000000 };
}

static inline struct command buy_of(const char *key, int64_t item_id, int64_t quantity)
{
	struct command command = command_of(COMMAND_BUY, key);
	command.buy = (struct buy_command){ item_id, quantity };
	return command;
}

static inline struct item item_of(int64_t id, const char *title, const char *topic, int64_t cost_minor, int64_t count)
{
	return (struct item){ id, slice_of(title), slice_of(topic), cost_minor, count };
}

static inline struct command create_of(const char *key, const char *title, const char *topic, int64_t cost_minor, int64_t count)
{
	struct command command = command_of(COMMAND_ITEM_CREATE, key);
	command.item_create.item = item_of(0, title, topic, cost_minor, count);
	return command;
}

static inline struct command count_of(const char *key, int64_t item_id, int64_t count)
{
	struct command command = command_of(COMMAND_ITEM_UPDATE, key);
	command.item_update = (struct item_update_command){ .item_id = item_id, .has_count = true, .count = count };
	return command;
}

static inline struct command delta_of(const char *key, int64_t item_id, int64_t delta)
{
	struct command command = command_of(COMMAND_ITEM_UPDATE, key);
	command.item_update = (struct item_update_command){ .item_id = item_id, .has_delta = true, .delta = delta };
	return command;
}

static inline struct command cost_of(const char *key, int64_t item_id, int64_t cost_minor)
{
	struct command command = command_of(COMMAND_ITEM_UPDATE, key);
	command.item_update = (struct item_update_command){ .item_id = item_id, .has_cost = true, .cost_minor = cost_minor };
	return command;
}

static inline struct command delete_of(const char *key, int64_t item_id)
{
	struct command command = command_of(COMMAND_ITEM_DELETE, key);
	command.item_delete.item_id = item_id;
	return command;
}

static inline struct command import_of(const char *key, const struct item *items, size_t count)
{
	struct command command = command_of(COMMAND_IMPORT, key);
	command.import = (struct import_command){ false, false, count, items };
	return command;
}

/* chain is CHAIN_BYTES long and outlives the command. */
static inline struct command genesis_of(const char *key, uint64_t base_index, const uint8_t *chain)
{
	struct command command = command_of(COMMAND_GENESIS, key);
	command.genesis = (struct genesis_command){ base_index, { (const char *)chain, CHAIN_BYTES } };
	command.base_index = base_index;
	return command;
}

static inline struct command member_set_of(const char *key, const char *name, const char *catalog_url, const char *order_url)
{
	struct command command = command_of(COMMAND_MEMBER_SET, key);
	command.member_set = (struct member_set_command){ slice_of(name), slice_of(catalog_url), slice_of(order_url) };
	return command;
}

static inline struct command member_remove_of(const char *key, const char *name)
{
	struct command command = command_of(COMMAND_MEMBER_REMOVE, key);
	command.member_remove.name = slice_of(name);
	return command;
}

static inline struct command audit_of(const char *key, int64_t rows)
{
	struct command command = command_of(COMMAND_AUDIT, key);
	command.audit.rows = rows;
	return command;
}

/* A sealed entry of the commands, in the arena. */
static inline struct slice entry_of(struct arena *arena, const struct command *commands, size_t count)
{
	struct slice *parts = arena_take(arena, (count + 1) * sizeof *parts);
	size_t len = 0;
	assert_non_null(parts);
	for (size_t i = 0; i < count; i++) {
		parts[i] = command_encode(&commands[i], arena);
		assert_non_null(parts[i].ptr);
		len += parts[i].len;
	}
	char *entry = arena_take(arena, ENTRY_HEAD_BYTES + len);
	assert_non_null(entry);
	char *body = entry + ENTRY_HEAD_BYTES;
	for (size_t i = 0; i < count; i++) {
		memcpy(body, parts[i].ptr, parts[i].len);
		body += parts[i].len;
	}
	entry_seal((struct slice){ entry + ENTRY_HEAD_BYTES, len }, entry);
	return (struct slice){ entry, ENTRY_HEAD_BYTES + len };
}

/* ---- a store without proposer and log ---------------------------------------------------------------- */

struct bare_store {
	char folder[FOLDER_MAX];
	char path[PATH_BYTES];
	struct database database;
	struct apply *apply;
	struct apply_position position;
	struct arena arena;
	struct result results[BATCH_MAX_COMMANDS];
	size_t result_count;
};

/* How many rows SQL gives, or its first number: -1 without a row. */
static inline int64_t sql_number(struct database *database, const char *sql)
{
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL), SQLITE_OK);
	int64_t value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
	sqlite3_finalize(statement);
	return value;
}

static inline void sql_run(struct database *database, const char *sql)
{
	assert_int_equal(sqlite3_exec(database->handle, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* Tests of logic need no disk syncs; those of durability open a replica instead. */
static inline void bare_store_open(struct bare_store *store)
{
	bool created;
	memset(store, 0, sizeof *store);
	folder_make(store->folder);
	path_in(store->path, store->folder, "store.db");
	arena_init(&store->arena, (size_t)64 * 1024 * 1024);
	assert_int_equal(database_open(&store->database, store->path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&store->database, "PRAGMA synchronous = OFF; BEGIN IMMEDIATE");
	assert_int_equal(schema_ensure(&store->database, "0123456789abcdef", &created), PYGMY_OK);
	assert_true(created);
	sql_run(&store->database, "COMMIT");
	assert_int_equal(apply_create(&store->database, &store->apply), PYGMY_OK);
	assert_int_equal(apply_read_position(store->apply, &store->position), PYGMY_OK);
}

static inline void bare_store_close(struct bare_store *store)
{
	apply_destroy(store->apply);
	database_close(&store->database);
	arena_close(&store->arena);
	folder_remove(store->folder);
}

/* One entry in one transaction; rolled back on an error, and the position is read again. */
static inline enum pygmy_error bare_store_apply(struct bare_store *store, struct slice entry)
{
	sql_run(&store->database, "BEGIN IMMEDIATE");
	store->result_count = 0;
	enum pygmy_error error =
		apply_entry(store->apply, &store->position, entry, &store->arena, store->results, &store->result_count);
	sql_run(&store->database, error == PYGMY_OK ? "COMMIT" : "ROLLBACK");
	assert_int_equal(apply_read_position(store->apply, &store->position), PYGMY_OK);
	return error;
}

/* The commands as one entry, which must be applied. Results are in store->results. */
static inline void bare_store_run(struct bare_store *store, const struct command *commands, size_t count)
{
	assert_int_equal(bare_store_apply(store, entry_of(&store->arena, commands, count)), PYGMY_OK);
	assert_int_equal(store->result_count, count);
	arena_reset(&store->arena);
}

static inline struct result bare_store_do(struct bare_store *store, struct command command)
{
	bare_store_run(store, &command, 1);
	return store->results[0];
}

/* What must hold in every state of every store. */
static inline void assert_books_balance(struct database *database)
{
	assert_int_equal(sql_number(database, "SELECT count(*) FROM items WHERE count < 0 OR supplied <> count + sold"), 0);
	assert_int_equal(sql_number(database, "SELECT count(*) FROM items WHERE sold <>"
				    " (SELECT coalesce(sum(quantity), 0) FROM orders WHERE item_id = items.id)"), 0);
	assert_int_equal(sql_number(database, "SELECT count(*) - count(DISTINCT request_key) FROM orders"), 0);
	assert_int_equal(sql_number(database, "SELECT count(*) - coalesce(max(id), 0) FROM orders"), 0);
	assert_int_equal(sql_number(database, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/* A file's whole content as text, for comparing two; the caller frees it. */
static inline char *database_dump(struct database *database)
{
	static const char *const tables[] = { "store", "items", "orders", "results", "slots", "changes", "members", "log" };
	sqlite3_str *text = sqlite3_str_new(NULL);
	for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
		sqlite3_stmt *statement;
		char sql[64];
		snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1", tables[t]);
		assert_int_equal(sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL), SQLITE_OK);
		while (sqlite3_step(statement) == SQLITE_ROW) {
			sqlite3_str_appendf(text, "%s", tables[t]);
			for (int i = 0; i < sqlite3_column_count(statement); i++) {
				bool is_blob = sqlite3_column_type(statement, i) == SQLITE_BLOB;
				const unsigned char *blob = is_blob ? sqlite3_column_blob(statement, i) : NULL;
				int len = is_blob ? sqlite3_column_bytes(statement, i) : 0;
				if (!is_blob)
					sqlite3_str_appendf(text, " | %Q", sqlite3_column_text(statement, i));
				else
					sqlite3_str_appendf(text, " | x");
				for (int b = 0; b < len; b++)
					sqlite3_str_appendf(text, "%02x", blob[b]);
			}
			sqlite3_str_appendf(text, "\n");
		}
		sqlite3_finalize(statement);
	}
	return sqlite3_str_finish(text);
}

/* cmocka runs a test's set-up and tear-down around it, also when it fails. */
static inline int bare_store_setup(void **state)
{
	struct bare_store *store = calloc(1, sizeof *store);
	assert_non_null(store);
	bare_store_open(store);
	*state = store;
	return 0;
}

static inline int bare_store_teardown(void **state)
{
	bare_store_close(*state);
	free(*state);
	return 0;
}

#define bare_store_test(function) cmocka_unit_test_setup_teardown(function, bare_store_setup, bare_store_teardown)

#endif
