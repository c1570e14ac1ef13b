/* node_state: what processes of a node tell each other, also when one of them is killed or stopped. */
#include "tests/unit/support.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "db/node_state.h"

#define LONG_MS 20000                 /* longer than anything here takes */

struct place {
	char folder[FOLDER_MAX];
	char db_path[PATH_BYTES];
	struct node_state *state;
};

static struct node_state *open_state(const struct place *place)
{
	struct node_state *state;
	assert_int_equal(node_state_open(place->db_path, &state), PYGMY_OK);
	return state;
}

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	assert_non_null(place);
	folder_make(place->folder);
	path_in(place->db_path, place->folder, "store.db");
	place->state = open_state(place);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	node_state_close(place->state);
	folder_remove(place->folder);
	free(place);
	return 0;
}

static struct node_view view_of(const struct node_state *state)
{
	struct node_view view;
	node_state_view(state, &view);
	return view;
}

/* The lock, and a phase in which entries come. */
static void follow(struct place *place)
{
	assert_true(node_state_lock(place->state, LONG_MS));
	node_state_set_phase(place->state, NODE_CATCHING_UP);
}

/* ---- completeness ------------------------------------------------------------------------------------ */

static void test_a_new_state_knows_nothing(void **context)
{
	struct place *place = *context;
	struct node_view view = view_of(place->state);
	assert_int_equal(view.phase, NODE_STARTING);
	assert_int_equal(view.applied, 0);
	assert_int_equal(view.complete_at_ms, 0);
	assert_int_equal(view.cluster_id, 0);
	assert_false(view.quorum);
	assert_false(node_state_wait_applied(place->state, 1, test_now_ms() + LONG_MS));
}

static void test_complete_when_the_known_end_is_applied(void **context)
{
	struct place *place = *context;
	follow(place);
	node_state_set_applied(place->state, 4);
	node_state_set_end(place->state, 5, 1000);
	assert_int_equal(view_of(place->state).complete_at_ms, 0);
	assert_int_equal(view_of(place->state).phase, NODE_CATCHING_UP);
	assert_int_equal(view_of(place->state).end, 5);
	node_state_set_applied(place->state, 5);
	assert_int_equal(view_of(place->state).complete_at_ms, 1000);
	assert_int_equal(view_of(place->state).phase, NODE_READY);
	node_state_set_end(place->state, 5, 1500);
	assert_int_equal(view_of(place->state).complete_at_ms, 1500);
	/* An answer that was overtaken by a later one. */
	node_state_set_end(place->state, 3, 1200);
	assert_int_equal(view_of(place->state).complete_at_ms, 1500);
	assert_int_equal(view_of(place->state).end, 5);
}

/* A replica that is always a little behind is complete as of a little ago. */
static void test_completeness_does_not_starve(void **context)
{
	struct place *place = *context;
	follow(place);
	for (uint64_t i = 1; i <= 100; i++) {
		node_state_set_end(place->state, 10 * i + 7, (int64_t)(100 * i));
		node_state_set_applied(place->state, 10 * i);
	}
	assert_in_range(view_of(place->state).complete_at_ms, 9800, 10000);
	node_state_set_applied(place->state, 1007);
	assert_int_equal(view_of(place->state).complete_at_ms, 10000);
}

static void test_a_rebuilt_replica_is_not_complete(void **context)
{
	struct place *place = *context;
	follow(place);
	node_state_set_end(place->state, 5, 1000);
	node_state_set_applied(place->state, 5);
	assert_int_equal(view_of(place->state).complete_at_ms, 1000);
	node_state_set_phase(place->state, NODE_CATCHING_UP);
	node_state_set_applied(place->state, 3);
	assert_int_equal(view_of(place->state).complete_at_ms, 0);
	node_state_set_applied(place->state, 9);
	assert_int_equal(view_of(place->state).complete_at_ms, 0);
	assert_int_equal(view_of(place->state).phase, NODE_CATCHING_UP);
	node_state_set_end(place->state, 9, 1600);
	assert_int_equal(view_of(place->state).complete_at_ms, 1600);
	assert_int_equal(view_of(place->state).phase, NODE_READY);
}

static void test_another_log_is_not_complete(void **context)
{
	struct place *place = *context;
	follow(place);
	node_state_set_log(place->state, 11, 22, 0);
	node_state_set_end(place->state, 5, 1000);
	node_state_set_applied(place->state, 5);
	node_state_set_log(place->state, 11, 22, 0);
	assert_int_equal(view_of(place->state).complete_at_ms, 1000);
	node_state_set_log(place->state, 11, 23, 100);
	struct node_view view = view_of(place->state);
	assert_int_equal(view.complete_at_ms, 0);
	assert_int_equal(view.cluster_id, 11);
	assert_int_equal(view.create_revision, 23);
	assert_int_equal(view.base_index, 100);
}

static void test_an_objection_shows_in_place_of_ready_only(void **context)
{
	struct place *place = *context;
	follow(place);
	node_state_object(place->state, NODE_IN_DOUBT);
	assert_int_equal(view_of(place->state).phase, NODE_CATCHING_UP);
	node_state_set_end(place->state, 1, 1000);
	node_state_set_applied(place->state, 1);
	assert_int_equal(view_of(place->state).phase, NODE_IN_DOUBT);
	/* Entries still come. */
	assert_false(node_state_wait_applied(place->state, 2, test_now_ms() + 20));
	node_state_set_phase(place->state, NODE_STORAGE_FAILED);
	assert_int_equal(view_of(place->state).phase, NODE_STORAGE_FAILED);
	node_state_set_phase(place->state, NODE_READY);
	node_state_object(place->state, NODE_READY);
	assert_int_equal(view_of(place->state).phase, NODE_READY);
}

static void test_every_phase_has_its_words(void **context)
{
	(void)context;
	for (int phase = NODE_STARTING; phase <= NODE_STORAGE_FAILED; phase++) {
		assert_true(strlen(node_phase_code((enum node_phase)phase)) > 3);
		assert_true(strlen(node_phase_text((enum node_phase)phase)) > 10);
		for (int other = NODE_STARTING; other < phase; other++)
			assert_string_not_equal(node_phase_code((enum node_phase)phase), node_phase_code((enum node_phase)other));
	}
	assert_string_equal(node_phase_code((enum node_phase)999), "starting");
}

/* ---- processes --------------------------------------------------------------------------------------- */

/* A process that takes the lock, says so, and keeps it. It is the follower: it sets what is applied to applied. */
static pid_t start_holder(const struct place *place, uint64_t applied)
{
	int said[2];
	char byte;
	assert_int_equal(pipe(said), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct node_state *state;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (node_state_open(place->db_path, &state) != PYGMY_OK || !node_state_lock(state, LONG_MS))
			_exit(1);
		node_state_set_phase(state, NODE_CATCHING_UP);
		node_state_set_applied(state, applied);
		if (write(said[1], "t", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);
	close(said[0]);
	return pid;
}

static void kill_process(pid_t pid)
{
	int status;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static pid_t start_waiter(const struct place *place, uint64_t index)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct node_state *state;
		if (node_state_open(place->db_path, &state) != PYGMY_OK)
			_exit(1);
		_exit(node_state_wait_applied(state, index, test_now_ms() + LONG_MS) ? 0 : 2);
	}
	return pid;
}

static void assert_ends_with(pid_t pid, int expected)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
}

static void test_the_lock_of_the_killed_goes_to_the_next(void **context)
{
	struct place *place = *context;
	for (uint64_t i = 1; i <= 5; i++) {
		pid_t holder = start_holder(place, i);
		assert_false(node_state_lock(place->state, 0));
		assert_int_equal(view_of(place->state).applied, i);
		kill_process(holder);
		assert_true(node_state_lock(place->state, LONG_MS));
		node_state_unlock(place->state);
	}
}

static void test_a_waiter_is_woken_by_another_process(void **context)
{
	struct place *place = *context;
	follow(place);
	pid_t waiters[3];
	for (int i = 0; i < 3; i++)
		waiters[i] = start_waiter(place, 7);
	for (uint64_t i = 1; i <= 7; i++) {
		node_state_set_applied(place->state, i);
		test_pause_ms(5);
	}
	for (int i = 0; i < 3; i++)
		assert_ends_with(waiters[i], 0);
}

static void test_killed_waiters_hinder_nobody(void **context)
{
	struct place *place = *context;
	follow(place);
	for (uint64_t i = 1; i <= 5; i++) {
		pid_t killed = start_waiter(place, 1000), waiter = start_waiter(place, i);
		test_pause_ms(5);
		kill_process(killed);
		node_state_set_applied(place->state, i);
		assert_ends_with(waiter, 0);
	}
}

static void test_a_stopped_follower_hangs_nobody(void **context)
{
	struct place *place = *context;
	pid_t holder = start_holder(place, 3);
	assert_int_equal(kill(holder, SIGSTOP), 0);
	assert_int_equal(view_of(place->state).applied, 3);
	assert_true(node_state_wait_applied(place->state, 3, test_now_ms()));
	assert_false(node_state_wait_applied(place->state, 4, test_now_ms() + 50));
	assert_false(node_state_wait_complete(place->state, 1, test_now_ms() + 50));
	assert_false(node_state_lock(place->state, 50));
	assert_int_equal(kill(holder, SIGCONT), 0);
	kill_process(holder);
	assert_true(node_state_lock(place->state, LONG_MS));
}

/* When the phase says that nothing will come, there is nothing to wait for. */
static void test_a_waiter_hears_that_the_storage_failed(void **context)
{
	struct place *place = *context;
	follow(place);
	pid_t waiter = start_waiter(place, 1);
	test_pause_ms(5);
	node_state_set_phase(place->state, NODE_STORAGE_FAILED);
	assert_ends_with(waiter, 2);
}

/* ---- the file ---------------------------------------------------------------------------------------- */

static void remove_state_file(const struct place *place)
{
	char path[512];
	DIR *dir = opendir(place->folder);
	assert_non_null(dir);
	for (struct dirent *file; (file = readdir(dir)) != NULL;) {
		snprintf(path, sizeof path, "%s/%s", place->folder, file->d_name);
		if (strncmp(file->d_name, "store.db-node-", 14) == 0)
			assert_int_equal(unlink(path), 0);
	}
	closedir(dir);
}

static void test_processes_meet_again_after_the_file_was_deleted(void **context)
{
	struct place *place = *context;
	assert_true(node_state_is_current(place->state));
	assert_true(node_state_refresh(place->state));
	remove_state_file(place);
	assert_false(node_state_is_current(place->state));
	struct node_state *other = open_state(place);
	assert_true(node_state_lock(other, LONG_MS));
	node_state_set_phase(other, NODE_CATCHING_UP);
	node_state_set_applied(other, 12);
	assert_int_equal(view_of(place->state).applied, 0);
	assert_true(node_state_refresh(place->state));
	assert_true(node_state_is_current(place->state));
	assert_int_equal(view_of(place->state).applied, 12);
	assert_false(node_state_lock(place->state, 0));
	node_state_close(other);
	assert_true(node_state_lock(place->state, LONG_MS));
	node_state_close(NULL);
}

static void test_what_is_no_state_file_is_not_used(void **context)
{
	struct place *place = *context;
	struct node_state *state;
	assert_int_equal(node_state_open("/nonexistent/store.db", &state), PYGMY_STORAGE_FAILED);
	assert_null(state);
	remove_state_file(place);
	assert_int_equal(rmdir(place->folder), 0);
	assert_false(node_state_refresh(place->state));
	assert_int_equal(mkdir(place->folder, 0700), 0);
	assert_true(node_state_refresh(place->state));
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_new_state_knows_nothing),
		TEST(test_complete_when_the_known_end_is_applied),
		TEST(test_completeness_does_not_starve),
		TEST(test_a_rebuilt_replica_is_not_complete),
		TEST(test_another_log_is_not_complete),
		TEST(test_an_objection_shows_in_place_of_ready_only),
		TEST(test_every_phase_has_its_words),
		TEST(test_the_lock_of_the_killed_goes_to_the_next),
		TEST(test_a_waiter_is_woken_by_another_process),
		TEST(test_killed_waiters_hinder_nobody),
		TEST(test_a_stopped_follower_hangs_nobody),
		TEST(test_a_waiter_hears_that_the_storage_failed),
		TEST(test_processes_meet_again_after_the_file_was_deleted),
		TEST(test_what_is_no_state_file_is_not_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
