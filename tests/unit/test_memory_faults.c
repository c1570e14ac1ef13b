/*
 * Memory that runs out: SQLite's n-th allocation fails, for n = 1, 2, ..., and the arenas are too small by ever less.
 *
 * The error is a documented one, nothing is half done, nothing leaks, and the same request succeeds afterwards.
 */
#include "tests/unit/support.h"

#include "db/monotonic.h"
#include "db/replica.h"
#include "db/snapshot.h"

#define FAULTS_MAX 2000

/* ---- SQLite's allocator with a countdown, for the thread that set it ----------------------------------- */

static sqlite3_mem_methods real_memory;
static _Thread_local int countdown;           /* 1: the next one fails; 0: none */
static _Thread_local int fired;

static bool strikes(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	fired++;
	return true;
}

static void *failing_malloc(int size)
{
	return strikes() ? NULL : real_memory.xMalloc(size);
}

static void *failing_realloc(void *old, int size)
{
	return strikes() ? NULL : real_memory.xRealloc(old, size);
}

static int install_allocator(void)
{
	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
		return SQLITE_ERROR;
	sqlite3_mem_methods methods = real_memory;
	methods.xMalloc = failing_malloc;
	methods.xRealloc = failing_realloc;
	/* Without lookaside all allocations come here. */
	if (sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK)
		return SQLITE_ERROR;
	return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

static void arm(int nth)
{
	countdown = nth;
	fired = 0;
}

static bool disarm(void)
{
	countdown = 0;
	return fired > 0;
}

/* ---- SQLite ----------------------------------------------------------------------------------------- */

static struct replica_config config_of(const char *path)
{
	return (struct replica_config){ .db_path = path, .frontends = "", .lease_ms = 100, .reader_max = 1 };
}

static bool is_documented(enum pygmy_error error)
{
	return error == PYGMY_OK || error == PYGMY_OUT_OF_MEMORY || error == PYGMY_OUTCOME_UNKNOWN || error == PYGMY_STORAGE_FAILED ||
	       error == PYGMY_STORAGE_FULL || error == PYGMY_BUSY;
}

static void fill(const char *path)
{
	struct replica_config config = config_of(path);
	struct item item = item_of(1, "Title", "topic", 100, 1000000);
	struct command import = import_of("import/0/i", &item, 1);
	struct replica *replica;
	struct result result;
	assert_int_equal(replica_open(&config, &replica), PYGMY_OK);
	assert_int_equal(replica_propose(replica, &import, monotonic_ms() + 10000, &result), PYGMY_OK);
	replica_close(replica);
}

static void test_a_proposal_without_memory(void **state)
{
	(void)state;
	char folder[FOLDER_MAX], path[PATH_BYTES], key[32];
	struct replica *replica;
	struct database database;
	int64_t acknowledged = 0;
	int out_of_memory = 0;
	folder_make(folder);
	path_in(path, folder, "store.db");
	fill(path);
	struct replica_config config = config_of(path);
	assert_int_equal(replica_open(&config, &replica), PYGMY_OK);
	bool struck = true;
	for (int nth = 1; struck; nth++) {
		struct result result, again;
		assert_true(nth < FAULTS_MAX);
		snprintf(key, sizeof key, "buy/0/k%d", nth);
		struct command buy = buy_of(key, 1, 1);
		arm(nth);
		enum pygmy_error error = replica_propose(replica, &buy, monotonic_ms() + 10000, &result);
		struck = disarm();
		assert_true(is_documented(error));
		assert_true(struck || error == PYGMY_OK);
		out_of_memory += error == PYGMY_OUT_OF_MEMORY ? 1 : 0;
		assert_int_equal(replica_propose(replica, &buy, monotonic_ms() + 10000, &again), PYGMY_OK);
		assert_int_equal(again.error, PYGMY_OK);
		assert_true(error == PYGMY_OUTCOME_UNKNOWN || again.repeated == (error == PYGMY_OK));
		acknowledged++;
	}
	assert_true(out_of_memory > 0);
	replica_close(replica);
	assert_int_equal(database_open(&database, path, DATABASE_WRITE), PYGMY_OK);
	assert_int_equal(sql_number(&database, "SELECT count(*) FROM orders"), acknowledged);
	assert_books_balance(&database);
	database_close(&database);
	folder_remove(folder);
}

/* Too little memory to read the item must not look like an item that has changed. */
static void test_a_guarded_update_without_memory(void **state)
{
	(void)state;
	char folder[FOLDER_MAX], path[PATH_BYTES], key[32], etag[ETAG_HEX_LEN + 1];
	struct replica *replica;
	folder_make(folder);
	path_in(path, folder, "store.db");
	fill(path);
	struct replica_config config = config_of(path);
	struct item item = item_of(1, "Title", "topic", 100, 1000000);
	bool struck = true;
	for (int nth = 1; struck; nth++) {
		struct result result;
		assert_true(nth < FAULTS_MAX);
		snprintf(key, sizeof key, "item/0/k%d", nth);
		item_etag(&item, etag);
		struct command update = count_of(key, 1, nth);
		update.item_update.if_match = slice_of(etag);
		assert_int_equal(replica_open(&config, &replica), PYGMY_OK);          /* whose statements have no memory yet */
		arm(nth);
		enum pygmy_error error = replica_propose(replica, &update, monotonic_ms() + 10000, &result);
		struck = disarm();
		assert_true(is_documented(error));
		if (error != PYGMY_OK)
			assert_int_equal(replica_propose(replica, &update, monotonic_ms() + 10000, &result), PYGMY_OK);
		assert_int_equal(result.error, PYGMY_OK);
		item.count = nth;
		replica_close(replica);
	}
	folder_remove(folder);
}

static void test_opening_and_reading_without_memory(void **state)
{
	(void)state;
	char folder[FOLDER_MAX], path[PATH_BYTES];
	folder_make(folder);
	path_in(path, folder, "store.db");
	fill(path);
	struct replica_config config = config_of(path);
	bool struck = true;
	int failed = 0;
	for (int nth = 1; struck; nth += 1 + nth / 20) {
		struct replica *replica;
		struct reader *reader = NULL;
		struct item item;
		assert_true(nth < 20 * FAULTS_MAX);
		arm(nth);
		enum pygmy_error error = replica_open(&config, &replica);
		if (error == PYGMY_OK)
			error = reader_begin(replica, &(struct read_terms){ 0 }, 0, &reader);
		if (error == PYGMY_OK)
			error = reader_item(reader, 1, &item);
		struck = disarm();
		assert_true(is_documented(error));
		assert_true(struck || error == PYGMY_OK);
		failed += error == PYGMY_OK ? 0 : 1;
		if (reader != NULL)
			reader_end(reader);
		replica_close(replica);
	}
	assert_true(failed > 10);
	folder_remove(folder);
}

/* A snapshot is made whole or not at all, and a good one is never called damaged, nor a damaged one good. */
static void test_snapshots_without_memory(void **state)
{
	(void)state;
	char folder[FOLDER_MAX], path[PATH_BYTES], copies[PATH_BYTES], damaged[PATH_BYTES], copy[PATH_MAX], why[SNAPSHOT_WHY_BYTES];
	struct snapshot_maker *maker;
	struct snapshot_info info;
	struct database database;
	int failed = 0;
	bool struck = true;
	folder_make(folder);
	path_in(path, folder, "store.db");
	path_in(copies, folder, "snapshots");
	path_in(damaged, folder, "damaged.db");
	fill(path);
	for (int nth = 1; struck; nth++) {
		assert_int_equal(snapshot_maker_create(path, folder, &maker), PYGMY_OK);
		arm(nth);
		enum pygmy_error error = snapshot_make(maker, copy, &info);
		struck = disarm();
		snapshot_maker_destroy(maker);
		assert_true(error == PYGMY_OK || error == PYGMY_OUT_OF_MEMORY);
		assert_true(struck || error == PYGMY_OK);
		failed += error == PYGMY_OK ? 0 : 1;
	}
	assert_int_equal(snapshot_restore(copy, damaged, &info, why), PYGMY_OK);
	assert_int_equal(database_open(&database, damaged, DATABASE_COPY), PYGMY_OK);
	sql_run(&database, "UPDATE items SET sold = sold + 1, supplied = supplied + 1");
	database_close(&database);
	for (int bad = 0; bad < 2; bad++) {
		struck = true;
		for (int nth = 1; struck; nth += 1 + nth / 50) {
			arm(nth);
			enum pygmy_error error = snapshot_check(bad ? damaged : copy, &info, why);
			struck = disarm();
			assert_true(error == PYGMY_OUT_OF_MEMORY || error == (bad ? PYGMY_STORAGE_CORRUPT : PYGMY_OK));
			assert_true(struck || error != PYGMY_OUT_OF_MEMORY);
			failed += error == PYGMY_OUT_OF_MEMORY ? 1 : 0;
		}
	}
	assert_true(failed > 100);
	folder_remove(copies);
	folder_remove(folder);
}

/* ---- arenas ----------------------------------------------------------------------------------------- */

static void test_an_entry_without_memory_is_applied_later(void **state)
{
	struct bare_store *store = *state;
	enum { ITEMS = 3000 };
	struct item *items = calloc(ITEMS, sizeof *items);
	assert_non_null(items);
	for (int i = 0; i < ITEMS; i++)
		items[i] = item_of(i + 1, "Title", "topic", 1, 1);
	struct command batch[] = { create_of("c", "Title", "topic", 1, 1), import_of("i", items, ITEMS), buy_of("b", 1, 1) };
	struct slice entry = entry_of(&store->arena, batch, 3);
	enum pygmy_error error = PYGMY_OUT_OF_MEMORY;
	int failures = 0;
	for (size_t max = 0; error != PYGMY_OK; max += 16384) {
		struct arena arena;
		assert_true(max < 1024 * 1024);
		arena_init(&arena, max);
		sql_run(&store->database, "BEGIN IMMEDIATE");
		error = apply_entry(store->apply, &store->position, entry, &arena, store->results, &store->result_count);
		sql_run(&store->database, error == PYGMY_OK ? "COMMIT" : "ROLLBACK");
		assert_true(error == PYGMY_OK || error == PYGMY_OUT_OF_MEMORY);
		failures += error == PYGMY_OK ? 0 : 1;
		assert_int_equal(sql_number(&store->database, "SELECT log_index FROM store"), error == PYGMY_OK ? 1 : 0);
		arena_close(&arena);
	}
	assert_true(failures > 3);
	assert_int_equal(store->position.index, 1);
	assert_int_equal(store->results[2].error, PYGMY_OK);
	assert_books_balance(&store->database);
	free(items);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (install_allocator() != SQLITE_OK)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_proposal_without_memory),
		cmocka_unit_test(test_a_guarded_update_without_memory),
		cmocka_unit_test(test_opening_and_reading_without_memory),
		cmocka_unit_test(test_snapshots_without_memory),
		bare_store_test(test_an_entry_without_memory_is_applied_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
