/*
 * snapshots on a failing disk: every write, truncation, open, read and mapping of making a copy, of checking one and of restoring one
 * fails once, in turn. After each: a documented error, no file half made, the store works on, and without the fault it succeeds.
 */
#include "tests/unit/support.h"
#include "tests/unit/faulty_vfs.h"
#include "tests/unit/temporary_folder.h"

#include <dirent.h>
#include <sodium.h>

#include "db/monotonic.h"
#include "db/replica.h"
#include "db/snapshot.h"

#define FAULTS_MAX 2000               /* more than any of these makes calls */
#define ITEMS 200

struct fault_test {
	struct temporary_folder folder;
	char db_path[PATH_MAX], copies[PATH_MAX], backup[PATH_MAX], restored[PATH_MAX];
	struct replica *replica;
	int bought;
};

static const struct {
	enum fault_kind kind;
	int code;
	bool torn;
} faults[] = {
	{ FAULT_WRITE, SQLITE_FULL, false }, { FAULT_WRITE, SQLITE_IOERR_WRITE, true }, { FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE, false },
	{ FAULT_OPEN, SQLITE_CANTOPEN, false }, { FAULT_READ, SQLITE_IOERR_READ, false }, { FAULT_SHM_MAP, SQLITE_IOERR_SHMMAP, false },
};
#define FAULTS (sizeof faults / sizeof faults[0])

static void buy(struct fault_test *test)
{
	char key[32];
	struct result result;
	snprintf(key, sizeof key, "buy/0/k%d", test->bought++);
	struct command command = buy_of(key, 1, 1);
	assert_int_equal(replica_propose(test->replica, &command, monotonic_ms() + 10000, &result), PYGMY_OK);
	assert_int_equal(result.error, PYGMY_OK);
}

static int setup(void **state)
{
	struct fault_test *test = calloc(1, sizeof *test);
	struct item items[ITEMS];
	struct result result;
	assert_non_null(test);
	temporary_folder_make(&test->folder);
	snprintf(test->db_path, sizeof test->db_path, "%s/store.db", test->folder.path);
	snprintf(test->copies, sizeof test->copies, "%s/snapshots", test->folder.path);
	snprintf(test->backup, sizeof test->backup, "%s/backup.db", test->folder.path);
	snprintf(test->restored, sizeof test->restored, "%s/restored.db", test->folder.path);
	struct replica_config config = { .db_path = test->db_path, .frontends = "", .lease_ms = 100, .reader_max = 2 };
	assert_int_equal(replica_open(&config, &test->replica), PYGMY_OK);
	for (int i = 0; i < ITEMS; i++)
		items[i] = item_of(i + 1, "A title that takes some room in its page, so that there are several", "topic", 100, 1000000);
	struct command import = import_of("import/0/i", items, ITEMS);
	assert_int_equal(replica_propose(test->replica, &import, monotonic_ms() + 10000, &result), PYGMY_OK);
	buy(test);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct fault_test *test = *state;
	fault_disarm();
	atomic_store(&fault_disk_full, false);
	replica_close(test->replica);
	temporary_folder_remove(&test->folder);
	free(test);
	return 0;
}

/* Files of a folder that are there and not whole, and in *whole the others. */
static int parts(const char *path, int *whole)
{
	int count = 0;
	DIR *folder = opendir(path);
	*whole = 0;
	for (struct dirent *file; folder != NULL && (file = readdir(folder)) != NULL;) {
		count += strstr(file->d_name, ".part") != NULL;
		*whole += strcmp(file->d_name + strlen(file->d_name) - (strlen(file->d_name) > 3 ? 3 : 0), ".db") == 0;
	}
	if (folder != NULL)
		closedir(folder);
	return count;
}

static bool is_documented(enum pygmy_error error)
{
	return error == PYGMY_STORAGE_FULL || error == PYGMY_STORAGE_FAILED || error == PYGMY_STORAGE_CORRUPT || error == PYGMY_BUSY ||
	       error == PYGMY_OUT_OF_MEMORY;
}

/* ---- making ------------------------------------------------------------------------------------------ */

static void make_one(struct fault_test *test, char path[PATH_MAX])
{
	struct snapshot_maker *maker;
	struct snapshot_info info;
	assert_int_equal(snapshot_maker_create(test->db_path, test->folder.path, &maker), PYGMY_OK);
	assert_int_equal(snapshot_make(maker, path, &info), PYGMY_OK);
	snapshot_maker_destroy(maker);
}

static void test_making(void **state)
{
	struct fault_test *test = *state;
	int full = 0, failed = 0, whole;
	for (size_t i = 0; i < 2 * FAULTS; i++) {
		bool fired = true, stays = i >= FAULTS;
		for (int nth = 1; fired; nth++) {
			struct snapshot_maker *maker;
			struct snapshot_info info;
			char path[PATH_MAX];
			assert_true(nth < FAULTS_MAX);
			assert_int_equal(snapshot_maker_create(test->db_path, test->folder.path, &maker), PYGMY_OK);
			fault_arm(faults[i % FAULTS].kind, nth, faults[i % FAULTS].code, stays, faults[i % FAULTS].torn);
			enum pygmy_error error = snapshot_make(maker, path, &info);
			fired = fault_disarm() > 0;
			snapshot_maker_destroy(maker);
			assert_true(fired || error == PYGMY_OK);
			assert_true(error == PYGMY_OK || is_documented(error));
			if (parts(test->copies, &whole)) fail_msg("kind %d nth %d stays %d error %d", faults[i % FAULTS].kind, nth, stays, error);
			/* What was made under a fault is right, or not made. */
			if (error == PYGMY_OK)
				assert_int_equal(snapshot_check(path, &info, NULL), PYGMY_OK);
			if (faults[i % FAULTS].code == SQLITE_FULL)
				assert_true(error == PYGMY_OK || error == PYGMY_STORAGE_FULL);
			full += error == PYGMY_STORAGE_FULL;
			failed += error == PYGMY_STORAGE_FAILED;
		}
		buy(test);
	}
	assert_true(full > 10 && failed > 10);
}

static void test_a_full_disk(void **state)
{
	struct fault_test *test = *state;
	struct snapshot_maker *maker;
	struct snapshot_info info;
	char path[PATH_MAX];
	int whole;
	assert_int_equal(snapshot_maker_create(test->db_path, test->folder.path, &maker), PYGMY_OK);
	for (int round = 0; round < 3; round++) {
		atomic_store(&fault_disk_full, true);
		assert_int_equal(snapshot_make(maker, path, &info), PYGMY_STORAGE_FULL);
		assert_int_equal(parts(test->copies, &whole), 0);
		atomic_store(&fault_disk_full, false);
		assert_int_equal(snapshot_make(maker, path, &info), PYGMY_OK);
		assert_int_equal(snapshot_check(path, &info, NULL), PYGMY_OK);
		buy(test);
	}
	snapshot_maker_destroy(maker);
}

/* ---- checking and restoring -------------------------------------------------------------------------- */

/* A file that can't be read is not called good, nor damaged. */
static void test_checking(void **state)
{
	struct fault_test *test = *state;
	char path[PATH_MAX], why[SNAPSHOT_WHY_BYTES];
	int failed = 0;
	make_one(test, path);
	for (size_t i = 3; i < 5; i++)
		for (int stays = 0; stays < 2; stays++) {
			bool fired = true;
			for (int nth = 1; fired; nth++) {
				struct snapshot_info info;
				assert_true(nth < FAULTS_MAX);
				fault_arm(faults[i].kind, nth, faults[i].code, stays != 0, false);
				enum pygmy_error error = snapshot_check(path, &info, why);
				fired = fault_disarm() > 0;
				assert_true(fired || error == PYGMY_OK);
				assert_int_equal(error == PYGMY_OK, why[0] == '\0');
				/* integrity_check itself reports a page that it could not read as damage. */
				assert_true(error == PYGMY_OK || error == PYGMY_STORAGE_FAILED || error == PYGMY_STORAGE_CORRUPT);
				assert_true(!stays || !fired || error != PYGMY_OK);
				failed += error == PYGMY_STORAGE_FAILED;
			}
		}
	assert_true(failed > 4);
}

static void test_restoring(void **state)
{
	struct fault_test *test = *state;
	char path[PATH_MAX], why[SNAPSHOT_WHY_BYTES];
	int failed = 0, whole;
	make_one(test, path);
	assert_int_equal(rename(path, test->backup), 0);
	for (size_t i = 0; i < FAULTS; i++) {
		bool fired = true;
		for (int nth = 1; fired; nth++) {
			struct snapshot_info info;
			assert_true(nth < FAULTS_MAX);
			fault_arm(faults[i].kind, nth, faults[i].code, false, faults[i].torn);
			enum pygmy_error error = snapshot_restore(test->backup, test->restored, &info, why);
			fired = fault_disarm() > 0;
			assert_true(fired || error == PYGMY_OK);
			assert_true(error == PYGMY_OK || is_documented(error));
			assert_int_equal(parts(test->folder.path, &whole), 0);
			assert_int_equal(whole, error == PYGMY_OK ? 3 : 2);
			if (error == PYGMY_OK) {
				assert_int_equal(snapshot_check(test->restored, &info, NULL), PYGMY_OK);
				assert_int_equal(unlink(test->restored), 0);
			}
			failed += error != PYGMY_OK;
		}
	}
	assert_true(failed > 4);
	/* The backup is as it was. */
	struct snapshot_info info;
	assert_int_equal(snapshot_check(test->backup, &info, NULL), PYGMY_OK);
	char log_id[LOG_ID_TEXT_LEN + 1];
	replica_log_id(test->replica, log_id);
	assert_string_equal(info.log_id, log_id);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (sodium_init() < 0 || faulty_vfs_register() != SQLITE_OK)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_making),
		TEST(test_a_full_disk),
		TEST(test_checking),
		TEST(test_restoring),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
