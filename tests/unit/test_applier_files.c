/*
 * applier: the database as a file: a snapshot put over it, a damaged one made anew, while a reader of this process and one of another
 * have it open and go on.
 */
#include "tests/unit/applier_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>

/* ---- a reader in another process --------------------------------------------------------------------- */

struct other_process {
	pid_t pid;
	int ask, answer;
};

/* Answers each byte with one number, which it reads from the connection that it opened at first; -1: it can't. */
static void serve(const char *path, int ask, int answer)
{
	struct database database;
	char question;
	int64_t value = database_open(&database, path, DATABASE_READ) == PYGMY_OK ? 0 : -2;
	while (read(ask, &question, 1) == 1) {
		if (question == 'o')
			value = sql_number(&database, "SELECT count(*) FROM orders");
		else if (question == 'b' || question == 'c')
			value = sqlite3_exec(database.handle, question == 'b' ? "BEGIN" : "COMMIT", NULL, NULL, NULL);
		else
			value = sql_number(&database, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'");
		if (write(answer, &value, sizeof value) != (ssize_t)sizeof value)
			break;
	}
	_exit(0);
}

static void process_start(struct other_process *process, const char *path)
{
	int ask[2], answer[2];
	assert_int_equal(pipe(ask), 0);
	assert_int_equal(pipe(answer), 0);
	process->pid = fork();
	assert_true(process->pid >= 0);
	if (process->pid == 0) {
		close(ask[1]);
		close(answer[0]);
		serve(path, ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	process->ask = ask[1];
	process->answer = answer[0];
}

static int64_t process_ask(const struct other_process *process, char question)
{
	int64_t value = -3;
	assert_int_equal(write(process->ask, &question, 1), 1);
	assert_int_equal(read(process->answer, &value, sizeof value), sizeof value);
	return value;
}

static void process_end(struct other_process *process)
{
	int status;
	if (process->pid == 0)
		return;
	close(process->ask);
	close(process->answer);
	assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
	process->pid = 0;
	assert_int_equal(status, 0);
}

/* ---- the test's state ------------------------------------------------------------------------------- */

struct files_test {
	struct applier_test *base;
	struct database reader;
	struct other_process process;
	char snapshot[PATH_BYTES];
};

static void buy_many(struct value_log *log, int first, int count)
{
	for (int i = first; i < first + count; i++) {
		char key[24];
		snprintf(key, sizeof key, "buy/0/%d", i);
		value_log_put_one(log, buy_of(key, 1, 1));
	}
}

/* Ten orders are applied. The process is forked before this one has opened anything: SQLite's connections do not survive a fork. */
static int files_setup(void **state)
{
	struct files_test *test = calloc(1, sizeof *test);
	struct applier_test *base;
	assert_non_null(test);
	assert_int_equal(applier_setup((void **)&base), 0);
	buy_many(&base->log, 0, 10);
	assert_int_equal(apply_rest(base->applier, &base->log, 64), PYGMY_OK);
	applier_close(base->applier);
	process_start(&test->process, base->path);
	assert_int_equal(process_ask(&test->process, 'o'), 10);
	assert_int_equal(applier_open(base->path, NULL, &base->applier), PYGMY_OK);
	assert_int_equal(database_open(&test->reader, base->path, DATABASE_READ), PYGMY_OK);
	assert_int_equal(sql_number(&test->reader, "SELECT count(*) FROM orders"), 10);
	path_in(test->snapshot, base->folder, "snapshot.db");
	test->base = base;
	*state = test;
	return 0;
}

static int files_teardown(void **state)
{
	struct files_test *test = *state;
	void *base = test->base;
	process_end(&test->process);
	database_close(&test->reader);
	applier_teardown(&base);
	free(test);
	return 0;
}

#define files_test(function) cmocka_unit_test_setup_teardown(function, files_setup, files_teardown)

static void assert_everybody_sees(struct files_test *test, int64_t orders)
{
	assert_int_equal(sql_number(&test->reader, "SELECT count(*) FROM orders"), orders);
	assert_int_equal(process_ask(&test->process, 'o'), orders);
	assert_int_equal(process_ask(&test->process, 'i'), 0);
	assert_int_equal(sql_number(applier_database(test->base->applier),
				    "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}

/* A snapshot of a replica that has applied all of the log. */
static void make_snapshot(struct files_test *test)
{
	struct applier *other;
	char path[PATH_BYTES];
	path_in(path, test->base->folder, "other.db");
	assert_int_equal(applier_open(path, NULL, &other), PYGMY_OK);
	assert_int_equal(apply_rest(other, &test->base->log, 64), PYGMY_OK);
	snapshot_of(applier_database(other), test->snapshot);
	applier_close(other);
	assert_int_equal(unlink(path), 0);
}

/* ---- snapshots -------------------------------------------------------------------------------------- */

static void test_a_snapshot_replaces_what_readers_see(void **state)
{
	struct files_test *test = *state;
	buy_many(&test->base->log, 10, 300);
	make_snapshot(test);
	/* Who is reading goes on with what was there when it began. */
	sql_run(&test->reader, "BEGIN");
	assert_int_equal(sql_number(&test->reader, "SELECT count(*) FROM orders"), 10);
	assert_int_equal(process_ask(&test->process, 'b'), SQLITE_OK);
	assert_int_equal(process_ask(&test->process, 'o'), 10);
	assert_int_equal(applier_install(test->base->applier, test->snapshot), PYGMY_OK);
	assert_int_equal(applier_position(test->base->applier)->index, 312);
	assert_int_equal(applier_log(test->base->applier)->create_revision, 17);
	assert_int_equal(sql_number(&test->reader, "SELECT count(*) FROM orders"), 10);
	assert_int_equal(process_ask(&test->process, 'o'), 10);
	sql_run(&test->reader, "COMMIT");
	assert_int_equal(process_ask(&test->process, 'c'), SQLITE_OK);
	assert_everybody_sees(test, 310);
	/* It follows on from there, and a checkpoint brings it into the file. */
	buy_many(&test->base->log, 310, 5);
	assert_int_equal(apply_rest(test->base->applier, &test->base->log, 2), PYGMY_OK);
	assert_int_equal(sqlite3_wal_checkpoint_v2(applier_database(test->base->applier)->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK);
	assert_everybody_sees(test, 315);
	assert_int_equal(file_size(test->snapshot) > 0, 1);
}

/* The replica that installed it and the one that applied everything are the same, to the last bit. */
static void test_after_a_snapshot_the_chain_goes_on(void **state)
{
	struct files_test *test = *state;
	struct applier *other;
	char path[PATH_BYTES];
	uint64_t seed = test_seed(__func__);
	value_log_put_random(&test->base->log, &seed, 100);
	make_snapshot(test);
	assert_int_equal(applier_install(test->base->applier, test->snapshot), PYGMY_OK);
	value_log_put_random(&test->base->log, &seed, 100);
	assert_int_equal(apply_rest(test->base->applier, &test->base->log, 7), PYGMY_OK);
	path_in(path, test->base->folder, "other.db");
	assert_int_equal(applier_open(path, NULL, &other), PYGMY_OK);
	assert_int_equal(apply_rest(other, &test->base->log, 1), PYGMY_OK);
	assert_same_content(applier_database(other), applier_database(test->base->applier));
	applier_close(other);
}

static void test_a_smaller_snapshot(void **state)
{
	struct files_test *test = *state;
	struct applier *empty;
	buy_many(&test->base->log, 10, 300);
	assert_int_equal(apply_rest(test->base->applier, &test->base->log, 64), PYGMY_OK);
	assert_int_equal(applier_open(test->snapshot, NULL, &empty), PYGMY_OK);
	applier_close(empty);
	assert_int_equal(applier_install(test->base->applier, test->snapshot), PYGMY_OK);
	assert_int_equal(applier_position(test->base->applier)->index, 0);
	assert_int_equal(applier_log(test->base->applier)->cluster_id, 0);
	assert_everybody_sees(test, 0);
	assert_int_equal(apply_rest(test->base->applier, &test->base->log, 64), PYGMY_OK);
	assert_everybody_sees(test, 310);
}

static void test_what_is_no_snapshot_changes_nothing(void **state)
{
	struct files_test *test = *state;
	struct database database;
	assert_int_equal(applier_install(test->base->applier, test->snapshot), PYGMY_STORAGE_FAILED);       /* there is none */
	file_write(test->snapshot, "This is a text of more than a hundred bytes, which no version of SQLite has ever taken for a database file.\n");
	assert_int_equal(applier_install(test->base->applier, test->snapshot), PYGMY_STORAGE_CORRUPT);
	assert_int_equal(unlink(test->snapshot), 0);
	snapshot_of(applier_database(test->base->applier), test->snapshot);
	static const char *const marks[] = { "PRAGMA user_version = 1", "PRAGMA user_version = 3", "PRAGMA user_version = 2; PRAGMA application_id = 5" };
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
		assert_int_equal(database_open(&database, test->snapshot, DATABASE_WRITE), PYGMY_OK);
		sql_run(&database, marks[i]);
		database_close(&database);
		assert_int_equal(applier_install(test->base->applier, test->snapshot), PYGMY_INCOMPATIBLE);
	}
	assert_int_equal(applier_position(test->base->applier)->index, 12);
	assert_everybody_sees(test, 10);
}

/* ---- damage ----------------------------------------------------------------------------------------- */

enum damage { DAMAGE_HEAD, DAMAGE_ALL, DAMAGE_MIDDLE, DAMAGE_CUT, DAMAGE_CUT_IN_PAGE_1, DAMAGE_EMPTY, DAMAGE_WAL, DAMAGE_KINDS };

static const char *const damage_names[] = { "head", "everything", "behind the first page", "cut in the middle", "cut in the first page",
					    "empty", "everything and the log" };

static void scribble(const char *path, int64_t from, int64_t to)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int64_t offset = from; offset < to; offset++)
		assert_int_equal(pwrite(fd, &(char){ (char)(offset * 37 + 11) }, 1, offset), 1);
	assert_int_equal(close(fd), 0);
}

static void damage_file(const char *path, enum damage damage)
{
	char wal[PATH_BYTES + 8];
	int64_t size = file_size(path);
	snprintf(wal, sizeof wal, "%s-wal", path);
	switch (damage) {
	case DAMAGE_HEAD:
		scribble(path, 0, 100);
		return;
	case DAMAGE_ALL:
		scribble(path, 0, size);
		return;
	case DAMAGE_MIDDLE:
		scribble(path, 4096, size);
		return;
	case DAMAGE_CUT:
		assert_int_equal(truncate(path, size / 2 + 100), 0);
		return;
	case DAMAGE_CUT_IN_PAGE_1:
		assert_int_equal(truncate(path, 50), 0);
		return;
	case DAMAGE_EMPTY:
		assert_int_equal(truncate(path, 0), 0);
		return;
	case DAMAGE_WAL:
		scribble(path, 0, size);
		if (file_size(wal) > 0)
			scribble(wal, 0, file_size(wal));
		return;
	case DAMAGE_KINDS:
		break;
	}
	fail();
}

struct damage_case {
	enum damage damage;
	bool others;                  /* have the file open */
	bool checkpointed;            /* all is in the file, the log is empty */
};

static void checkpoint(struct applier *applier)
{
	sqlite3 *handle = applier_database(applier)->handle;
	assert_int_equal(sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK);
}

/* Reads without mmap: a mapped file that is cut off under a process kills it, whatever it does. */
static int damage_setup(void **state)
{
	const struct damage_case *damage_case = *state;
	assert_int_equal(files_setup(state), 0);
	struct files_test *test = *state;
	struct applier_test *base = test->base;
	sql_run(&test->reader, "PRAGMA mmap_size = 0");
	buy_many(&base->log, 10, 200);
	assert_int_equal(apply_rest(base->applier, &base->log, 64), PYGMY_OK);
	if (damage_case->checkpointed)
		checkpoint(base->applier);
	applier_close(base->applier);
	base->applier = NULL;
	if (!damage_case->others) {
		database_close(&test->reader);
		process_end(&test->process);
	}
	damage_file(base->path, damage_case->damage);
	return 0;
}

static void test_a_damaged_file_is_made_anew(void **state)
{
	struct files_test *test = *state;
	struct applier_test *base = test->base;
	assert_int_equal(applier_reset(base->path), PYGMY_OK);
	if (test->process.pid == 0) {
		process_start(&test->process, base->path);
		assert_int_equal(database_open(&test->reader, base->path, DATABASE_READ), PYGMY_OK);
	}
	assert_int_equal(applier_open(base->path, NULL, &base->applier), PYGMY_OK);
	assert_int_equal(applier_position(base->applier)->index, 0);
	assert_int_equal(applier_log(base->applier)->cluster_id, 0);
	assert_everybody_sees(test, 0);
	assert_int_equal(apply_rest(base->applier, &base->log, 64), PYGMY_OK);
	assert_everybody_sees(test, 210);
	checkpoint(base->applier);
	assert_everybody_sees(test, 210);
}

/* Whoever has the old file open does not see the new one (reader.c asks for that); but neither is harmed by the other. */
static void test_a_removed_file_is_made_anew(void **state)
{
	struct files_test *test = *state;
	struct applier_test *base = test->base;
	buy_many(&base->log, 10, 20);
	assert_int_equal(apply_rest(base->applier, &base->log, 64), PYGMY_OK);
	assert_int_equal(unlink(base->path), 0);
	applier_close(base->applier);
	base->applier = NULL;
	assert_int_equal(applier_open(base->path, NULL, &base->applier), PYGMY_STORAGE_CORRUPT);
	assert_int_equal(applier_reset(base->path), PYGMY_OK);
	assert_int_equal(applier_open(base->path, NULL, &base->applier), PYGMY_OK);
	assert_int_equal(apply_rest(base->applier, &base->log, 64), PYGMY_OK);
	assert_int_equal(sql_number(applier_database(base->applier), "SELECT count(*) FROM orders"), 30);
	assert_true(database_has_moved(&test->reader));
	assert_false(database_has_moved(applier_database(base->applier)));
	assert_int_equal(sql_number(&test->reader, "SELECT count(*) FROM orders"), 30);
	assert_int_equal(process_ask(&test->process, 'o'), 30);
	assert_int_equal(process_ask(&test->process, 'i'), 0);
}

static void test_an_empty_file_beside_a_log_is_damage(void **state)
{
	struct files_test *test = *state;
	applier_close(test->base->applier);
	test->base->applier = NULL;
	assert_int_equal(truncate(test->base->path, 0), 0);
	assert_int_equal(applier_open(test->base->path, NULL, &test->base->applier), PYGMY_STORAGE_CORRUPT);
	assert_int_equal(applier_reset(test->base->path), PYGMY_OK);
	assert_int_equal(applier_open(test->base->path, NULL, &test->base->applier), PYGMY_OK);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	const struct CMUnitTest tests[] = {
		files_test(test_a_snapshot_replaces_what_readers_see),
		files_test(test_after_a_snapshot_the_chain_goes_on),
		files_test(test_a_smaller_snapshot),
		files_test(test_what_is_no_snapshot_changes_nothing),
		files_test(test_a_removed_file_is_made_anew),
		files_test(test_an_empty_file_beside_a_log_is_damage),
	};
	struct damage_case cases[4 * DAMAGE_KINDS];
	struct CMUnitTest damage_tests[4 * DAMAGE_KINDS];
	char names[4 * DAMAGE_KINDS][80];
	for (int i = 0; i < 4 * DAMAGE_KINDS; i++) {
		cases[i] = (struct damage_case){ (enum damage)(i / 4), i % 2 != 0, i / 2 % 2 != 0 };
		snprintf(names[i], sizeof names[i], "test_a_damaged_file_is_made_anew, %s, %s, %s", damage_names[i / 4],
			 cases[i].others ? "others have it open" : "nobody has it open", cases[i].checkpointed ? "checkpointed" : "with a log");
		damage_tests[i] = (struct CMUnitTest){ names[i], test_a_damaged_file_is_made_anew, damage_setup, files_teardown, &cases[i] };
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed + cmocka_run_group_tests(damage_tests, NULL, NULL);
}
