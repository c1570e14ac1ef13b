/* writer_turn: one at a time, a bounded wait, and a turn that comes back from whoever was killed. */
#include "tests/unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "db/writer_turn.h"

struct place {
	char folder[FOLDER_MAX];
	char db_path[PATH_BYTES];
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	assert_non_null(place);
	folder_make(place->folder);
	path_in(place->db_path, place->folder, "store.db");
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

static struct writer_turn *open_turn(const struct place *place)
{
	struct writer_turn *turn;
	writer_turn_open(place->db_path, &turn);
	assert_non_null(turn);
	return turn;
}

/* A process that takes the turn, says so, and keeps it. */
static pid_t start_holder(const struct place *place)
{
	int said[2];
	char byte;
	assert_int_equal(pipe(said), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct writer_turn *turn;
		writer_turn_open(place->db_path, &turn);
		if (turn == NULL || !writer_turn_begin(turn, 10000) || write(said[1], "t", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);
	close(said[0]);
	return pid;
}

static void kill_holder(pid_t pid)
{
	int status;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_turns_of_one_process(void **state)
{
	struct writer_turn *turn = open_turn(*state);
	for (int i = 0; i < 3; i++) {
		assert_true(writer_turn_begin(turn, 0));
		writer_turn_end(turn);
	}
	writer_turn_close(turn);
}

static void test_another_process_waits_no_longer_than_asked(void **state)
{
	struct place *place = *state;
	struct writer_turn *turn = open_turn(place);
	pid_t holder = start_holder(place);
	for (int limit_ms = 0; limit_ms <= 120; limit_ms += 40) {
		int64_t started_ms = test_now_ms();
		assert_false(writer_turn_begin(turn, limit_ms));
		assert_in_range(test_now_ms() - started_ms + 1, limit_ms, limit_ms + 5000);
	}
	kill_holder(holder);
	writer_turn_close(turn);
}

static void test_the_turn_of_the_killed_comes_back(void **state)
{
	struct place *place = *state;
	struct writer_turn *turn = open_turn(place);
	for (int i = 0; i < 5; i++) {
		pid_t holder = start_holder(place);
		assert_false(writer_turn_begin(turn, 0));
		kill_holder(holder);
		assert_true(writer_turn_begin(turn, 10000));
		writer_turn_end(turn);
		/* It is as good as new, also for who opens it now. */
		struct writer_turn *again = open_turn(place);
		assert_true(writer_turn_begin(again, 0));
		writer_turn_end(again);
		writer_turn_close(again);
	}
	writer_turn_close(turn);
}

/* The waiter is woken by the death itself. */
static void test_a_waiter_gets_the_turn_of_the_killed(void **state)
{
	struct place *place = *state;
	pid_t holder = start_holder(place), waiter = fork();
	int status;
	assert_true(waiter >= 0);
	if (waiter == 0) {
		struct writer_turn *turn;
		writer_turn_open(place->db_path, &turn);
		_exit(turn != NULL && writer_turn_begin(turn, 20000) ? 0 : 1);
	}
	test_pause_ms(20);            /* likely asleep by then; either way it must get it */
	kill_holder(holder);
	assert_int_equal(waitpid(waiter, &status, 0), waiter);
	assert_int_equal(status, 0);
}

#define PROCESSES 4
#define EACH 500

static void add_in_turn(const struct place *place, volatile long *sum)
{
	struct writer_turn *turn;
	writer_turn_open(place->db_path, &turn);
	for (int i = 0; i < EACH; i++) {
		if (turn == NULL || !writer_turn_begin(turn, 20000))
			_exit(1);
		long before = *sum;
		if (i % 50 == 0)
			test_pause_ms(1);
		*sum = before + 1;
		writer_turn_end(turn);
	}
	_exit(0);
}

static void test_only_one_at_a_time(void **state)
{
	volatile long *sum = mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t processes[PROCESSES];
	int status;
	assert_ptr_not_equal(sum, MAP_FAILED);
	/* They make the file at the same moment, too. */
	for (int i = 0; i < PROCESSES; i++) {
		processes[i] = fork();
		assert_true(processes[i] >= 0);
		if (processes[i] == 0)
			add_in_turn(*state, sum);
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(processes[i], &status, 0), processes[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(*sum, PROCESSES * EACH);
	munmap((void *)(uintptr_t)sum, sizeof *sum);
}

/* ---- the file ---------------------------------------------------------------------------------------- */

static void turn_path(const struct place *place, char path[512])
{
	path[0] = '\0';
	DIR *dir = opendir(place->folder);
	assert_non_null(dir);
	for (struct dirent *file; (file = readdir(dir)) != NULL;)
		if (strncmp(file->d_name, "store.db-turn-", 14) == 0)
			snprintf(path, 512, "%s/%s", place->folder, file->d_name);
	closedir(dir);
	assert_true(path[0] != '\0');
}

static void test_the_file_is_the_owners_alone(void **state)
{
	struct place *place = *state;
	struct stat status;
	char path[512];
	writer_turn_close(open_turn(place));
	turn_path(place, path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	/* Its name ends in the 36 characters of the boot id. */
	assert_int_equal(strlen(path), strlen(place->db_path) + strlen("-turn-") + 36);
}

static void test_what_is_no_turn_file_is_not_used(void **state)
{
	struct place *place = *state;
	struct writer_turn *turn;
	char path[512];
	writer_turn_close(open_turn(place));
	turn_path(place, path);
	file_write(path, "something else");
	writer_turn_open(place->db_path, &turn);
	assert_null(turn);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/tmp/pygmy-test-elsewhere", path), 0);
	writer_turn_open(place->db_path, &turn);
	assert_null(turn);
	assert_false(writer_turn_begin(turn, 0));
	writer_turn_close(turn);
	writer_turn_open("/nonexistent/store.db", &turn);
	assert_null(turn);
}

/* The name ends in the boot id: 36 characters. */
static void test_files_of_earlier_boots_are_removed(void **state)
{
	const struct place *place = *state;
	static const char old_id[] = "00000000-0000-0000-0000-000000000000";
	char old[PATH_BYTES + 64], other[PATH_BYTES + 64];
	snprintf(old, sizeof old, "%s-turn-%s", place->db_path, old_id);
	snprintf(other, sizeof other, "%s-turn-notes", place->db_path);
	const char *const paths[] = { old, other };
	for (int i = 0; i < 2; i++) {
		FILE *file = fopen(paths[i], "w");
		assert_non_null(file);
		fclose(file);
	}
	writer_turn_close(open_turn(place));
	assert_int_not_equal(access(old, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_files_of_earlier_boots_are_removed),
		TEST(test_turns_of_one_process),
		TEST(test_another_process_waits_no_longer_than_asked),
		TEST(test_the_turn_of_the_killed_comes_back),
		TEST(test_a_waiter_gets_the_turn_of_the_killed),
		TEST(test_only_one_at_a_time),
		TEST(test_the_file_is_the_owners_alone),
		TEST(test_what_is_no_turn_file_is_not_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
