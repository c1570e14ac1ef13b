/*
 * applier under kill -9, in the middle of applying, of installing a snapshot and of making a file anew: whoever opens the file next finds a
 * position of the log, with the chain hash that every replica has there, and all of its content.
 */
#include "tests/unit/applier_fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ROUNDS 60
#define VALUES 400

struct kill_test {
	struct applier_test *base;
	uint8_t chains[VALUES + 3][CHAIN_BYTES];
	char snapshots[2][PATH_BYTES];        /* of index 100 and 300 */
	uint64_t seed;
};

static int setup(void **state)
{
	struct kill_test *test = calloc(1, sizeof *test);
	assert_non_null(test);
	assert_int_equal(applier_setup((void **)&test->base), 0);
	struct applier_test *base = test->base;
	test->seed = test_seed("test_applier_kill");
	value_log_put_random(&base->log, &test->seed, VALUES);
	path_in(test->snapshots[0], base->folder, "first.db");
	path_in(test->snapshots[1], base->folder, "second.db");
	for (size_t i = 0; i < base->log.count; i++) {
		assert_int_equal(applier_apply(base->applier, &base->log.values[i], 1, NULL, NULL), PYGMY_OK);
		memcpy(test->chains[i + 1], applier_position(base->applier)->chain, CHAIN_BYTES);
		if (i + 1 == 100 || i + 1 == 300)
			snapshot_of(applier_database(base->applier), test->snapshots[i + 1 == 300]);
	}
	applier_close(base->applier);
	base->applier = NULL;
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct kill_test *test = *state;
	void *base = test->base;
	applier_teardown(&base);
	free(test);
	return 0;
}

/* The child: goes to and fro until it is killed. Exits only when something is wrong. */
static void go_on(struct kill_test *test, uint64_t seed)
{
	struct applier *applier;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (applier_open(test->base->path, NULL, &applier) != PYGMY_OK)
		_exit(1);
	for (;;) {
		size_t next = applier_position(applier)->index, left = test->base->log.count - next;
		size_t count = (size_t)test_random_in(&seed, 1, 20);
		enum pygmy_error error = PYGMY_OK;
		int64_t choice = test_random_in(&seed, 0, 30);
		if (choice == 0) {
			applier_close(applier);
			error = applier_reset(test->base->path);
			if (error == PYGMY_OK)
				error = applier_open(test->base->path, NULL, &applier);
		} else if (choice <= 4 || left == 0) {
			error = applier_install(applier, test->snapshots[choice % 2]);
		} else {
			error = applier_apply(applier, &test->base->log.values[next], count < left ? count : left, NULL, NULL);
		}
		if (error == PYGMY_OK && choice == 9)
			sqlite3_wal_checkpoint_v2(applier_database(applier)->handle, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
		if (error != PYGMY_OK)
			_exit(2);
	}
}

static void assert_is_a_position_of_the_log(struct kill_test *test)
{
	struct applier *applier;
	static const uint8_t zeros[CHAIN_BYTES];
	assert_int_equal(applier_open(test->base->path, NULL, &applier), PYGMY_OK);
	struct database *database = applier_database(applier);
	uint64_t index = applier_position(applier)->index;
	assert_in_range(index, 0, test->base->log.count);
	assert_memory_equal(applier_position(applier)->chain, index == 0 ? zeros : test->chains[index], CHAIN_BYTES);
	assert_int_equal(applier_log(applier)->mod_revision, index == 0 ? 0 : test->base->log.values[index - 1].position.mod_revision);
	assert_int_equal(sql_number(database, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
	assert_books_balance(database);
	applier_close(applier);
}

static void test_killed_at_any_moment(void **state)
{
	struct kill_test *test = *state;
	for (int round = 0; round < ROUNDS; round++) {
		int status;
		uint64_t seed = test_random(&test->seed);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			go_on(test, seed);
		test_pause_ms((int)test_random_in(&test->seed, 1, 40));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_is_a_position_of_the_log(test);
	}
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_killed_at_any_moment, setup, teardown) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
