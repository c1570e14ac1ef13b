/*
 * A cluster under many threads that buy through all of its nodes, with the same keys at several of them, while etcd's leader is killed
 * and the watch is cut: each key makes one order, and all replicas agree.
 */
#include "tests/unit/cluster_frame.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS_PER_NODE 3
#define BUYS 60                       /* of each thread */
#define NODES 3

static struct cluster_frame frame;

static int teardown(void **state)
{
	(void)state;
	cluster_stop(&frame);
	return 0;
}

struct buyer {
	pthread_t thread;
	const struct cluster_node *node;
	int number;
	int64_t orders[BUYS];         /* the order that each key made */
	int failures;                 /* answers that were no result; the key was tried again */
	bool failed;
};

/* Threads of the same number have the same keys, at every node. */
static void *buy(void *context)
{
	struct buyer *buyer = context;
	for (int i = 0; i < BUYS && !buyer->failed; i++) {
		char key[64];
		struct result result;
		int64_t limit_ms = test_now_ms() + CLUSTER_LONG_MS;
		snprintf(key, sizeof key, "buy/0/%d.%d", buyer->number, i);
		while (cluster_try(buyer->node, buy_of(key, 1, 1), &result) != PYGMY_OK && !buyer->failed) {
			buyer->failures++;
			buyer->failed = test_now_ms() > limit_ms;
			test_pause_ms(5);
		}
		buyer->failed = buyer->failed || result.error != PYGMY_OK;
		buyer->orders[i] = result.id;
	}
	return NULL;
}

static void start_buyers(struct buyer buyers[NODES][THREADS_PER_NODE])
{
	for (int n = 0; n < NODES; n++)
		for (int t = 0; t < THREADS_PER_NODE; t++) {
			buyers[n][t] = (struct buyer){ .node = &frame.nodes[n], .number = t };
			assert_int_equal(pthread_create(&buyers[n][t].thread, NULL, buy, &buyers[n][t]), 0);
		}
}

static void join_buyers(struct buyer buyers[NODES][THREADS_PER_NODE])
{
	int failures = 0;
	for (int n = 0; n < NODES; n++)
		for (int t = 0; t < THREADS_PER_NODE; t++) {
			pthread_join(buyers[n][t].thread, NULL);
			assert_false(buyers[n][t].failed);
			failures += buyers[n][t].failures;
		}
	printf("# %d answers were no results\n", failures);
	for (int n = 1; n < NODES; n++)
		for (int t = 0; t < THREADS_PER_NODE; t++)
			assert_memory_equal(buyers[n][t].orders, buyers[0][t].orders, sizeof buyers[0][t].orders);
}

static int number_of_leader(void)
{
	for (int i = 0; i < frame.server.count; i++) {
		struct etcd_status status;
		if (etcd_status(frame.etcd, i, test_now_ms() + 1000, &status) == ETCD_OK && status.leader_id == status.member_id)
			return i;
	}
	return 0;
}

static void assert_all_is_well(void)
{
	for (int n = 0; n < NODES; n++)
		cluster_node_await(&frame.nodes[n]);
	for (int n = 0; n < NODES; n++) {
		struct reader_counts counts = cluster_counts(&frame.nodes[n]);
		assert_int_equal(counts.orders, THREADS_PER_NODE * BUYS);
		assert_int_equal(cluster_stock(&frame.nodes[n], 1), CLUSTER_STOCK - THREADS_PER_NODE * BUYS);
		cluster_assert_same(&frame.nodes[0], &frame.nodes[n]);
	}
}

static void test_each_key_makes_one_order(void **state)
{
	static struct buyer buyers[NODES][THREADS_PER_NODE];
	(void)state;
	cluster_start(&frame, 3, NODES);
	cluster_init_log(&frame);
	cluster_open_all(&frame);
	start_buyers(buyers);
	join_buyers(buyers);
	assert_all_is_well();
}

static void test_also_when_the_leader_dies(void **state)
{
	static struct buyer buyers[NODES][THREADS_PER_NODE];
	(void)state;
	cluster_start(&frame, 3, NODES);
	cluster_init_log(&frame);
	cluster_open_all(&frame);
	start_buyers(buyers);
	int leader = number_of_leader();
	test_pause_ms(30);
	etcd_server_kill(&frame.server, leader);
	test_pause_ms(500);
	etcd_server_restart(&frame.server, leader);
	leader = number_of_leader();
	etcd_server_freeze(&frame.server, leader);
	test_pause_ms(1500);
	etcd_server_thaw(&frame.server, leader);
	join_buyers(buyers);
	assert_all_is_well();
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
#define TEST(function) cmocka_unit_test_teardown(function, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_each_key_makes_one_order),
		TEST(test_also_when_the_leader_dies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
