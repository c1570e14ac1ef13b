/*
 * A node of two worker processes, as catalog and order worker are, beside a node in this process: kill -9 of whoever follows, at random
 * moments and while others buy; a process that is stopped for a while; a disk that takes nothing more.
 */
#include "tests/unit/cluster_frame.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define WORKERS 2
#define ROUNDS 6

static struct cluster_frame frame;

/* What the processes of node B and this one tell each other. */
static struct shared {
	atomic_int bought[WORKERS];   /* keys that a worker has bought with: <worker>.1, <worker>.2, ... */
	atomic_int limit;             /* the disk takes nothing more */
	atomic_int limited;           /* workers that know */
	atomic_bool stop;
} *shared;

#define SHARED_NAME "shared"          /* a file of node A's folder */

static pid_t workers[WORKERS];

static struct shared *map_shared(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof *shared), 0);
	struct shared *map = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	(void)close(fd);
	return map;
}

static int setup(void **state)
{
	(void)state;
	char path[PATH_BYTES];
	memset(workers, 0, sizeof workers);
	cluster_start(&frame, 1, 2);
	path_in(path, frame.nodes[0].folder, SHARED_NAME);
	shared = map_shared(path);
	cluster_init_log(&frame);
	cluster_node_serve_snapshots(&frame.nodes[0]);
	cluster_node_open(&frame.nodes[0]);
	cluster_node_await(&frame.nodes[0]);
	return 0;
}

static void kill_worker(int number, int signal)
{
	if (workers[number] == 0)
		return;
	(void)kill(workers[number], signal);
	while (waitpid(workers[number], NULL, 0) < 0 && errno == EINTR)
		continue;
	workers[number] = 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < WORKERS; i++)
		kill_worker(i, SIGKILL);
	cluster_stop(&frame);
	munmap(shared, sizeof *shared);
	return 0;
}

/* ---- a worker process ----------------------------------------------------------------------------------------- */

/* A full disk, for this process: no file grows. */
static void follow_limit(int *known)
{
	int limit = atomic_load(&shared->limit);
	if (limit == *known)
		return;
	struct rlimit bytes = { limit != 0 ? 0 : RLIM_INFINITY, RLIM_INFINITY };
	(void)signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &bytes) != 0)
		_exit(2);
	*known = limit;
	atomic_fetch_add(&shared->limited, 1);
}

/* Buys with one key after the other; each until there is an answer. */
static void buy_on(const struct cluster_node *node, int number)
{
	int limit = 0;
	while (!atomic_load(&shared->stop)) {
		char key[64];
		struct result result;
		follow_limit(&limit);
		snprintf(key, sizeof key, "buy/0/%d.%d", number, atomic_load(&shared->bought[number]) + 1);
		enum pygmy_error error = cluster_try(node, buy_of(key, 1, 1), &result);
		if (error == PYGMY_OK)
			error = result.error;
		if (error == PYGMY_OK) {
			atomic_fetch_add(&shared->bought[number], 1);
			continue;
		}
		diagnose_debug("worker %d: %s", number, error_code(error));
		test_pause_ms(5);
	}
}

/* main() of a worker: number, the node's folder, etcd's endpoints, the shared file. */
static int run_worker(char **arguments)
{
	static struct cluster_node node = { .name = "B" };
	int number = (int)strtol(arguments[0], NULL, 10);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(node.folder, sizeof node.folder, "%s", arguments[1]);
	snprintf(node.endpoints, sizeof node.endpoints, "%s", arguments[2]);
	shared = map_shared(arguments[3]);
	cluster_node_configure(&node);
	struct replica_config config = cluster_replica_config(&node);
	if (replica_open(&config, &node.replica) != PYGMY_OK)
		return 1;
	buy_on(&node, number);
	replica_close(node.replica);
	return 0;
}

/* A process of its own program image: this one has threads, so a fork alone would take their locks along. */
static void start_worker(int number)
{
	char text[8], path[PATH_BYTES];
	snprintf(text, sizeof text, "%d", number);
	path_in(path, frame.nodes[0].folder, SHARED_NAME);
	char *const arguments[] = { "test_cluster_kill", "worker", text, frame.nodes[1].folder, frame.nodes[1].endpoints, path, NULL };
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execv("/proc/self/exe", arguments);
		_exit(127);
	}
	workers[number] = pid;
}

static bool buys_more(int number, int more)
{
	int before = atomic_load(&shared->bought[number]);
	return WAIT_FOR(atomic_load(&shared->bought[number]) >= before + more, CLUSTER_LONG_MS);
}

/* Ends the workers as they should end, opens the node here, and compares. */
static void assert_all_is_well(void)
{
	int bought = 0, status;
	atomic_store(&shared->stop, true);
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
		workers[i] = 0;
		assert_int_equal(status, 0);
		bought += atomic_load(&shared->bought[i]);
	}
	cluster_node_open(&frame.nodes[1]);
	cluster_node_await(&frame.nodes[1]);
	struct reader_counts counts = cluster_counts(&frame.nodes[1]);
	/* The last purchase of a worker may have happened without its knowing. */
	assert_in_range(counts.orders, bought, bought + WORKERS);
	assert_int_equal(cluster_stock(&frame.nodes[1], 1), CLUSTER_STOCK - counts.orders);
	cluster_assert_same(&frame.nodes[0], &frame.nodes[1]);
}

/* ---- tests ---------------------------------------------------------------------------------------------------- */

static void test_killed_workers_leave_the_rest_in_order(void **state)
{
	uint64_t seed = test_seed("kill");
	(void)state;
	for (int i = 0; i < WORKERS; i++)
		start_worker(i);
	for (int round = 0; round < ROUNDS; round++) {
		int victim = round % WORKERS;
		assert_true(buys_more(0, 5));
		assert_true(buys_more(1, 5));
		test_pause_ms((int)test_random_in(&seed, 0, 50));
		kill_worker(victim, SIGKILL);
		/* The other one goes on, whichever of them followed. */
		assert_true(buys_more(1 - victim, 5));
		start_worker(victim);
	}
	assert_true(buys_more(0, 5));
	assert_true(buys_more(1, 5));
	assert_all_is_well();
}

static void test_both_killed_at_once(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < WORKERS; i++)
			start_worker(i);
		assert_true(buys_more(0, 5));
		assert_true(buys_more(1, 5));
		if (round == 0)
			for (int i = 0; i < WORKERS; i++)
				kill_worker(i, SIGKILL);
	}
	assert_all_is_well();
}

static void test_a_stopped_process_goes_on(void **state)
{
	(void)state;
	for (int i = 0; i < WORKERS; i++)
		start_worker(i);
	for (int i = 0; i < WORKERS; i++) {
		assert_true(buys_more(i, 5));
		assert_int_equal(kill(workers[i], SIGSTOP), 0);
		/* The other node does not mind. */
		char key[32];
		snprintf(key, sizeof key, "buy/0/other.%d", i);
		assert_int_equal(cluster_do(&frame.nodes[0], buy_of(key, 2, 1)).error, PYGMY_OK);
		test_pause_ms(LEASE_DEFAULT_MS);
		assert_int_equal(kill(workers[i], SIGCONT), 0);
		assert_true(buys_more(0, 5));
		assert_true(buys_more(1, 5));
	}
	atomic_store(&shared->stop, true);
	for (int i = 0; i < WORKERS; i++) {
		int status;
		assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
		workers[i] = 0;
		assert_int_equal(status, 0);
	}
	cluster_node_open(&frame.nodes[1]);
	cluster_node_await(&frame.nodes[1]);
	cluster_assert_same(&frame.nodes[0], &frame.nodes[1]);
}

static enum node_phase phase_of_workers(struct node_state *state)
{
	struct node_view view;
	node_state_view(state, &view);
	return view.phase;
}

static void test_a_full_disk_heals(void **state)
{
	struct node_state *node;
	(void)state;
	for (int i = 0; i < WORKERS; i++)
		start_worker(i);
	assert_true(buys_more(0, 5));
	assert_true(buys_more(1, 5));
	assert_int_equal(node_state_open(frame.nodes[1].db_path, &node), PYGMY_OK);
	for (int i = 0; i < 2; i++) {
		atomic_store(&shared->limited, 0);
		atomic_store(&shared->limit, 1);
		assert_true(WAIT_FOR(atomic_load(&shared->limited) == WORKERS, CLUSTER_LONG_MS));
		char key[32];
		snprintf(key, sizeof key, "buy/0/other.%d", i);
		cluster_do(&frame.nodes[0], buy_of(key, 1, 1));
		assert_true(WAIT_FOR(phase_of_workers(node) == NODE_STORAGE_FAILED, CLUSTER_LONG_MS));
		atomic_store(&shared->limited, 0);
		atomic_store(&shared->limit, 0);
		assert_true(buys_more(0, 5));
		assert_true(buys_more(1, 5));
		assert_int_equal(phase_of_workers(node), NODE_READY);
	}
	node_state_close(node);
	atomic_store(&shared->stop, true);
	for (int i = 0; i < WORKERS; i++) {
		int status;
		assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
		workers[i] = 0;
		assert_int_equal(status, 0);
	}
	cluster_node_open(&frame.nodes[1]);
	cluster_node_await(&frame.nodes[1]);
	cluster_assert_same(&frame.nodes[0], &frame.nodes[1]);
}

int main(int argc, char **argv)
{
	diagnostics_init("test", DIAGNOSTICS_INFO);
	if (argc == 6 && strcmp(argv[1], "worker") == 0)
		return run_worker(argv + 2);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_killed_workers_leave_the_rest_in_order),
		TEST(test_both_killed_at_once),
		TEST(test_a_stopped_process_goes_on),
		TEST(test_a_full_disk_heals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
