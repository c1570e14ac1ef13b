/* snapshot_make: copies of a store that is written to; who shares them; what stays in the folder. */
#include "tests/unit/support.h"
#include "tests/unit/temporary_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/file.h>

#include "db/monotonic.h"
#include "db/replica.h"
#include "db/snapshot.h"

#define ITEMS 8
#define ASKERS 3
#define ROUNDS 6
#define FAR_MS 60000

struct make_test {
	struct temporary_folder folder;
	char db_path[PATH_MAX], copies[PATH_MAX];
	struct replica *replica;
	struct snapshot_maker *maker;
	atomic_bool stop;
	atomic_int_fast64_t acknowledged;     /* orders */
	atomic_int failures;
};

static int setup(void **state)
{
	struct make_test *test = calloc(1, sizeof *test);
	struct item items[ITEMS];
	struct result result;
	assert_non_null(test);
	temporary_folder_make(&test->folder);
	snprintf(test->db_path, sizeof test->db_path, "%s/store.db", test->folder.path);
	snprintf(test->copies, sizeof test->copies, "%s/snapshots", test->folder.path);
	struct replica_config config = { .db_path = test->db_path, .frontends = "", .lease_ms = 100, .reader_max = 2 };
	assert_int_equal(replica_open(&config, &test->replica), PYGMY_OK);
	for (int i = 0; i < ITEMS; i++)
		items[i] = item_of(i + 1, "Title", "topic", 100, 1000000);
	struct command import = import_of("import/0/i", items, ITEMS);
	assert_int_equal(replica_propose(test->replica, &import, monotonic_ms() + FAR_MS, &result), PYGMY_OK);
	assert_int_equal(snapshot_maker_create(test->db_path, test->folder.path, &test->maker), PYGMY_OK);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct make_test *test = *state;
	snapshot_maker_destroy(test->maker);
	replica_close(test->replica);
	temporary_folder_remove(&test->folder);
	free(test);
	return 0;
}

static bool buy(struct make_test *test, int number)
{
	char key[32];
	struct result result;
	snprintf(key, sizeof key, "buy/0/k%d", number);
	struct command command = buy_of(key, number % ITEMS + 1, 1);
	return replica_propose(test->replica, &command, monotonic_ms() + FAR_MS, &result) == PYGMY_OK && result.error == PYGMY_OK;
}

static void *run_buyer(void *context)
{
	struct make_test *test = context;
	for (int number = 0; !atomic_load(&test->stop); number++) {
		if (!buy(test, number))
			atomic_fetch_add(&test->failures, 1);
		atomic_fetch_add(&test->acknowledged, 1);
	}
	return NULL;
}

/* The names that end so; the last one in name. */
static int files(const struct make_test *test, const char *end, char name[NAME_MAX + 1])
{
	int count = 0;
	DIR *folder = opendir(test->copies);
	for (struct dirent *file; folder != NULL && (file = readdir(folder)) != NULL;) {
		size_t len = strlen(file->d_name);
		if (len < strlen(end) || strcmp(file->d_name + len - strlen(end), end) != 0)
			continue;
		count++;
		if (name != NULL)
			snprintf(name, NAME_MAX + 1, "%s", file->d_name);
	}
	if (folder != NULL)
		closedir(folder);
	return count;
}

/* ---- one asker --------------------------------------------------------------------------------------- */

static void test_a_copy(void **state)
{
	struct make_test *test = *state;
	char path[PATH_MAX], again[PATH_MAX];
	struct snapshot_info info, checked;
	struct stat status;
	assert_true(buy(test, 0));
	assert_int_equal(snapshot_make(test->maker, path, &info), PYGMY_OK);
	assert_int_equal(path[0], '/');
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(status.st_size, info.bytes);
	assert_int_equal(snapshot_check(path, &checked, NULL), PYGMY_OK);
	assert_memory_equal(&checked, &info, sizeof info);
	assert_int_equal(info.orders, 1);
	assert_int_equal(info.items, ITEMS);
	char log_id[LOG_ID_TEXT_LEN + 1];
	replica_log_id(test->replica, log_id);
	assert_string_equal(info.log_id, log_id);
	/* Nothing was written: the same one. */
	assert_int_equal(snapshot_make(test->maker, again, &info), PYGMY_OK);
	assert_string_equal(again, path);
	/* Somebody took it away. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(snapshot_make(test->maker, again, &info), PYGMY_OK);
	assert_string_not_equal(again, path);
	assert_int_equal(snapshot_check(again, &checked, NULL), PYGMY_OK);
	/* Something was written: a new one, and not more than two. */
	for (int number = 1; number < 5; number++) {
		assert_true(buy(test, number));
		assert_int_equal(snapshot_make(test->maker, path, &info), PYGMY_OK);
		assert_int_equal(info.orders, number + 1);
		assert_int_equal(snapshot_check(path, &checked, NULL), PYGMY_OK);
		assert_in_range(files(test, ".db", NULL), 1, 2);
	}
}

/* What a killed process left goes; what another one is writing stays; what is not ours, too. */
static void test_the_folder(void **state)
{
	struct make_test *test = *state;
	char path[PATH_MAX], abandoned[PATH_MAX + NAME_MAX], written[PATH_MAX + NAME_MAX], other[PATH_MAX + NAME_MAX];
	struct snapshot_info info;
	assert_int_equal(mkdir(test->copies, 0700), 0);
	snprintf(abandoned, sizeof abandoned, "%s/1111.part", test->copies);
	snprintf(written, sizeof written, "%s/2222.part", test->copies);
	snprintf(other, sizeof other, "%s/readme.txt", test->copies);
	file_write(abandoned, "half");
	file_write(written, "half");
	file_write(other, "text");
	int fd = open(written, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(snapshot_make(test->maker, path, &info), PYGMY_OK);
	assert_int_equal(file_size(abandoned), -1);
	assert_int_equal(file_size(written), 4);
	assert_int_equal(file_size(other), 4);
	close(fd);
	/* Already when a maker begins its life. */
	snapshot_maker_destroy(test->maker);
	assert_int_equal(snapshot_maker_create(test->db_path, test->folder.path, &test->maker), PYGMY_OK);
	assert_int_equal(file_size(written), -1);
	assert_int_equal(files(test, ".db", NULL), 1);
}

static void test_no_place(void **state)
{
	struct make_test *test = *state;
	char path[PATH_MAX];
	struct snapshot_info info;
	file_write(test->copies, "a file where the folder should be");
	assert_int_equal(snapshot_make(test->maker, path, &info), PYGMY_STORAGE_FAILED);
	assert_int_equal(unlink(test->copies), 0);
	assert_int_equal(snapshot_make(test->maker, path, &info), PYGMY_OK);
}

static void test_stopping(void **state)
{
	struct make_test *test = *state;
	char path[PATH_MAX];
	struct snapshot_info info;
	snapshot_maker_stop(test->maker);
	assert_int_equal(snapshot_make(test->maker, path, &info), PYGMY_STOPPING);
	assert_int_equal(files(test, ".db", NULL) + files(test, ".part", NULL), 0);
}

/* ---- many, while somebody buys ----------------------------------------------------------------------- */

/* As sql_number, on any thread. */
static int64_t number_of(struct database *database, const char *sql)
{
	sqlite3_stmt *statement;
	int64_t number = -1;
	if (sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

static void *run_asker(void *context)
{
	struct make_test *test = context;
	for (int round = 0; round < ROUNDS; round++) {
		char path[PATH_MAX], why[SNAPSHOT_WHY_BYTES];
		struct snapshot_info info;
		struct database database;
		int64_t before = (int64_t)atomic_load(&test->acknowledged);
		enum pygmy_error error = snapshot_make(test->maker, path, &info);
		bool good = error == PYGMY_OK && info.orders >= before;
		/* Held open, as nginx does: newer copies may remove it. (Gone already: another asker's was newer by two.) */
		if (good && database_open(&database, path, DATABASE_FOREIGN) == PYGMY_OK) {
			good = number_of(&database, "SELECT count(*) FROM orders") == info.orders
				&& number_of(&database, "SELECT sum(sold) FROM items") == info.orders
				&& number_of(&database, "SELECT sum(supplied - count - sold) FROM items") == 0
				&& number_of(&database, "SELECT log_index FROM store") == (int64_t)info.index;
			database_close(&database);
		}
		error = good ? snapshot_check(path, &info, why) : PYGMY_INTERNAL;
		if (!good || (error != PYGMY_OK && error != PYGMY_STORAGE_FAILED))
			atomic_fetch_add(&test->failures, 1);
	}
	return NULL;
}

static void test_under_load(void **state)
{
	struct make_test *test = *state;
	pthread_t buyer, askers[ASKERS];
	assert_int_equal(pthread_create(&buyer, NULL, run_buyer, test), 0);
	for (int i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_create(&askers[i], NULL, run_asker, test), 0);
	for (int i = 0; i < ASKERS; i++)
		pthread_join(askers[i], NULL);
	atomic_store(&test->stop, true);
	pthread_join(buyer, NULL);
	assert_int_equal(atomic_load(&test->failures), 0);
	assert_true(atomic_load(&test->acknowledged) > 0);
	assert_int_equal(files(test, ".part", NULL), 0);
	assert_in_range(files(test, ".db", NULL), 1, 2);
}

/* Another maker of another process: both write into one folder. */
static void test_two_makers(void **state)
{
	struct make_test *test = *state;
	struct make_test other = *test;
	pthread_t askers[2];
	atomic_init(&other.failures, 0);
	assert_int_equal(snapshot_maker_create(test->db_path, test->folder.path, &other.maker), PYGMY_OK);
	assert_int_equal(pthread_create(&askers[0], NULL, run_asker, test), 0);
	assert_int_equal(pthread_create(&askers[1], NULL, run_asker, &other), 0);
	for (int number = 0; number < 50; number++)
		assert_true(buy(test, number));
	pthread_join(askers[0], NULL);
	pthread_join(askers[1], NULL);
	snapshot_maker_destroy(other.maker);
	assert_int_equal(atomic_load(&test->failures) + atomic_load(&other.failures), 0);
	assert_int_equal(files(test, ".part", NULL), 0);
}

/* ---- too many ---------------------------------------------------------------------------------------- */

struct crowd {
	struct make_test *test;
	atomic_int good, busy, other;
};

static void *run_one_of_many(void *context)
{
	struct crowd *crowd = context;
	char path[PATH_MAX];
	struct snapshot_info info;
	enum pygmy_error error = snapshot_make(crowd->test->maker, path, &info);
	atomic_fetch_add(error == PYGMY_OK ? &crowd->good : error == PYGMY_BUSY ? &crowd->busy : &crowd->other, 1);
	return NULL;
}

/* A thread of a worker waits for a copy only if few others do. */
static void test_a_crowd(void **state)
{
	struct make_test *test = *state;
	struct crowd crowd = { .test = test };
	pthread_t threads[4 * SNAPSHOT_ASKERS_MAX];
	for (int i = 0; i < 4 * SNAPSHOT_ASKERS_MAX; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_one_of_many, &crowd), 0);
	for (int i = 0; i < 4 * SNAPSHOT_ASKERS_MAX; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&crowd.other), 0);
	assert_true(atomic_load(&crowd.good) >= SNAPSHOT_ASKERS_MAX);
	assert_int_equal(atomic_load(&crowd.good) + atomic_load(&crowd.busy), 4 * SNAPSHOT_ASKERS_MAX);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (sodium_init() < 0)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_copy),
		TEST(test_the_folder),
		TEST(test_no_place),
		TEST(test_stopping),
		TEST(test_under_load),
		TEST(test_two_makers),
		TEST(test_a_crowd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
