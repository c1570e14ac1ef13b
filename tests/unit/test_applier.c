/* applier: values become state once, in order, in groups of any size; and which log a database belongs to. */
#include "tests/unit/applier_fixture.h"

#include <sodium.h>

static void test_a_new_database_takes_on_the_log(void **state)
{
	struct applier_test *test = *state;
	struct database *database = applier_database(test->applier);
	assert_int_equal(applier_log(test->applier)->cluster_id, 0);
	assert_int_equal(sql_number(database, "SELECT log_id = '0000000000000000' FROM store"), 1);
	assert_int_equal(apply_rest(test->applier, &test->log, 1), PYGMY_OK);
	const struct applier_log *log = applier_log(test->applier);
	assert_true(log->cluster_id == FIXTURE_CLUSTER);
	assert_int_equal(log->create_revision, 17);
	assert_int_equal(log->base_index, 0);
	assert_int_equal(log->mod_revision, 20);
	assert_int_equal(applier_position(test->applier)->index, 2);
	char log_id[LOG_ID_TEXT_LEN + 1], sql[128];
	applier_log_id(FIXTURE_CLUSTER, 17, log_id);
	snprintf(sql, sizeof sql, "SELECT log_id = '%s' FROM store", log_id);
	assert_int_equal(sql_number(database, sql), 1);
	/* And knows it when it is opened again. */
	applier_close(test->applier);
	assert_int_equal(applier_open(test->path, NULL, &test->applier), PYGMY_OK);
	assert_true(applier_log(test->applier)->cluster_id == FIXTURE_CLUSTER);
	assert_int_equal(applier_log(test->applier)->mod_revision, 20);
	assert_int_equal(applier_position(test->applier)->index, 2);
}

static void test_the_logs_name_stays(void **state)
{
	char log_id[LOG_ID_TEXT_LEN + 1], hex[2 * crypto_generichash_BYTES + 1];
	unsigned char hash[crypto_generichash_BYTES];
	(void)state;
	applier_log_id(UINT64_MAX, 17, log_id);
	crypto_generichash(hash, sizeof hash, (const unsigned char *)"18446744073709551615/17", 23, NULL, 0);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	assert_int_equal(strlen(log_id), LOG_ID_TEXT_LEN);
	assert_memory_equal(log_id, hex, LOG_ID_TEXT_LEN);
}

static void test_groups_change_nothing(void **state)
{
	struct applier_test *test = *state;
	uint64_t seed = test_seed(__func__);
	value_log_put_random(&test->log, &seed, 300);
	assert_int_equal(apply_rest(test->applier, &test->log, 1), PYGMY_OK);
	assert_books_balance(applier_database(test->applier));
	for (size_t group = 2; group <= APPLY_GROUP_ENTRIES; group += (size_t)test_random_in(&seed, 3, 20)) {
		char path[PATH_BYTES];
		struct applier *other;
		path_in(path, test->folder, "other.db");
		assert_int_equal(applier_open(path, NULL, &other), PYGMY_OK);
		assert_int_equal(apply_rest(other, &test->log, group), PYGMY_OK);
		assert_memory_equal(applier_position(other), applier_position(test->applier), sizeof(struct apply_position));
		assert_memory_equal(applier_log(other), applier_log(test->applier), sizeof(struct applier_log));
		assert_same_content(applier_database(other), applier_database(test->applier));
		applier_close(other);
		assert_int_equal(unlink(path), 0);
	}
}

/* ---- what is visited ------------------------------------------------------------------------------- */

struct visited {
	uint64_t indexes[8];
	int64_t ids[8];
	size_t entries;
	struct applier *applier;
};

static void visit(void *context, uint64_t index, const struct result *results, size_t count)
{
	struct visited *visited = context;
	assert_int_equal(applier_position(visited->applier)->index, 5);
	visited->indexes[visited->entries] = index;
	visited->ids[visited->entries] = count == 2 ? results[1].id : -1;
	visited->entries++;
}

static void test_visits_come_in_order_after_the_commit(void **state)
{
	struct applier_test *test = *state;
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	struct visited visited = { .applier = test->applier };
	for (int i = 0; i < 3; i++) {
		char keys[2][16];
		snprintf(keys[0], sizeof keys[0], "a%d", i);
		snprintf(keys[1], sizeof keys[1], "b%d", i);
		struct command batch[] = { buy_of(keys[0], 1, 1), buy_of(keys[1], 1, 1) };
		value_log_put(&test->log, batch, 2);
	}
	assert_int_equal(applier_apply(test->applier, &test->log.values[2], 3, visit, &visited), PYGMY_OK);
	assert_int_equal(visited.entries, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(visited.indexes[i], 3 + i);
		assert_int_equal(visited.ids[i], 2 * (i + 1));
	}
	assert_int_equal(applier_apply(test->applier, NULL, 0, visit, &visited), PYGMY_OK);
}

/* ---- what is not applied ---------------------------------------------------------------------------- */

static void test_only_the_next_value_is_applied(void **state)
{
	struct applier_test *test = *state;
	value_log_put_one(&test->log, buy_of("a", 1, 1));
	value_log_put_one(&test->log, buy_of("b", 1, 1));
	const struct etcd_value *values = test->log.values;
	assert_int_equal(applier_apply(test->applier, &values[1], 1, NULL, NULL), PYGMY_OTHER_LOG);     /* its beginning is missing */
	assert_int_equal(applier_apply(test->applier, values, 2, NULL, NULL), PYGMY_OK);
	char *before = database_dump(applier_database(test->applier));
	assert_int_equal(applier_apply(test->applier, &values[1], 1, NULL, NULL), PYGMY_INTERNAL);
	assert_int_equal(applier_apply(test->applier, &values[3], 1, NULL, NULL), PYGMY_INTERNAL);
	struct etcd_value swapped[] = { values[2], values[2] };
	assert_int_equal(applier_apply(test->applier, swapped, 2, NULL, NULL), PYGMY_INTERNAL);
	assert_int_equal(applier_position(test->applier)->index, 2);
	assert_int_equal(applier_log(test->applier)->mod_revision, values[1].position.mod_revision);
	static struct etcd_value many[APPLY_GROUP_ENTRIES + 1];
	assert_int_equal(applier_apply(test->applier, many, APPLY_GROUP_ENTRIES + 1, NULL, NULL), PYGMY_INTERNAL);
	char *after = database_dump(applier_database(test->applier));
	assert_string_equal(before, after);
	sqlite3_free(before);
	sqlite3_free(after);
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
}

/* What a newer version wrote stops the replica, and takes what came in the same group with it. */
static void test_a_newer_versions_entry_rolls_the_group_back(void **state)
{
	struct applier_test *test = *state;
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	value_log_put_one(&test->log, buy_of("a", 1, 1));
	value_log_put_one(&test->log, buy_of("b", 1, 1));
	struct etcd_value values[] = { test->log.values[2], test->log.values[3] };
	char *bytes = arena_take(&test->log.arena, values[1].bytes.len);
	assert_non_null(bytes);
	memcpy(bytes, values[1].bytes.ptr, values[1].bytes.len);
	bytes[4] = 2;
	values[1].bytes.ptr = bytes;
	assert_int_equal(applier_apply(test->applier, values, 2, NULL, NULL), PYGMY_INCOMPATIBLE);
	assert_int_equal(applier_position(test->applier)->index, 2);
	assert_int_equal(sql_number(applier_database(test->applier), "SELECT count(*) FROM orders"), 0);
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	assert_int_equal(sql_number(applier_database(test->applier), "SELECT count(*) FROM orders"), 2);
}

static void test_a_removed_file_is_noticed(void **state)
{
	struct applier_test *test = *state;
	char moved[PATH_BYTES];
	path_in(moved, test->folder, "moved.db");
	assert_int_equal(rename(test->path, moved), 0);
	assert_int_equal(apply_rest(test->applier, &test->log, 1), PYGMY_STORAGE_CORRUPT);
	assert_int_equal(applier_install(test->applier, moved), PYGMY_STORAGE_CORRUPT);
	assert_int_equal(rename(moved, test->path), 0);
	assert_int_equal(apply_rest(test->applier, &test->log, 1), PYGMY_OK);
}

/* ---- whose log -------------------------------------------------------------------------------------- */

/* A log that was begun anew: nothing of it may be taken for something that is applied. */
static void test_another_log_is_refused(void **state)
{
	struct applier_test *test = *state;
	struct value_log other;
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	value_log_init(&other, 99, 0);
	value_log_put_genesis(&other, test->zeros);
	for (int i = 0; i < 3; i++)
		value_log_put_one(&other, create_of("item/0/x", "Other", "topic", 1, 1));
	char *before = database_dump(applier_database(test->applier));
	for (size_t i = 0; i < other.count; i++)
		assert_int_equal(applier_apply(test->applier, &other.values[i], 1, NULL, NULL), PYGMY_OTHER_LOG);
	char *after = database_dump(applier_database(test->applier));
	assert_string_equal(before, after);
	assert_int_equal(applier_log(test->applier)->create_revision, 17);
	sqlite3_free(before);
	sqlite3_free(after);
	value_log_close(&other);
}

/* After a restore: the new log's genesis names exactly the position of the backup. */
static void test_a_genesis_that_continues_is_taken_on(void **state)
{
	struct applier_test *test = *state;
	struct value_log other;
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	uint8_t chain[CHAIN_BYTES];
	memcpy(chain, applier_position(test->applier)->chain, CHAIN_BYTES);
	for (int wrong = 0; wrong < 3; wrong++) {
		value_log_init(&other, 99, wrong == 0 ? 1 : wrong == 1 ? 3 : 2);
		chain[5] ^= wrong == 2 ? 1 : 0;
		value_log_put_genesis(&other, chain);
		chain[5] ^= wrong == 2 ? 1 : 0;
		assert_int_equal(applier_apply(test->applier, other.values, 1, NULL, NULL), PYGMY_OTHER_LOG);
		value_log_close(&other);
	}
	value_log_init(&other, 99, 2);
	value_log_put_genesis(&other, chain);
	value_log_put_one(&other, buy_of("a", 1, 1));
	struct etcd_value second = other.values[0];
	second.position.version = 2;
	second.position.mod_revision++;
	assert_int_equal(applier_apply(test->applier, &second, 1, NULL, NULL), PYGMY_OTHER_LOG);
	assert_int_equal(applier_apply(test->applier, other.values, 2, NULL, NULL), PYGMY_OK);
	assert_int_equal(applier_position(test->applier)->index, 4);
	assert_int_equal(applier_log(test->applier)->base_index, 2);
	assert_int_equal(applier_log(test->applier)->create_revision, 99);
	assert_int_equal(applier_log(test->applier)->mod_revision, 102);
	/* The log that it belonged to before is another one now. */
	value_log_put_one(&test->log, buy_of("b", 1, 1));
	assert_int_equal(applier_apply(test->applier, &test->log.values[2], 1, NULL, NULL), PYGMY_OTHER_LOG);
	value_log_close(&other);
}

/* An embedded store's database becomes the first of a cluster in the same way. */
static void test_an_embedded_store_is_taken_on(void **state)
{
	struct applier_test *test = *state;
	struct bare_store store;
	struct value_log log;
	struct applier *applier;
	bare_store_open(&store);
	bare_store_do(&store, create_of("item/0/make", "Title", "topic", 100, 5));
	bare_store_do(&store, buy_of("a", 1, 2));
	value_log_init(&log, 5, 2);
	value_log_put_genesis(&log, store.position.chain);
	value_log_put_one(&log, buy_of("b", 1, 2));
	assert_int_equal(applier_open(store.path, NULL, &applier), PYGMY_OK);
	assert_int_equal(applier_apply(applier, test->log.values, 1, NULL, NULL), PYGMY_OTHER_LOG);
	assert_int_equal(apply_rest(applier, &log, 1), PYGMY_OK);
	assert_int_equal(applier_position(applier)->index, 4);
	assert_int_equal(sql_number(applier_database(applier), "SELECT count FROM items"), 1);
	applier_close(applier);
	value_log_close(&log);
	bare_store_close(&store);
}

static void test_a_damaged_identity_is_noticed(void **state)
{
	struct applier_test *test = *state;
	static const char *const damages[] = { "UPDATE store SET log_id = 'aaaaaaaaaaaaaaaa'", "UPDATE log SET cluster_id = cluster_id + 1",
					       "UPDATE log SET create_revision = 16", "UPDATE log SET base_index = 3", "DELETE FROM log" };
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
		struct applier *applier;
		char path[PATH_BYTES];
		path_in(path, test->folder, "damaged.db");
		snapshot_of(applier_database(test->applier), path);
		assert_int_equal(applier_open(path, NULL, &applier), PYGMY_OK);
		sql_run(applier_database(applier), damages[i]);
		applier_close(applier);
		assert_int_equal(applier_open(path, NULL, &applier), PYGMY_STORAGE_CORRUPT);
		assert_int_equal(unlink(path), 0);
	}
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	const struct CMUnitTest tests[] = {
		applier_test(test_a_new_database_takes_on_the_log),
		applier_test(test_the_logs_name_stays),
		applier_test(test_groups_change_nothing),
		applier_test(test_visits_come_in_order_after_the_commit),
		applier_test(test_only_the_next_value_is_applied),
		applier_test(test_a_newer_versions_entry_rolls_the_group_back),
		applier_test(test_a_removed_file_is_noticed),
		applier_test(test_another_log_is_refused),
		applier_test(test_a_genesis_that_continues_is_taken_on),
		applier_test(test_an_embedded_store_is_taken_on),
		applier_test(test_a_damaged_identity_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
