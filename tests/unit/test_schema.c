/* schema: what the tables refuse by themselves, at the very numbers of limits.h, and whose files are opened. */
#include "tests/unit/support.h"

static int try_sql(struct bare_store *store, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs the statement; the result is SQLITE_OK or SQLITE_CONSTRAINT. */
static int try_sql(struct bare_store *store, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *sql = sqlite3_vmprintf(format, args);
	va_end(args);
	int rc = sqlite3_exec(store->database.handle, sql, NULL, NULL, NULL) & 0xff;
	sqlite3_free(sql);
	assert_true(rc == SQLITE_OK || rc == SQLITE_CONSTRAINT);
	return rc;
}

static int put_item(struct bare_store *store, int64_t id, size_t title, size_t topic, int64_t cost, int64_t count, int64_t sold)
{
	char text[1024];
	memset(text, 'x', sizeof text);
	return try_sql(store, "INSERT OR REPLACE INTO items VALUES (%lld, '%.*s', '%.*s', %lld, %lld, %lld, %lld, 0)", (long long)id,
		       (int)title, text, (int)topic, text, (long long)cost, (long long)count, (long long)(count + sold), (long long)sold);
}

static void test_items_are_checked_at_the_limits(void **state)
{
	struct bare_store *store = *state;
	assert_int_equal(put_item(store, 1, 1, 1, 0, 0, 0), SQLITE_OK);
	assert_int_equal(put_item(store, ID_MAX, TITLE_MAX_BYTES, TOPIC_MAX_BYTES, COST_MAX_MINOR, COUNT_MAX, 0), SQLITE_OK);
	assert_int_equal(put_item(store, 0, 1, 1, 0, 0, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, ID_MAX + 1, 1, 1, 0, 0, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, 2, 0, 1, 0, 0, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, 2, TITLE_MAX_BYTES + 1, 1, 0, 0, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, 2, 1, 0, 0, 0, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, 2, 1, TOPIC_MAX_BYTES + 1, 0, 0, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, 2, 1, 1, -1, 0, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, 2, 1, 1, COST_MAX_MINOR + 1, 0, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, 2, 1, 1, 0, -1, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, 2, 1, 1, 0, COUNT_MAX + 1, 0), SQLITE_CONSTRAINT);
	assert_int_equal(put_item(store, 2, 1, 1, 0, 1, -1), SQLITE_CONSTRAINT);
	assert_int_equal(try_sql(store, "UPDATE items SET supplied = supplied + 1 WHERE id = 1"), SQLITE_CONSTRAINT);
}

/* Lengths are those of bytes, not of characters. */
static void test_lengths_count_bytes(void **state)
{
	struct bare_store *store = *state;
	char topic[2 * TOPIC_MAX_BYTES + 1] = "";
	for (size_t i = 0; i < TOPIC_MAX_BYTES; i++)
		memcpy(topic + 2 * i, "\xc3\xa4", 3);
	assert_int_equal(try_sql(store, "INSERT INTO items VALUES (1, 'x', '%.100s', 0, 0, 0, 0, 0)", topic), SQLITE_OK);
	assert_int_equal(try_sql(store, "INSERT INTO items VALUES (2, 'x', '%s', 0, 0, 0, 0, 0)", topic), SQLITE_CONSTRAINT);
}

static int put_order(struct bare_store *store, int64_t item, int64_t quantity, int64_t slot, const char *key, int hash_bytes)
{
	return try_sql(store, "INSERT INTO orders (item_id, quantity, unit_cost_minor, created_ms, revision, topic_slot, request_key,"
		       " payload_hash) VALUES (%lld, %lld, 0, 0, 1, %lld, '%s', zeroblob(%d))", (long long)item, (long long)quantity,
		       (long long)slot, key, hash_bytes);
}

static void test_orders_are_checked_at_the_limits(void **state)
{
	struct bare_store *store = *state;
	assert_int_equal(put_item(store, 1, 1, 1, 0, 5, 0), SQLITE_OK);
	assert_int_equal(put_order(store, 1, 1, 0, "a", PAYLOAD_HASH_BYTES), SQLITE_OK);
	assert_int_equal(put_order(store, 1, QUANTITY_MAX, SLOT_COUNT - 1, "b", PAYLOAD_HASH_BYTES), SQLITE_OK);
	assert_int_equal(put_order(store, 1, 1, 0, "a", PAYLOAD_HASH_BYTES), SQLITE_CONSTRAINT);
	assert_int_equal(put_order(store, 9, 1, 0, "c", PAYLOAD_HASH_BYTES), SQLITE_CONSTRAINT);
	assert_int_equal(put_order(store, 1, 0, 0, "c", PAYLOAD_HASH_BYTES), SQLITE_CONSTRAINT);
	assert_int_equal(put_order(store, 1, QUANTITY_MAX + 1, 0, "c", PAYLOAD_HASH_BYTES), SQLITE_CONSTRAINT);
	assert_int_equal(put_order(store, 1, 1, SLOT_COUNT, "c", PAYLOAD_HASH_BYTES), SQLITE_CONSTRAINT);
	assert_int_equal(put_order(store, 1, 1, 0, "c", PAYLOAD_HASH_BYTES + 1), SQLITE_CONSTRAINT);
	assert_int_equal(try_sql(store, "DELETE FROM items WHERE id = 1"), SQLITE_CONSTRAINT);
}

static void test_slots_and_ring_are_checked_at_the_limits(void **state)
{
	struct bare_store *store = *state;
	assert_int_equal(try_sql(store, "INSERT INTO slots VALUES (%d, 1)", SLOT_COUNT - 1), SQLITE_OK);
	assert_int_equal(try_sql(store, "INSERT INTO slots VALUES (%d, 1)", SLOT_COUNT), SQLITE_CONSTRAINT);
	assert_int_equal(try_sql(store, "INSERT INTO changes VALUES (%d, 1, NULL, NULL, 0, 0)", CHANGES_RING_ENTRIES - 1), SQLITE_OK);
	assert_int_equal(try_sql(store, "INSERT INTO changes VALUES (%d, 1, NULL, NULL, 0, 0)", CHANGES_RING_ENTRIES), SQLITE_CONSTRAINT);
	assert_int_equal(try_sql(store, "UPDATE store SET floor = log_index + 1"), SQLITE_CONSTRAINT);
	assert_int_equal(try_sql(store, "UPDATE store SET chain = zeroblob(%d)", CHAIN_BYTES - 1), SQLITE_CONSTRAINT);
	assert_int_equal(try_sql(store, "UPDATE store SET log_id = 'short'"), SQLITE_CONSTRAINT);
	assert_int_equal(try_sql(store, "INSERT INTO store SELECT 2, log_id, 0, chain, 0, 0, 0, 0, 0, 0 FROM store"), SQLITE_CONSTRAINT);
	assert_int_equal(try_sql(store, "INSERT INTO items VALUES (1, 'x', 'x', 'text', 0, 0, 0, 0)"), SQLITE_CONSTRAINT);
}

/* ---- whose file ------------------------------------------------------------------------------------- */

static enum pygmy_error ensure(struct bare_store *store, bool *created)
{
	sql_run(&store->database, "BEGIN IMMEDIATE");
	enum pygmy_error error = schema_ensure(&store->database, "fedcba9876543210", created);
	sql_run(&store->database, "ROLLBACK");
	return error;
}

static void test_an_existing_store_is_left_as_it_is(void **state)
{
	struct bare_store *store = *state;
	bool created = true;
	assert_int_equal(ensure(store, &created), PYGMY_OK);
	assert_false(created);
	assert_int_equal(sql_number(&store->database, "SELECT log_id = '0123456789abcdef' FROM store"), 1);
}

static void test_other_versions_and_programs_are_refused(void **state)
{
	struct bare_store *store = *state;
	bool created;
	sql_run(&store->database, "PRAGMA user_version = 3");
	assert_int_equal(ensure(store, &created), PYGMY_INCOMPATIBLE);
	sql_run(&store->database, "PRAGMA user_version = 2; PRAGMA application_id = 1");
	assert_int_equal(ensure(store, &created), PYGMY_INCOMPATIBLE);
	sql_run(&store->database, "PRAGMA application_id = 0");
	assert_int_equal(ensure(store, &created), PYGMY_INCOMPATIBLE);
}

static void test_a_file_that_is_no_database(void **state)
{
	struct bare_store *store = *state;
	struct database database;
	char path[PATH_BYTES];
	path_in(path, store->folder, "text");
	file_write(path, "This is a text of more than a hundred bytes, which no version of SQLite has ever taken for a database file.\n");
	assert_int_equal(database_open(&database, path, DATABASE_WRITE), PYGMY_STORAGE_CORRUPT);
	path_in(path, store->folder, "missing");
	assert_int_equal(database_open(&database, path, DATABASE_READ), PYGMY_STORAGE_FAILED);
	assert_int_equal(file_size(path), -1);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	const struct CMUnitTest tests[] = {
		bare_store_test(test_items_are_checked_at_the_limits),
		bare_store_test(test_lengths_count_bytes),
		bare_store_test(test_orders_are_checked_at_the_limits),
		bare_store_test(test_slots_and_ring_are_checked_at_the_limits),
		bare_store_test(test_an_existing_store_is_left_as_it_is),
		bare_store_test(test_other_versions_and_programs_are_refused),
		bare_store_test(test_a_file_that_is_no_database),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
