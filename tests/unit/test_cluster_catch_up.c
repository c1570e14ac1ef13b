/* Replicas that are new, far behind, or wrong: they catch up with a long log in bounded memory, or load a snapshot. */
#include "tests/unit/cluster_frame.h"

#define LONG_LOG_ENTRIES 1500
#define ITEMS_PER_ENTRY 100           /* some 30 KB: the whole log is much more than what may be in memory */
#define MEMORY_MAX_KB (48 * 1024)

static struct cluster_frame frame;

static int teardown(void **state)
{
	(void)state;
	cluster_stop(&frame);
	return 0;
}

static void compact_all(void)
{
	assert_int_equal(etcd_log_position(frame.etcd, CLUSTER_LOG_KEY, test_now_ms() + CLUSTER_LONG_MS, &frame.log), ETCD_OK);
	assert_int_equal(etcd_compact(frame.etcd, frame.log.mod_revision, test_now_ms() + CLUSTER_LONG_MS), ETCD_OK);
}

static enum node_phase phase_of(const struct cluster_node *node)
{
	struct node_view view;
	node_state_view(replica_node_state(node->replica), &view);
	return view.phase;
}

/* ---- a long log --------------------------------------------------------------------------------------------- */

static void append_long_log(void)
{
	static char title[301];
	struct item items[ITEMS_PER_ENTRY];
	memset(title, 't', sizeof title - 1);
	for (int i = 0; i < ITEMS_PER_ENTRY; i++)
		items[i] = item_of(1 + i, title, "topic", 100, CLUSTER_STOCK);
	for (int i = 0; i < LONG_LOG_ENTRIES; i++) {
		char key[32];
		snprintf(key, sizeof key, "import/0/%d", i);
		struct command import = import_of(key, items, ITEMS_PER_ENTRY);
		cluster_append(&frame, &import, 1);
	}
}

/* VmHWM or VmRSS of this process. */
static int64_t memory_kb(const char *name)
{
	char line[256];
	int64_t kb = -1;
	FILE *file = fopen("/proc/self/status", "re");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			kb = strtoll(line + strlen(name) + 1, NULL, 10);
	fclose(file);
	return kb;
}

static void test_a_long_log_is_caught_up_with_in_bounded_memory(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 1);
	cluster_init_log(&frame);
	append_long_log();
	int64_t before_kb = memory_kb("VmRSS");
	int64_t began_ms = test_now_ms();
	cluster_node_open(&frame.nodes[0]);
	cluster_node_await(&frame.nodes[0]);
	printf("# %d entries in %lld ms; memory grew by %lld KB\n", LONG_LOG_ENTRIES, (long long)(test_now_ms() - began_ms),
	       (long long)(memory_kb("VmHWM") - before_kb));
	struct reader_counts counts = cluster_counts(&frame.nodes[0]);
	assert_true(counts.revision >= LONG_LOG_ENTRIES);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_in_range(memory_kb("VmHWM") - before_kb, 0, MEMORY_MAX_KB);
#endif
}

/* ---- snapshots ---------------------------------------------------------------------------------------------- */

static void test_who_is_behind_the_compaction_loads_a_snapshot(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 3);
	cluster_init_log(&frame);
	cluster_node_serve_snapshots(&frame.nodes[0]);
	cluster_node_open(&frame.nodes[0]);
	cluster_node_open(&frame.nodes[1]);
	cluster_node_await(&frame.nodes[0]);
	cluster_node_await(&frame.nodes[1]);
	cluster_do(&frame.nodes[1], buy_of("buy/0/a", 1, 1));
	cluster_node_close(&frame.nodes[1]);
	/* Two entries: the last one outlives a compaction. */
	cluster_do(&frame.nodes[0], buy_of("buy/0/c", 1, 1));
	struct result result = cluster_do(&frame.nodes[0], buy_of("buy/0/b", 1, 1));
	compact_all();
	/* One was away, one is new. */
	for (int i = 1; i < 3; i++) {
		cluster_node_open(&frame.nodes[i]);
		cluster_node_await(&frame.nodes[i]);
		assert_int_equal(cluster_do(&frame.nodes[i], buy_of("buy/0/b", 1, 1)).revision, result.revision);
		cluster_assert_same(&frame.nodes[0], &frame.nodes[i]);
	}
	assert_in_range(atomic_load(&frame.nodes[0].snapshots.served), 2, 4);
}

static void test_without_a_peer_it_waits_for_one(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 2);
	cluster_init_log(&frame);
	cluster_node_serve_snapshots(&frame.nodes[0]);
	cluster_node_open(&frame.nodes[0]);
	cluster_node_await(&frame.nodes[0]);
	cluster_do(&frame.nodes[0], buy_of("buy/0/a", 1, 1));
	compact_all();
	cluster_node_close(&frame.nodes[0]);
	cluster_node_open(&frame.nodes[1]);
	assert_true(WAIT_FOR(phase_of(&frame.nodes[1]) == NODE_LOADING_SNAPSHOT, CLUSTER_LONG_MS));
	cluster_node_open(&frame.nodes[0]);
	cluster_node_await(&frame.nodes[1]);
	cluster_assert_same(&frame.nodes[0], &frame.nodes[1]);
}

/* A row is changed behind the replica's back; the next write to it shows that. */
static void test_a_replica_that_differs_is_rebuilt(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 3);
	cluster_init_log(&frame);
	cluster_node_serve_snapshots(&frame.nodes[0]);
	cluster_open_all(&frame);
	struct cluster_node *node = &frame.nodes[2];
	compact_all();
	struct database database;
	assert_int_equal(database_open(&database, node->db_path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&database, "UPDATE items SET count = count - 7, supplied = supplied - 7 WHERE id = 1");
	database_close(&database);
	assert_int_equal(cluster_stock(node, 1), CLUSTER_STOCK - 7);
	cluster_do(&frame.nodes[0], buy_of("buy/0/a", 1, 1));
	assert_true(WAIT_FOR(!cluster_node_is_ready(node), CLUSTER_LONG_MS));
	cluster_node_await(node);
	assert_int_equal(cluster_stock(node, 1), CLUSTER_STOCK - 1);
	cluster_assert_same(&frame.nodes[0], node);
}

/* A flipped bit that makes the books wrong: then the next write to the row breaks a constraint. */
static void test_a_database_that_refuses_an_entry_is_rebuilt(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 3);
	cluster_init_log(&frame);
	cluster_node_serve_snapshots(&frame.nodes[0]);
	cluster_open_all(&frame);
	struct cluster_node *node = &frame.nodes[2];
	struct database database;
	assert_int_equal(database_open(&database, node->db_path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&database, "PRAGMA ignore_check_constraints = ON; UPDATE items SET supplied = supplied + 4096 WHERE id = 1");
	database_close(&database);
	cluster_do(&frame.nodes[0], buy_of("buy/0/a", 1, 1));
	assert_int_equal(cluster_stock(node, 1), CLUSTER_STOCK - 1);
	cluster_node_await(node);
	cluster_assert_same(&frame.nodes[0], node);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_INFO);
#define TEST(function) cmocka_unit_test_teardown(function, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_long_log_is_caught_up_with_in_bounded_memory),
		TEST(test_who_is_behind_the_compaction_loads_a_snapshot),
		TEST(test_without_a_peer_it_waits_for_one),
		TEST(test_a_replica_that_differs_is_rebuilt),
		TEST(test_a_database_that_refuses_an_entry_is_rebuilt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
