/* A cluster of replicas on real etcd members: proposals, reads, and what a node does when something of it is lost. */
#include "tests/unit/cluster_frame.h"

#include <pthread.h>
#include <stdatomic.h>

static struct cluster_frame frame;

static int teardown(void **state)
{
	(void)state;
	cluster_stop(&frame);
	return 0;
}

/* ---- writes and reads ---------------------------------------------------------------------------------- */

static void test_a_write_is_seen_everywhere(void **state)
{
	(void)state;
	cluster_start(&frame, 3, 3);
	cluster_init_log(&frame);
	cluster_open_all(&frame);
	struct result first = cluster_do(&frame.nodes[0], buy_of("buy/0/a", 1, 2));
	assert_int_equal(first.error, PYGMY_OK);
	assert_int_equal(first.id, 1);
	assert_false(first.repeated);
	for (int i = 0; i < 3; i++)
		assert_int_equal(cluster_stock(&frame.nodes[i], 1), CLUSTER_STOCK - 2);
	/* The same key elsewhere: the same answer. */
	struct result again = cluster_do(&frame.nodes[1], buy_of("buy/0/a", 1, 2));
	assert_true(again.repeated);
	assert_int_equal(again.id, first.id);
	assert_int_equal(again.revision, first.revision);
	assert_int_equal(cluster_do(&frame.nodes[2], buy_of("buy/0/a", 1, 3)).error, PYGMY_KEY_REUSED);
	assert_int_equal(cluster_do(&frame.nodes[2], buy_of("buy/0/b", 9, 1)).error, PYGMY_ITEM_NOT_FOUND);
	cluster_assert_same(&frame.nodes[0], &frame.nodes[1]);
	cluster_assert_same(&frame.nodes[0], &frame.nodes[2]);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_INFO);
#define TEST(function) cmocka_unit_test_teardown(function, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_write_is_seen_everywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
