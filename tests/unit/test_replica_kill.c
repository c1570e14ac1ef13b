/*
 * replica under kill -9: several processes with several threads each buy on one file and are killed at random moments.
 *
 * Every key stands for one fixed request, and any process may send it at any time. What was acknowledged is noted in memory that
 * outlives the processes; the file must agree with it after every crash: each acknowledged order there, once; each
 * refusal without an order; stock plus orders adding up.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "db/monotonic.h"
#include "db/replica.h"

#define PROCESSES 3
#define THREADS 3
#define ITEMS 4
#define COUNT_AT_START 60
#define BUY_KEYS 1200
#define DELTA_KEYS 300
#define DELTA 2
#define ROUNDS 24
#define OPENERS 5
#define OPEN_ROUNDS 8

struct shared {
	atomic_bool stop;
	atomic_int violations;                /* a repeated request got another answer, or a process failed to open */
	atomic_llong acknowledged;
	atomic_llong bought[BUY_KEYS];        /* 0: not acknowledged; order id; or minus the refusal */
	atomic_bool added[DELTA_KEYS];
	atomic_int created;                   /* of the openers */
	char log_ids[OPENERS][17];
};

static struct shared *shared_make(void)
{
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	return shared;
}

static struct replica_config config_of(const char *path, const char *catalogue)
{
	return (struct replica_config){ .db_path = path, .catalogue_path = catalogue, .frontends = "", .lease_ms = 100, .reader_max = 1 };
}

/* ---- a process -------------------------------------------------------------------------------------- */

struct buyer {
	struct replica *replica;
	struct shared *shared;
	uint64_t seed;
};

static void buy_once(struct buyer *buyer, int key)
{
	char text[32];
	struct result result;
	snprintf(text, sizeof text, "buy/0/b%d", key);
	struct command command = buy_of(text, 1 + key % ITEMS, 1 + key % 3);
	if (replica_propose(buyer->replica, &command, monotonic_ms() + 4000, &result) != PYGMY_OK)
		return;
	long long outcome = result.error == PYGMY_OK ? (long long)result.id : -(long long)result.error, before = 0;
	if (!atomic_compare_exchange_strong(&buyer->shared->bought[key], &before, outcome) && before != outcome)
		atomic_fetch_add(&buyer->shared->violations, 1);
	atomic_fetch_add(&buyer->shared->acknowledged, 1);
}

static void add_once(struct buyer *buyer, int key)
{
	char text[32];
	struct result result;
	snprintf(text, sizeof text, "item/0/d%d", key);
	struct command command = delta_of(text, 1 + key % ITEMS, DELTA);
	if (replica_propose(buyer->replica, &command, monotonic_ms() + 4000, &result) != PYGMY_OK)
		return;
	if (result.error != PYGMY_OK)
		atomic_fetch_add(&buyer->shared->violations, 1);
	atomic_store(&buyer->shared->added[key], true);
	atomic_fetch_add(&buyer->shared->acknowledged, 1);
}

static void *buy_much(void *context)
{
	struct buyer *buyer = context;
	while (!atomic_load(&buyer->shared->stop)) {
		if (test_random_in(&buyer->seed, 0, 9) == 0)
			add_once(buyer, (int)test_random_in(&buyer->seed, 0, DELTA_KEYS - 1));
		else
			buy_once(buyer, (int)test_random_in(&buyer->seed, 0, BUY_KEYS - 1));
	}
	return NULL;
}

static void run_process(const char *path, struct shared *shared, uint64_t seed)
{
	struct replica_config config = config_of(path, NULL);
	struct buyer buyers[THREADS];
	pthread_t threads[THREADS];
	struct replica *replica;
	if (replica_open(&config, &replica) != PYGMY_OK) {
		atomic_fetch_add(&shared->violations, 1);
		_exit(1);
	}
	for (int i = 0; i < THREADS; i++) {
		buyers[i] = (struct buyer){ replica, shared, test_random(&seed) };
		if (pthread_create(&threads[i], NULL, buy_much, &buyers[i]) != 0)
			_exit(1);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	replica_close(replica);
	_exit(0);
}

static pid_t start_process(const char *path, struct shared *shared, uint64_t seed)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run_process(path, shared, seed);
	return pid;
}

static int end_process(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return status;
}

/* ---- what must hold --------------------------------------------------------------------------------- */

static void assert_purchases_agree(struct database *database, const struct shared *shared)
{
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_prepare_v2(database->handle, "SELECT id FROM orders WHERE request_key = ?1", -1, &statement, NULL), SQLITE_OK);
	for (int key = 0; key < BUY_KEYS; key++) {
		char text[32];
		long long acknowledged = atomic_load(&shared->bought[key]);
		snprintf(text, sizeof text, "buy/0/b%d", key);
		sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
		int rc = sqlite3_step(statement);
		if (acknowledged > 0) {
			assert_int_equal(rc, SQLITE_ROW);
			assert_int_equal(sqlite3_column_int64(statement, 0), acknowledged);
		} else if (acknowledged < 0) {
			assert_int_equal(rc, SQLITE_DONE);
		}
		sqlite3_reset(statement);
	}
	sqlite3_finalize(statement);
}

/* Each recorded addition was made once, and each acknowledged one is recorded. */
static void assert_additions_agree(struct database *database, const struct shared *shared)
{
	char sql[200];
	int64_t acknowledged = 0;
	for (int key = 0; key < DELTA_KEYS; key++) {
		if (!atomic_load(&shared->added[key]))
			continue;
		acknowledged++;
		snprintf(sql, sizeof sql, "SELECT count(*) FROM results WHERE request_key = 'item/0/d%d' AND error = 0", key);
		assert_int_equal(sql_number(database, sql), 1);
	}
	int64_t recorded = sql_number(database, "SELECT count(*) FROM results WHERE request_key LIKE 'item/0/d%'");
	assert_true(recorded >= acknowledged);
	assert_int_equal(sql_number(database, "SELECT sum(supplied) FROM items"), ITEMS * COUNT_AT_START + recorded * DELTA);
}

static void assert_file_agrees(const char *path, const struct shared *shared)
{
	struct database database;
	assert_int_equal(atomic_load(&shared->violations), 0);
	assert_int_equal(database_open(&database, path, DATABASE_WRITE), PYGMY_OK);
	assert_int_equal(sql_number(&database, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
	assert_books_balance(&database);
	assert_purchases_agree(&database, shared);
	assert_additions_agree(&database, shared);
	assert_int_equal(sql_number(&database, "SELECT damaged_entries FROM store"), 0);
	database_close(&database);
}

/* ---- the tests -------------------------------------------------------------------------------------- */

static void fill_store(const char *path)
{
	struct replica_config config = config_of(path, NULL);
	struct item items[ITEMS];
	struct replica *replica;
	struct result result;
	for (int i = 0; i < ITEMS; i++)
		items[i] = item_of(i + 1, "Title", "topic", 100, COUNT_AT_START);
	struct command import = import_of("import/0/i", items, ITEMS);
	assert_int_equal(replica_open(&config, &replica), PYGMY_OK);
	assert_int_equal(replica_propose(replica, &import, monotonic_ms() + 10000, &result), PYGMY_OK);
	replica_close(replica);
}

/* Waits until something more was acknowledged, so that each round kills under load. */
static void wait_for_progress(struct shared *shared, uint64_t *seed)
{
	long long before = atomic_load(&shared->acknowledged), more = test_random_in(seed, 1, 60);
	assert_true(WAIT_FOR(atomic_load(&shared->acknowledged) >= before + more, 20000));
}

static void test_kills_at_random_moments(void **state)
{
	(void)state;
	uint64_t seed = test_seed(__func__);
	struct shared *shared = shared_make();
	char folder[FOLDER_MAX], path[PATH_BYTES];
	pid_t processes[PROCESSES];
	folder_make(folder);
	path_in(path, folder, "store.db");
	fill_store(path);
	for (int i = 0; i < PROCESSES; i++)
		processes[i] = start_process(path, shared, test_random(&seed));
	for (int round = 0; round < ROUNDS; round++) {
		bool all = test_random_in(&seed, 0, 3) == 0;
		int victim = (int)test_random_in(&seed, 0, PROCESSES - 1);
		wait_for_progress(shared, &seed);
		for (int i = 0; i < PROCESSES; i++)
			if (all || i == victim)
				assert_int_equal(kill(processes[i], SIGKILL), 0);
		for (int i = 0; i < PROCESSES; i++)
			if (all || i == victim)
				assert_true(WIFSIGNALED(end_process(processes[i])));
		if (all)
			assert_file_agrees(path, shared);
		for (int i = 0; i < PROCESSES; i++)
			if (all || i == victim)
				processes[i] = start_process(path, shared, test_random(&seed));
	}
	wait_for_progress(shared, &seed);
	atomic_store(&shared->stop, true);
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(end_process(processes[i]), 0);
	assert_file_agrees(path, shared);
	munmap(shared, sizeof *shared);
	folder_remove(folder);
}

static void open_once(const char *path, const char *catalogue, struct shared *shared, int number)
{
	struct replica_config config = config_of(path, catalogue);
	struct replica *replica;
	if (replica_open(&config, &replica) != PYGMY_OK) {
		atomic_fetch_add(&shared->violations, 1);
		_exit(1);
	}
	replica_log_id(replica, shared->log_ids[number]);
	atomic_fetch_add(&shared->created, replica_how_started(replica) == REPLICA_CREATED ? 1 : 0);
	replica_close(replica);
	_exit(0);
}

static void test_all_may_create_the_store_at_once(void **state)
{
	(void)state;
	struct shared *shared = shared_make();
	for (int round = 0; round < OPEN_ROUNDS; round++) {
		char folder[FOLDER_MAX], path[PATH_BYTES], catalogue[PATH_BYTES];
		struct database database;
		pid_t processes[OPENERS];
		folder_make(folder);
		path_in(path, folder, "store.db");
		path_in(catalogue, folder, "catalogue.json");
		file_write(catalogue, "[{\"id\": 1, \"title\": \"One\", \"topic\": \"t\", \"cost\": 1, \"count\": 7}]");
		atomic_store(&shared->created, 0);
		for (int i = 0; i < OPENERS; i++) {
			processes[i] = fork();
			assert_true(processes[i] >= 0);
			if (processes[i] == 0)
				open_once(path, i % 2 == 0 ? catalogue : NULL, shared, i);
		}
		for (int i = 0; i < OPENERS; i++)
			assert_int_equal(end_process(processes[i]), 0);
		assert_int_equal(atomic_load(&shared->violations), 0);
		assert_int_equal(atomic_load(&shared->created), 1);
		for (int i = 1; i < OPENERS; i++)
			assert_string_equal(shared->log_ids[i], shared->log_ids[0]);
		assert_int_equal(database_open(&database, path, DATABASE_WRITE), PYGMY_OK);
		assert_int_equal(sql_number(&database, "SELECT count FROM items"), 7);
		assert_int_equal(sql_number(&database, "SELECT log_index FROM store"), 1);
		database_close(&database);
		folder_remove(folder);
	}
	munmap(shared, sizeof *shared);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kills_at_random_moments),
		cmocka_unit_test(test_all_may_create_the_store_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
