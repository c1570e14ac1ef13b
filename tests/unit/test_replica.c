/* replica: opening, first catalogue, restart, several handles on one file. Crashes are in test_replica_kill.c. */
#include "tests/unit/support.h"

#include "db/monotonic.h"
#include "db/replica.h"

#define CATALOGUE "[{\"id\": 3, \"title\": \"Three\", \"topic\": \"t\", \"cost\": 10, \"count\": 5}," \
		  " {\"id\": 1, \"title\": \"One\", \"topic\": \"t\", \"cost\": 11.85, \"count\": 7}]"

struct place {
	char folder[FOLDER_MAX];
	char db_path[PATH_BYTES];
	char catalogue_path[PATH_BYTES];
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	assert_non_null(place);
	folder_make(place->folder);
	path_in(place->db_path, place->folder, "store.db");
	path_in(place->catalogue_path, place->folder, "catalogue.json");
	file_write(place->catalogue_path, CATALOGUE);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	folder_remove(place->folder);
	free(place);
	return 0;
}

static enum pygmy_error try_open(const struct place *place, bool with_catalogue, struct replica **replica)
{
	struct replica_config config = { .db_path = place->db_path, .catalogue_path = with_catalogue ? place->catalogue_path : NULL,
					 .frontends = "", .lease_ms = 100, .reader_max = 2 };
	return replica_open(&config, replica);
}

static struct replica *open_replica(const struct place *place, bool with_catalogue)
{
	struct replica *replica;
	assert_int_equal(try_open(place, with_catalogue, &replica), PYGMY_OK);
	assert_non_null(replica);
	return replica;
}

static struct result propose(struct replica *replica, struct command command)
{
	struct result result;
	assert_int_equal(replica_propose(replica, &command, monotonic_ms() + 10000, &result), PYGMY_OK);
	return result;
}

static int64_t count_of_item(struct replica *replica, int64_t id)
{
	struct reader *reader;
	struct item item;
	assert_int_equal(reader_begin(replica, &(struct read_terms){ 0 }, monotonic_ms() + 1000, &reader), PYGMY_OK);
	enum pygmy_error error = reader_item(reader, id, &item);
	int64_t count = error == PYGMY_OK ? item.count : -1;
	reader_end(reader);
	return count;
}

static struct reader_counts counts_of(struct replica *replica)
{
	struct reader *reader;
	struct reader_counts counts;
	assert_int_equal(reader_begin(replica, &(struct read_terms){ 0 }, monotonic_ms() + 1000, &reader), PYGMY_OK);
	assert_int_equal(reader_counts(reader, &counts), PYGMY_OK);
	reader_end(reader);
	return counts;
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static void test_a_new_store_loads_its_catalogue(void **state)
{
	struct replica *replica = open_replica(*state, true);
	assert_int_equal(replica_how_started(replica), REPLICA_CREATED);
	char log_id[LOG_ID_TEXT_LEN + 1];
	replica_log_id(replica, log_id);
	assert_int_equal(strlen(log_id), 16);
	assert_int_equal(strspn(log_id, "0123456789abcdef"), 16);
	assert_int_equal(replica_ready(replica, NULL), PYGMY_OK);
	assert_int_equal(count_of_item(replica, 1), 7);
	assert_int_equal(count_of_item(replica, 3), 5);
	assert_int_equal(counts_of(replica).items, 2);
	replica_close(replica);
}

static void test_a_restart_keeps_everything(void **state)
{
	struct replica *replica = open_replica(*state, true);
	char log_id[LOG_ID_TEXT_LEN + 1], log_id_after[LOG_ID_TEXT_LEN + 1];
	struct result first = propose(replica, buy_of("buy/0/b", 1, 2));
	struct result refused = propose(replica, buy_of("buy/0/r", 1, 20));
	struct reader_counts before = counts_of(replica);
	replica_log_id(replica, log_id);
	replica_close(replica);

	replica = open_replica(*state, true);
	assert_int_equal(replica_how_started(replica), REPLICA_EXISTING);
	replica_log_id(replica, log_id_after);
	assert_string_equal(log_id_after, log_id);
	struct reader_counts after = counts_of(replica);
	assert_int_equal(after.revision, before.revision);
	assert_string_equal(after.chain_hex, before.chain_hex);
	assert_int_equal(after.orders, 1);
	assert_int_equal(count_of_item(replica, 1), 5);
	struct result again = propose(replica, buy_of("buy/0/b", 1, 2));
	assert_true(again.repeated);
	assert_int_equal(again.id, first.id);
	assert_int_equal(again.revision, first.revision);
	again = propose(replica, buy_of("buy/0/r", 1, 20));
	assert_int_equal(again.error, PYGMY_INSUFFICIENT_STOCK);
	assert_int_equal(again.quantity, refused.quantity);
	assert_int_equal(count_of_item(replica, 1), 5);
	replica_close(replica);
}

/* Order workers open the store without a catalogue, and may be the first to do so. */
static void test_the_catalogue_comes_with_whoever_brings_it(void **state)
{
	struct replica *first = open_replica(*state, false);
	assert_int_equal(count_of_item(first, 1), -1);
	struct replica *second = open_replica(*state, true);
	assert_int_equal(replica_how_started(second), REPLICA_EXISTING);
	assert_int_equal(count_of_item(first, 1), 7);
	assert_int_equal(propose(first, buy_of("buy/0/b", 1, 1)).error, PYGMY_OK);
	replica_close(second);
	second = open_replica(*state, true);
	assert_int_equal(count_of_item(second, 1), 6);
	replica_close(second);
	replica_close(first);
}

static void test_a_bad_catalogue_is_used_not_at_all(void **state)
{
	struct place *place = *state;
	struct replica *replica;
	file_write(place->catalogue_path, "[{\"id\": 1, \"title\": \"One\", \"topic\": \"t\", \"cost\": 1, \"count\": 7}, {\"id\": 2}]");
	assert_int_equal(try_open(place, true, &replica), PYGMY_INVALID_FIELD);
	assert_null(replica);
	file_write(place->catalogue_path, "[");
	assert_int_equal(try_open(place, true, &replica), PYGMY_BAD_JSON);
	unlink(place->catalogue_path);
	assert_int_equal(try_open(place, true, &replica), PYGMY_STORAGE_FAILED);
	file_write(place->catalogue_path, CATALOGUE);
	replica = open_replica(place, true);
	assert_int_equal(counts_of(replica).items, 2);
	assert_int_equal(counts_of(replica).revision, 1);
	replica_close(replica);
}

static void test_a_folder_that_is_not_there(void **state)
{
	struct place *place = *state;
	struct replica *replica;
	path_in(place->db_path, place->folder, "missing/store.db");
	assert_int_equal(try_open(place, true, &replica), PYGMY_STORAGE_FAILED);
	assert_null(replica);
}

static void test_a_damaged_file(void **state)
{
	struct place *place = *state;
	struct replica *replica;
	file_write(place->db_path, "This is a text of more than a hundred bytes, which no version of SQLite has ever taken for a database file.\n");
	assert_int_equal(try_open(place, true, &replica), PYGMY_STORAGE_CORRUPT);
	assert_null(replica);
}

/* ---- two workers on one file ------------------------------------------------------------------------- */

static void test_two_handles_see_each_others_writes(void **state)
{
	struct replica *a = open_replica(*state, true), *b = open_replica(*state, false);
	char log_a[LOG_ID_TEXT_LEN + 1], log_b[LOG_ID_TEXT_LEN + 1];
	replica_log_id(a, log_a);
	replica_log_id(b, log_b);
	assert_string_equal(log_a, log_b);
	struct result first = propose(a, buy_of("buy/0/k", 1, 1));
	assert_int_equal(count_of_item(b, 1), 6);
	struct result again = propose(b, buy_of("buy/0/k", 1, 1));
	assert_true(again.repeated);
	assert_int_equal(again.id, first.id);
	assert_int_equal(propose(b, buy_of("buy/0/k", 1, 2)).error, PYGMY_KEY_REUSED);
	assert_int_equal(propose(b, buy_of("buy/0/l", 1, 1)).id, first.id + 1);
	replica_close(a);
	replica_close(b);
}

/* A worker that had nothing to do while others wrote more entries than the window holds is not behind. */
static void test_an_idle_worker_is_not_too_old(void **state)
{
	struct place *place = *state;
	struct replica *replica = open_replica(place, true);
	struct database database;
	char sql[80];
	assert_int_equal(database_open(&database, place->db_path, DATABASE_WRITE), PYGMY_OK);
	snprintf(sql, sizeof sql, "UPDATE store SET log_index = %" PRIu64, RESULT_WINDOW_ENTRIES + 100);
	sql_run(&database, sql);
	database_close(&database);
	struct result result = propose(replica, buy_of("buy/0/k", 1, 1));
	assert_int_equal(result.error, PYGMY_OK);
	assert_int_equal(result.revision, RESULT_WINDOW_ENTRIES + 101);
	replica_close(replica);
}

static void test_a_locked_database_is_busy_and_nothing_changes(void **state)
{
	struct place *place = *state;
	struct replica *replica = open_replica(place, true);
	struct command buy = buy_of("buy/0/k", 1, 1);
	struct database database;
	struct result result;
	assert_int_equal(database_open(&database, place->db_path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&database, "BEGIN IMMEDIATE");
	int64_t started_ms = monotonic_ms();
	assert_int_equal(replica_propose(replica, &buy, started_ms + 10000, &result), PYGMY_BUSY);
	assert_true(monotonic_ms() - started_ms < 5000);
	assert_int_equal(count_of_item(replica, 1), 7);       /* reads go on */
	sql_run(&database, "ROLLBACK");
	database_close(&database);
	assert_int_equal(propose(replica, buy).error, PYGMY_OK);
	assert_int_equal(count_of_item(replica, 1), 6);
	replica_close(replica);
}

static void test_stop(void **state)
{
	struct replica *replica = open_replica(*state, true);
	struct command buy = buy_of("buy/0/k", 1, 1);
	struct result result;
	replica_stop_proposals(replica);
	assert_int_equal(replica_propose(replica, &buy, monotonic_ms() + 1000, &result), PYGMY_STOPPING);
	assert_int_equal(count_of_item(replica, 1), 7);
	replica_close(replica);
	replica_close(NULL);
}

static void test_reads_at_a_position(void **state)
{
	struct replica *replica = open_replica(*state, true);
	struct reader *reader;
	struct result bought = propose(replica, buy_of("buy/0/k", 1, 1));
	assert_int_equal(reader_begin(replica, &(struct read_terms){ .min_revision = bought.revision, .strict = true }, monotonic_ms() + 1000, &reader), PYGMY_OK);
	assert_int_equal(reader_revision(reader), bought.revision);
	reader_end(reader);
	assert_int_equal(reader_begin(replica, &(struct read_terms){ .min_revision = bought.revision + 1 }, monotonic_ms() + 1000, &reader), PYGMY_BEHIND);
	assert_null(reader);
	/* That gave its connection back: both can be had, a third can't. */
	struct reader *one, *two;
	assert_int_equal(reader_begin(replica, &(struct read_terms){ 0 }, 0, &one), PYGMY_OK);
	assert_int_equal(reader_begin(replica, &(struct read_terms){ 0 }, 0, &two), PYGMY_OK);
	assert_int_equal(reader_begin(replica, &(struct read_terms){ 0 }, 0, &reader), PYGMY_BUSY);
	reader_end(one);
	assert_int_equal(reader_begin(replica, &(struct read_terms){ 0 }, 0, &reader), PYGMY_OK);
	reader_end(reader);
	reader_end(two);
	replica_close(replica);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_new_store_loads_its_catalogue),
		TEST(test_a_restart_keeps_everything),
		TEST(test_the_catalogue_comes_with_whoever_brings_it),
		TEST(test_a_bad_catalogue_is_used_not_at_all),
		TEST(test_a_folder_that_is_not_there),
		TEST(test_a_damaged_file),
		TEST(test_two_handles_see_each_others_writes),
		TEST(test_an_idle_worker_is_not_too_old),
		TEST(test_a_locked_database_is_busy_and_nothing_changes),
		TEST(test_stop),
		TEST(test_reads_at_a_position),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
