/* reader: what it tells of single entries and of the members; and that it does not go on with a file that is gone. */
#include "tests/unit/applier_fixture.h"

#include "db/reader.h"

static struct reader *begin(struct reader_pool *pool)
{
	struct reader *reader;
	assert_int_equal(reader_pool_begin(pool, 0, &reader), PYGMY_OK);
	return reader;
}

static void test_entries_are_remembered(void **state)
{
	struct applier_test *test = *state;
	struct reader_pool *pool;
	struct reader_entry entry;
	uint8_t chains[12][CHAIN_BYTES];
	uint64_t bytes = 0;
	assert_int_equal(reader_pool_create(test->path, 2, &pool), PYGMY_OK);
	for (int i = 0; i < 8; i++)
		value_log_put_one(&test->log, buy_of(arena_printf(&test->log.arena, "k%d", i).ptr, 1, 1));
	for (size_t i = 0; i < test->log.count; i++) {
		assert_int_equal(applier_apply(test->applier, &test->log.values[i], 1, NULL, NULL), PYGMY_OK);
		memcpy(chains[i + 1], applier_position(test->applier)->chain, CHAIN_BYTES);
	}
	struct reader *reader = begin(pool);
	for (size_t i = 0; i < test->log.count; i++) {
		bytes += test->log.values[i].bytes.len;
		assert_int_equal(reader_entry(reader, i + 1, &entry), PYGMY_OK);
		assert_memory_equal(entry.chain, chains[i + 1], CHAIN_BYTES);
		assert_int_equal(entry.mod_revision, test->log.values[i].position.mod_revision);
		assert_int_equal(entry.log_bytes, bytes);
	}
	assert_int_equal(reader_entry(reader, 0, &entry), PYGMY_NOT_READY);
	assert_int_equal(reader_entry(reader, 11, &entry), PYGMY_NOT_READY);
	assert_int_equal(reader_entry(reader, CHANGES_RING_ENTRIES + 3, &entry), PYGMY_NOT_READY);
	assert_int_equal(reader_entry(reader, UINT64_MAX, &entry), PYGMY_NOT_READY);
	reader_end(reader);
	reader_pool_destroy(pool);
}

static void test_members_come_by_name(void **state)
{
	struct applier_test *test = *state;
	struct reader_pool *pool;
	struct configured_member members[MEMBERS_MAX];
	size_t count = 7;
	assert_int_equal(reader_pool_create(test->path, 2, &pool), PYGMY_OK);
	struct reader *reader = begin(pool);
	assert_int_equal(reader_members(reader, members, &count), PYGMY_OK);
	assert_int_equal(count, 0);
	reader_end(reader);
	for (int i = MEMBERS_MAX - 1; i >= 0; i--) {
		const char *name = arena_printf(&test->log.arena, "node-%02d", i).ptr;
		value_log_put_one(&test->log, member_set_of(name, name, "http://127.0.1.1:8011", "http://127.0.1.1:8013"));
	}
	assert_int_equal(apply_rest(test->applier, &test->log, 64), PYGMY_OK);
	reader = begin(pool);
	assert_int_equal(reader_members(reader, members, &count), PYGMY_OK);
	assert_int_equal(count, MEMBERS_MAX);
	for (int i = 0; i < MEMBERS_MAX; i++) {
		char name[NODE_NAME_MAX_BYTES + 1];
		snprintf(name, sizeof name, "node-%02d", i);
		assert_string_equal(members[i].name, name);
		assert_string_equal(members[i].catalog_url, "http://127.0.1.1:8011");
		assert_string_equal(members[i].order_url, "http://127.0.1.1:8013");
		assert_int_equal(members[i].since, 2 + MEMBERS_MAX - i);
	}
	reader_end(reader);
	/* More, or longer, than there can be is damage. */
	sql_run(applier_database(test->applier), "INSERT INTO members VALUES ('x', 'http://x:1', 'http://x:2', 3)");
	reader = begin(pool);
	assert_int_equal(reader_members(reader, members, &count), PYGMY_STORAGE_CORRUPT);
	reader_end(reader);
	sql_run(applier_database(test->applier), "PRAGMA ignore_check_constraints = ON; DELETE FROM members;"
		" INSERT INTO members VALUES ('abcdefghijklmnopqr', 'http://x:1', 'http://x:2', 3)");
	reader = begin(pool);
	assert_int_equal(reader_members(reader, members, &count), PYGMY_STORAGE_CORRUPT);
	reader_end(reader);
	reader_pool_destroy(pool);
}

/* Idle connections to the old file are closed, and the new one is read. */
static void test_a_replaced_file_is_opened_anew(void **state)
{
	struct applier_test *test = *state;
	struct reader_pool *pool;
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	assert_int_equal(reader_pool_create(test->path, 3, &pool), PYGMY_OK);
	struct reader *readers[3] = { begin(pool), begin(pool), begin(pool) };
	for (int i = 0; i < 3; i++)
		reader_end(readers[i]);
	applier_close(test->applier);
	test->applier = NULL;
	assert_int_equal(unlink(test->path), 0);
	struct reader *reader;
	assert_int_equal(reader_pool_begin(pool, 0, &reader), PYGMY_STORAGE_FAILED);
	assert_int_equal(applier_reset(test->path), PYGMY_OK);
	assert_int_equal(applier_open(test->path, NULL, &test->applier), PYGMY_OK);
	for (int i = 0; i < 3; i++) {
		readers[i] = begin(pool);
		assert_int_equal(reader_revision(readers[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		reader_end(readers[i]);
	reader_pool_destroy(pool);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	const struct CMUnitTest tests[] = {
		applier_test(test_entries_are_remembered),
		applier_test(test_members_come_by_name),
		applier_test(test_a_replaced_file_is_opened_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
