/*
 * applier under storage faults: every call of the file layer fails once, or from then on, while it opens, applies, installs a snapshot or
 * makes a file anew. What is in the file afterwards is one of the two states, before or after, and when the fault is gone all goes on.
 */
#include "tests/unit/applier_fixture.h"
#include "tests/unit/faulty_vfs.h"

#define FAULTS_MAX 2000

struct fault {
	enum fault_kind kind;
	int code;
};

static const struct fault faults[] = {
	{ FAULT_WRITE, SQLITE_FULL }, { FAULT_WRITE, SQLITE_IOERR_WRITE }, { FAULT_SYNC, SQLITE_IOERR_FSYNC }, { FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE },
	{ FAULT_OPEN, SQLITE_CANTOPEN }, { FAULT_READ, SQLITE_IOERR_READ }, { FAULT_SHM_MAP, SQLITE_IOERR_SHMMAP },
};

static bool is_storage_error(enum pygmy_error error)
{
	return error == PYGMY_STORAGE_FULL || error == PYGMY_STORAGE_FAILED || error == PYGMY_STORAGE_CORRUPT || error == PYGMY_BUSY;
}

/* Runs action with the n-th call failing, for n = 1, 2, ... until it makes fewer. Returns how often the fault struck. */
static int fail_each(struct applier_test *test, const struct fault *fault, bool stays, void (*action)(struct applier_test *))
{
	int struck = 0;
	bool fired = true;
	for (int nth = 1; fired; nth++) {
		assert_true(nth < FAULTS_MAX);
		fault_arm(fault->kind, nth, fault->code, stays, nth % 2 == 0);
		action(test);
		fired = fault_disarm() > 0;
		struck += fired ? 1 : 0;
	}
	return struck;
}

static int fail_everywhere(struct applier_test *test, void (*action)(struct applier_test *))
{
	int struck = 0;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		for (int stays = 0; stays < 2; stays++)
			struck += fail_each(test, &faults[i], stays != 0, action);
	return struck;
}

static void assert_sound(struct applier_test *test)
{
	assert_int_equal(sql_number(applier_database(test->applier),
				    "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
	assert_books_balance(applier_database(test->applier));
}

/* ---- applying --------------------------------------------------------------------------------------- */

static void put_purchases(struct applier_test *test, int count)
{
	for (int i = 0; i < count; i++)
		value_log_put_one(&test->log, buy_of(arena_printf(&test->log.arena, "buy/0/%zu", test->log.count).ptr, 1, 1));
}

static void apply_under_fault(struct applier_test *test)
{
	uint64_t before = applier_position(test->applier)->index;
	put_purchases(test, 2);
	enum pygmy_error error = applier_apply(test->applier, &test->log.values[before], 2, NULL, NULL);
	fault_plan.countdown = 0;
	assert_true(error == PYGMY_OK || is_storage_error(error));
	/* Who is told of a failure goes on from what the applier says. */
	uint64_t after = applier_position(test->applier)->index;
	assert_true(after == before + 2 || (error != PYGMY_OK && after == before));
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	assert_int_equal(applier_position(test->applier)->index, before + 2);
	assert_int_equal(sql_number(applier_database(test->applier), "SELECT count(*) FROM orders"), before);
}

static void test_applying_under_faults(void **state)
{
	struct applier_test *test = *state;
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	assert_int_equal(applier_position(test->applier)->index, 2);
	sql_run(applier_database(test->applier), "PRAGMA synchronous = NORMAL; PRAGMA cache_size = 5");
	assert_true(fail_everywhere(test, apply_under_fault) > 20);
	assert_sound(test);
	/* All of it is what a replica that met no fault has. */
	struct applier *other;
	char path[PATH_BYTES];
	path_in(path, test->folder, "other.db");
	assert_int_equal(applier_open(path, NULL, &other), PYGMY_OK);
	assert_int_equal(apply_rest(other, &test->log, 64), PYGMY_OK);
	assert_same_content(applier_database(other), applier_database(test->applier));
	applier_close(other);
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static void open_under_fault(struct applier_test *test)
{
	applier_close(test->applier);
	enum pygmy_error error = applier_open(test->path, NULL, &test->applier);
	fault_plan.countdown = 0;
	assert_true(error == PYGMY_OK || is_storage_error(error));
	if (error != PYGMY_OK)
		assert_int_equal(applier_open(test->path, NULL, &test->applier), PYGMY_OK);
	assert_int_equal(applier_position(test->applier)->index, 2);
}

static void test_opening_under_faults(void **state)
{
	struct applier_test *test = *state;
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	assert_true(fail_everywhere(test, open_under_fault) > 20);
	assert_sound(test);
}

/* ---- snapshots -------------------------------------------------------------------------------------- */

static char snapshots[2][PATH_BYTES];     /* at index 2, and at index 52 */

static void make_snapshots(struct applier_test *test)
{
	path_in(snapshots[0], test->folder, "first.db");
	path_in(snapshots[1], test->folder, "second.db");
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	snapshot_of(applier_database(test->applier), snapshots[0]);
	put_purchases(test, 50);
	assert_int_equal(apply_rest(test->applier, &test->log, 10), PYGMY_OK);
	snapshot_of(applier_database(test->applier), snapshots[1]);
}

static void install_under_fault(struct applier_test *test)
{
	uint64_t before = applier_position(test->applier)->index, wanted = before == 2 ? 52 : 2;
	enum pygmy_error error = applier_install(test->applier, snapshots[wanted == 52]);
	fault_plan.countdown = 0;
	assert_true(error == PYGMY_OK || is_storage_error(error));
	uint64_t in_file = (uint64_t)sql_number(applier_database(test->applier), "SELECT log_index FROM store");
	assert_true(in_file == wanted || (error != PYGMY_OK && in_file == before));
	assert_sound(test);
	assert_int_equal(applier_install(test->applier, snapshots[wanted == 52]), PYGMY_OK);
	assert_int_equal(applier_position(test->applier)->index, wanted);
}

static void test_installing_under_faults(void **state)
{
	struct applier_test *test = *state;
	make_snapshots(test);
	assert_true(fail_everywhere(test, install_under_fault) > 40);
}

/* ---- making anew ------------------------------------------------------------------------------------ */

static void test_making_anew_under_faults(void **state)
{
	struct applier_test *test = *state;
	make_snapshots(test);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		bool fired = true;
		for (int nth = 1; fired; nth++) {
			assert_true(nth < FAULTS_MAX);
			assert_int_equal(applier_install(test->applier, snapshots[1]), PYGMY_OK);
			applier_close(test->applier);
			test->applier = NULL;
			fault_arm(faults[i].kind, nth, faults[i].code, nth % 3 == 0, nth % 2 == 0);
			enum pygmy_error error = applier_reset(test->path);
			fired = fault_disarm() > 0;
			assert_true(error == PYGMY_OK || is_storage_error(error));
			if (error != PYGMY_OK)
				assert_int_equal(applier_reset(test->path), PYGMY_OK);
			assert_int_equal(applier_open(test->path, NULL, &test->applier), PYGMY_OK);
			assert_int_equal(applier_position(test->applier)->index, 0);
		}
	}
	assert_int_equal(apply_rest(test->applier, &test->log, 10), PYGMY_OK);
	assert_sound(test);
}

static int disarm_and_teardown(void **state)
{
	fault_disarm();
	return applier_teardown(state);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (faulty_vfs_register() != SQLITE_OK)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, applier_setup, disarm_and_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_applying_under_faults),
		TEST(test_opening_under_faults),
		TEST(test_installing_under_faults),
		TEST(test_making_anew_under_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
