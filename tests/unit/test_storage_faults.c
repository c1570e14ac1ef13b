/*
 * replica on a failing disk: every write, sync, truncation, open, read and mapping of a proposal fails once, in turn.
 *
 * After each: the error is a documented one; "nothing was changed" changed nothing, not even for whoever recovers the files as they
 * are at that moment; nothing acknowledged is lost; and the replica works on without being opened again.
 */
#include "tests/unit/support.h"
#include "tests/unit/faulty_vfs.h"

#include "db/monotonic.h"
#include "db/replica.h"

#define FAULTS_MAX 400                /* more than any proposal makes calls */
#define COUNT_AT_START INT64_C(1000000)

struct disk_test {
	char folder[FOLDER_MAX], copy_folder[FOLDER_MAX];
	char path[PATH_BYTES], copy_path[PATH_BYTES];
	struct replica *replica;
	int64_t acknowledged;         /* orders, of one piece each */
	int64_t possible;             /* orders whose outcome was unknown and is not settled yet: 0 or 1 */
	int number;                   /* of the next key */
};

static struct replica *open_replica(const char *path)
{
	struct replica_config config = { .db_path = path, .frontends = "", .lease_ms = 100, .reader_max = 2 };
	struct replica *replica;
	assert_int_equal(replica_open(&config, &replica), PYGMY_OK);
	return replica;
}

static int setup(void **state)
{
	struct disk_test *test = calloc(1, sizeof *test);
	struct item item = item_of(1, "Title", "topic", 100, COUNT_AT_START);
	struct command import = import_of("import/0/i", &item, 1);
	struct result result;
	assert_non_null(test);
	folder_make(test->folder);
	folder_make(test->copy_folder);
	path_in(test->path, test->folder, "store.db");
	path_in(test->copy_path, test->copy_folder, "store.db");
	test->replica = open_replica(test->path);
	assert_int_equal(replica_propose(test->replica, &import, monotonic_ms() + 10000, &result), PYGMY_OK);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct disk_test *test = *state;
	fault_disarm();
	atomic_store(&fault_disk_full, false);
	replica_close(test->replica);
	folder_remove(test->folder);
	folder_remove(test->copy_folder);
	free(test);
	return 0;
}

/* ---- what must hold --------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	FILE *in = fopen(from, "rbe"), *out = fopen(to, "wbe");
	assert_non_null(in);
	assert_non_null(out);
	for (size_t len; (len = fread(bytes, 1, sizeof bytes, in)) > 0;)
		assert_int_equal(fwrite(bytes, 1, len, out), len);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

static void assert_orders(struct database *database, const struct disk_test *test)
{
	int64_t orders = sql_number(database, "SELECT count(*) FROM orders");
	assert_in_range(orders, test->acknowledged, test->acknowledged + test->possible);
	assert_books_balance(database);
	assert_int_equal(sql_number(database, "SELECT supplied FROM items"), COUNT_AT_START);
}

/* What whoever starts after a crash at this moment finds: the database and its WAL as they are, without the shared memory. */
static void assert_recovery_agrees(const struct disk_test *test)
{
	char from[PATH_BYTES + 8], to[PATH_BYTES + 8];
	struct database database;
	snprintf(from, sizeof from, "%s-wal", test->path);
	snprintf(to, sizeof to, "%s-wal", test->copy_path);
	copy_file(test->path, test->copy_path);
	copy_file(from, to);
	assert_int_equal(database_open(&database, test->copy_path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&database, "PRAGMA synchronous = OFF");
	assert_int_equal(sql_number(&database, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
	assert_orders(&database, test);
	database_close(&database);
}

static bool changes_nothing(enum pygmy_error error)
{
	return error == PYGMY_STORAGE_FULL || error == PYGMY_STORAGE_FAILED || error == PYGMY_STORAGE_CORRUPT || error == PYGMY_BUSY ||
	       error == PYGMY_OUT_OF_MEMORY;
}

static int64_t orders_read(struct disk_test *test)
{
	struct reader *reader;
	struct reader_counts counts;
	assert_int_equal(reader_begin(test->replica, &(struct read_terms){ 0 }, 0, &reader), PYGMY_OK);
	assert_int_equal(reader_counts(reader, &counts), PYGMY_OK);
	reader_end(reader);
	return counts.orders;
}

static enum pygmy_error buy(struct disk_test *test, const char *key, struct result *result)
{
	struct command command = buy_of(key, 1, 1);
	*result = (struct result){ .error = PYGMY_OK };
	return replica_propose(test->replica, &command, monotonic_ms() + 10000, result);
}

/* One purchase under the armed fault, and the same again without it. *fired tells whether the fault struck. */
static enum pygmy_error buy_under_fault(struct disk_test *test, bool *fired)
{
	char key[32];
	struct result result, again;
	snprintf(key, sizeof key, "buy/0/k%d", test->number++);
	enum pygmy_error error = buy(test, key, &result);
	*fired = fault_disarm() > 0;
	assert_true(error == PYGMY_OK || error == PYGMY_OUTCOME_UNKNOWN || changes_nothing(error));
	assert_true(error != PYGMY_OK || (result.error == PYGMY_OK && !result.repeated));
	test->acknowledged += error == PYGMY_OK ? 1 : 0;
	test->possible = error == PYGMY_OUTCOME_UNKNOWN ? 1 : 0;
	assert_recovery_agrees(test);

	assert_int_equal(buy(test, key, &again), PYGMY_OK);
	assert_int_equal(again.error, PYGMY_OK);
	if (error == PYGMY_OK)
		assert_true(again.repeated && again.id == result.id);
	if (changes_nothing(error))
		assert_false(again.repeated);
	test->acknowledged += error == PYGMY_OK ? 0 : 1;
	test->possible = 0;
	assert_int_equal(orders_read(test), test->acknowledged);
	return error;
}

/*
 * Somebody else writes and empties the WAL: the replica must read its pages again, and begin the WAL anew, with a header, and with
 * frames of an older life behind what it writes.
 */
static void checkpoint(struct disk_test *test)
{
	struct database database;
	assert_int_equal(database_open(&database, test->path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&database, "UPDATE items SET cost_minor = cost_minor + 1");
	assert_int_equal(sqlite3_wal_checkpoint_v2(database.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL), SQLITE_OK);
	database_close(&database);
}

#define ERROR_VALUES 100

/* Fails the n-th call of a kind for n = 1, 2, ... until a proposal makes fewer calls. seen counts what came out. */
static void fail_each(struct disk_test *test, enum fault_kind kind, int code, bool stays, bool torn, int seen[ERROR_VALUES])
{
	for (int pass = 0; pass < 2; pass++) {
		bool fired = true;
		for (int nth = 1; fired; nth++) {
			assert_true(nth < FAULTS_MAX);
			if (pass == 1)
				checkpoint(test);
			fault_arm(kind, nth, code, stays, torn);
			seen[buy_under_fault(test, &fired)]++;
		}
	}
}

static int sum(const int seen[ERROR_VALUES])
{
	int total = 0;
	for (int i = 0; i < ERROR_VALUES; i++)
		total += seen[i];
	return total;
}

/* ---- the tests -------------------------------------------------------------------------------------- */

static void test_a_write_finds_no_space(void **state)
{
	int seen[ERROR_VALUES] = { 0 };
	for (int torn = 0; torn < 2; torn++)
		for (int stays = 0; stays < 2; stays++)
			fail_each(*state, FAULT_WRITE, SQLITE_FULL, stays != 0, torn != 0, seen);
	assert_true(seen[PYGMY_STORAGE_FULL] >= 8);
	assert_int_equal(seen[PYGMY_OK] + seen[PYGMY_STORAGE_FULL], sum(seen));
}

static void test_a_write_fails(void **state)
{
	int seen[ERROR_VALUES] = { 0 };
	for (int torn = 0; torn < 2; torn++)
		for (int stays = 0; stays < 2; stays++)
			fail_each(*state, FAULT_WRITE, SQLITE_IOERR_WRITE, stays != 0, torn != 0, seen);
	assert_true(seen[PYGMY_OUTCOME_UNKNOWN] >= 8);
	assert_int_equal(seen[PYGMY_STORAGE_FULL], 0);
}

static void test_a_sync_fails(void **state)
{
	int seen[ERROR_VALUES] = { 0 };
	fail_each(*state, FAULT_SYNC, SQLITE_IOERR_FSYNC, false, false, seen);
	fail_each(*state, FAULT_SYNC, SQLITE_IOERR_FSYNC, true, false, seen);
	/* Without the sync the commit may be lost with the power: nobody may be told that it is there, nor that it is not. */
	assert_true(seen[PYGMY_OUTCOME_UNKNOWN] >= 4);
	assert_int_equal(seen[PYGMY_OK] + seen[PYGMY_OUTCOME_UNKNOWN], sum(seen));
	assert_int_equal(seen[PYGMY_OK], 4);
}

static void test_a_read_fails(void **state)
{
	int seen[ERROR_VALUES] = { 0 };
	fail_each(*state, FAULT_READ, SQLITE_IOERR_READ, false, false, seen);
	fail_each(*state, FAULT_READ, SQLITE_IOERR_READ, true, false, seen);
	assert_true(seen[PYGMY_STORAGE_FAILED] >= 4);
	assert_int_equal(seen[PYGMY_OK] + seen[PYGMY_STORAGE_FAILED], sum(seen));
}

static void test_other_calls_fail(void **state)
{
	int seen[ERROR_VALUES] = { 0 };
	fail_each(*state, FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE, false, false, seen);
	fail_each(*state, FAULT_OPEN, SQLITE_CANTOPEN, false, false, seen);
	fail_each(*state, FAULT_SHM_MAP, SQLITE_IOERR_SHMMAP, false, false, seen);
}

/* A disk that is full for everybody, the checkpointer too, until somebody makes room. */
static void test_a_full_disk_recovers_without_a_restart(void **state)
{
	struct disk_test *test = *state;
	struct result result;
	char key[32];
	for (int round = 0; round < 3; round++) {
		int refused = 0;
		atomic_store(&fault_disk_full, true);
		for (int i = 0; i < 40; i++) {
			snprintf(key, sizeof key, "buy/0/k%d", test->number++);
			enum pygmy_error error = buy(test, key, &result);
			assert_true(error == PYGMY_OK || error == PYGMY_STORAGE_FULL);
			test->acknowledged += error == PYGMY_OK ? 1 : 0;
			refused += error == PYGMY_OK ? 0 : 1;
			assert_int_equal(orders_read(test), test->acknowledged);      /* reads go on */
		}
		assert_true(refused > 0);
		assert_recovery_agrees(test);
		atomic_store(&fault_disk_full, false);
		for (int i = 0; i < 10; i++) {
			snprintf(key, sizeof key, "buy/0/k%d", test->number++);
			assert_int_equal(buy(test, key, &result), PYGMY_OK);
			test->acknowledged++;
		}
		assert_recovery_agrees(test);
		checkpoint(test);
	}
}

/* ---- opening and reading ----------------------------------------------------------------------------- */

static void test_opening_under_faults(void **state)
{
	struct disk_test *test = *state;
	static const struct {
		enum fault_kind kind;
		int code;
	} faults[] = {
		{ FAULT_OPEN, SQLITE_CANTOPEN }, { FAULT_WRITE, SQLITE_FULL }, { FAULT_WRITE, SQLITE_IOERR_WRITE },
		{ FAULT_SYNC, SQLITE_IOERR_FSYNC }, { FAULT_READ, SQLITE_IOERR_READ }, { FAULT_SHM_MAP, SQLITE_IOERR_SHMMAP },
		{ FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE },
	};
	struct replica_config config = { .db_path = test->copy_path, .frontends = "", .lease_ms = 100, .reader_max = 1 };
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		bool fired = true;
		for (int nth = 1; fired; nth++) {
			struct replica *replica;
			assert_true(nth < FAULTS_MAX);
			fault_arm(faults[i].kind, nth, faults[i].code, false, false);
			enum pygmy_error error = replica_open(&config, &replica);
			fired = fault_disarm() > 0;
			assert_true(fired || error == PYGMY_OK);
			assert_int_equal(replica != NULL, error == PYGMY_OK);
			assert_true(error == PYGMY_OK || error == PYGMY_OUTCOME_UNKNOWN || changes_nothing(error));
			replica_close(replica);
			/* What was half made does no harm. */
			replica = open_replica(test->copy_path);
			assert_int_equal(replica_ready(replica, NULL), PYGMY_OK);
			replica_close(replica);
			folder_remove(test->copy_folder);
			assert_int_equal(mkdir(test->copy_folder, 0700), 0);
		}
	}
}

static void test_reading_under_faults(void **state)
{
	struct disk_test *test = *state;
	struct result result;
	assert_int_equal(buy(test, "buy/0/k", &result), PYGMY_OK);
	static const enum fault_kind kinds[] = { FAULT_OPEN, FAULT_READ, FAULT_SHM_MAP };
	int failed = 0;
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		bool fired = true;
		for (int nth = 1; fired; nth++) {
			struct replica *replica = open_replica(test->path);   /* with connections that are not open yet */
			struct reader *reader = NULL;
			struct item item;
			fault_arm(kinds[k], nth, kinds[k] == FAULT_OPEN ? SQLITE_CANTOPEN : SQLITE_IOERR_READ, false, false);
			enum pygmy_error error = reader_begin(replica, &(struct read_terms){ 0 }, 0, &reader);
			enum pygmy_error item_error = error == PYGMY_OK ? reader_item(reader, 1, &item) : error;
			fired = fault_disarm() > 0;
			assert_true(item_error == PYGMY_OK || item_error == PYGMY_STORAGE_FAILED);
			assert_true(fired || item_error == PYGMY_OK);
			failed += item_error == PYGMY_OK ? 0 : 1;
			if (error == PYGMY_OK)
				reader_end(reader);
			else
				assert_null(reader);
			assert_int_equal(reader_begin(replica, &(struct read_terms){ 0 }, 0, &reader), PYGMY_OK);
			assert_int_equal(reader_item(reader, 1, &item), PYGMY_OK);
			assert_int_equal(item.count, COUNT_AT_START - 1);
			reader_end(reader);
			replica_close(replica);
		}
	}
	assert_true(failed > 3);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (faulty_vfs_register() != SQLITE_OK)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_write_finds_no_space),
		TEST(test_a_write_fails),
		TEST(test_a_sync_fails),
		TEST(test_a_read_fails),
		TEST(test_other_calls_fail),
		TEST(test_a_full_disk_recovers_without_a_restart),
		TEST(test_opening_under_faults),
		TEST(test_reading_under_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
