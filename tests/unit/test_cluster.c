/* A cluster of replicas on real etcd members: proposals, reads, and what a node does when something of it is lost. */
#include "tests/unit/cluster_frame.h"

#include <pthread.h>
#include <stdatomic.h>

#include "db/follower.h"

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

/* ---- starts -------------------------------------------------------------------------------------------- */

static enum node_phase phase_of(const struct cluster_node *node)
{
	struct node_view view;
	node_state_view(replica_node_state(node->replica), &view);
	return view.phase;
}

static void test_a_node_waits_for_its_log(void **state)
{
	(void)state;
	const char *why = NULL;
	cluster_start(&frame, 1, 1);
	struct cluster_node *node = &frame.nodes[0];
	cluster_node_open(node);
	assert_true(WAIT_FOR(phase_of(node) == NODE_NO_LOG, CLUSTER_LONG_MS));
	assert_int_equal(replica_ready(node->replica, &why), PYGMY_NOT_READY);
	assert_non_null(strstr(why, "pygmy init"));
	char log_id[LOG_ID_TEXT_LEN + 1];
	replica_log_id(node->replica, log_id);
	assert_string_equal(log_id, LOG_ID_NONE);
	cluster_init_log(&frame);
	cluster_node_await(node);
	replica_log_id(node->replica, log_id);
	assert_string_not_equal(log_id, LOG_ID_NONE);
	assert_int_equal(cluster_do(node, buy_of("buy/0/a", 1, 1)).error, PYGMY_OK);
}

static void test_a_node_opens_without_etcd(void **state)
{
	(void)state;
	const char *why = NULL;
	struct result result;
	struct reader *reader;
	cluster_start(&frame, 1, 1);
	cluster_init_log(&frame);
	etcd_server_kill(&frame.server, 0);
	struct cluster_node *node = &frame.nodes[0];
	cluster_node_open(node);
	assert_true(WAIT_FOR(replica_ready(node->replica, &why) == PYGMY_NOT_READY, CLUSTER_LONG_MS));
	assert_non_null(why);
	assert_int_equal(cluster_try(node, buy_of("buy/0/a", 1, 1), &result), PYGMY_NOT_READY);
	struct read_terms stale = { .stale_allowed = true };
	assert_int_equal(reader_begin(node->replica, &stale, test_now_ms() + 100, &reader), PYGMY_NOT_READY);
	cluster_node_close(node);
	cluster_node_open(node);
	etcd_server_restart(&frame.server, 0);
	cluster_node_await(node);
	assert_int_equal(cluster_stock(node, 1), CLUSTER_STOCK);
}

/* What is applied stays applied, and what came meanwhile is caught up with. */
static void test_a_node_comes_back(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 2);
	cluster_init_log(&frame);
	cluster_open_all(&frame);
	struct result first = cluster_do(&frame.nodes[0], buy_of("buy/0/a", 1, 1));
	cluster_node_close(&frame.nodes[1]);
	struct result second = cluster_do(&frame.nodes[0], buy_of("buy/0/b", 1, 1));
	cluster_node_open(&frame.nodes[1]);
	assert_int_equal(cluster_do(&frame.nodes[1], buy_of("buy/0/a", 1, 1)).revision, first.revision);
	assert_int_equal(cluster_do(&frame.nodes[1], buy_of("buy/0/b", 1, 1)).revision, second.revision);
	cluster_assert_same(&frame.nodes[0], &frame.nodes[1]);
}

/* ---- files that are lost --------------------------------------------------------------------------------- */

static void remove_files(const struct cluster_node *node, const char *prefix)
{
	DIR *dir = opendir(node->folder);
	assert_non_null(dir);
	for (struct dirent *file; (file = readdir(dir)) != NULL;) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", node->folder, file->d_name);
		if (strncmp(file->d_name, prefix, strlen(prefix)) == 0)
			assert_int_equal(unlink(path), 0);
	}
	closedir(dir);
}

static void assert_heals(struct cluster_node *node, const char *key)
{
	assert_true(WAIT_FOR(file_size(node->db_path) > 0, CLUSTER_LONG_MS));
	struct result result = cluster_do(node, buy_of(key, 1, 1));
	assert_int_equal(result.error, PYGMY_OK);
	assert_int_equal(cluster_do(&frame.nodes[0], buy_of(key, 1, 1)).revision, result.revision);
	cluster_assert_same(&frame.nodes[0], node);
}

static void test_a_wiped_database_heals(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 2);
	cluster_init_log(&frame);
	cluster_open_all(&frame);
	struct cluster_node *node = &frame.nodes[1];
	cluster_do(node, buy_of("buy/0/a", 1, 1));
	/* Its file alone, while it is in use. */
	assert_int_equal(unlink(node->db_path), 0);
	assert_heals(node, "buy/0/b");
	/* All that begins with its name, also what the node's processes share. */
	remove_files(node, "store.db");
	assert_heals(node, "buy/0/c");
	/* While it is down. */
	cluster_node_close(node);
	remove_files(node, "store.db");
	cluster_node_open(node);
	assert_heals(node, "buy/0/d");
}

static void test_a_damaged_database_heals(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 2);
	cluster_init_log(&frame);
	cluster_open_all(&frame);
	struct cluster_node *node = &frame.nodes[1];
	cluster_do(node, buy_of("buy/0/a", 1, 1));
	cluster_node_close(node);
	file_write(node->db_path, "This is no database, though there once was one in its place. It is long enough to be looked at.");
	cluster_node_open(node);
	cluster_node_await(node);
	assert_heals(node, "buy/0/b");
}

/* ---- another log ------------------------------------------------------------------------------------------ */

static void test_another_log_is_not_followed(void **state)
{
	(void)state;
	struct result result;
	cluster_start(&frame, 1, 2);
	cluster_init_log(&frame);
	cluster_open_all(&frame);
	cluster_do(&frame.nodes[0], buy_of("buy/0/a", 1, 1));
	cluster_node_close(&frame.nodes[1]);
	/* The cluster is made anew below the node. */
	etcd_destroy(frame.etcd);
	etcd_server_stop(&frame.server);
	etcd_server_start(&frame.server, 1);
	assert_true(etcd_create(frame.server.endpoints, NULL, &frame.etcd));
	cluster_init_log(&frame);
	struct cluster_node *node = &frame.nodes[0];
	assert_true(WAIT_FOR(phase_of(node) == NODE_OTHER_LOG, CLUSTER_LONG_MS));
	assert_int_equal(cluster_try(node, buy_of("buy/0/b", 1, 1), &result), PYGMY_OTHER_LOG);
	assert_int_equal(replica_ready(node->replica, NULL), PYGMY_OTHER_LOG);
	/* What a person may decide: the node is to forget its database. */
	remove_files(node, "store.db");
	cluster_node_await(node);
	assert_int_equal(cluster_stock(node, 1), CLUSTER_STOCK);
}

/* ---- without a quorum --------------------------------------------------------------------------------------- */

static void test_reads_go_on_and_say_how_old_they_are(void **state)
{
	(void)state;
	struct reader *reader;
	struct result result;
	struct read_terms stale = { .stale_allowed = true }, fresh = { .strict = true };
	cluster_start(&frame, 3, 2);
	cluster_init_log(&frame);
	cluster_open_all(&frame);
	struct cluster_node *node = &frame.nodes[0];
	struct result first = cluster_do(node, buy_of("buy/0/a", 1, 1));
	etcd_server_kill(&frame.server, 0);
	etcd_server_kill(&frame.server, 1);
	assert_true(WAIT_FOR(replica_ready(node->replica, NULL) == PYGMY_NO_QUORUM, CLUSTER_LONG_MS));
	int64_t began_ms = test_now_ms();
	assert_int_equal(cluster_try(node, buy_of("buy/0/b", 1, 1), &result), PYGMY_NO_QUORUM);
	assert_int_equal(reader_begin(node->replica, &fresh, test_now_ms() + MIN_REVISION_WAIT_MS, &reader), PYGMY_NOT_READY);
	assert_in_range(test_now_ms() - began_ms, 0, 1000);
	assert_int_equal(reader_begin(node->replica, &stale, test_now_ms() + MIN_REVISION_WAIT_MS, &reader), PYGMY_OK);
	assert_in_range(reader_stale_ms(reader), LEASE_DEFAULT_MS, CLUSTER_LONG_MS);
	assert_int_equal(reader_revision(reader), first.revision);
	reader_end(reader);
	etcd_server_spawn(&frame.server, 0);
	etcd_server_spawn(&frame.server, 1);
	etcd_server_await(&frame.server, 0);
	etcd_server_await(&frame.server, 1);
	cluster_node_await(node);
	assert_int_equal(cluster_do(node, buy_of("buy/0/b", 1, 1)).error, PYGMY_OK);
	assert_int_equal(cluster_stock(&frame.nodes[1], 1), CLUSTER_STOCK - 2);
	assert_int_equal(reader_begin(node->replica, &stale, test_now_ms() + MIN_REVISION_WAIT_MS, &reader), PYGMY_OK);
	assert_int_equal(reader_stale_ms(reader), 0);
	reader_end(reader);
}

/* It ends all the same, and soon; the limit leaves a slow machine several times that. */
static void test_a_node_ends_while_etcd_hangs(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 1);
	cluster_init_log(&frame);
	cluster_open_all(&frame);
	etcd_server_freeze(&frame.server, 0);
	assert_true(WAIT_FOR(replica_ready(frame.nodes[0].replica, NULL) == PYGMY_NO_QUORUM, CLUSTER_LONG_MS));
	int64_t began_ms = test_now_ms();
	cluster_node_close(&frame.nodes[0]);
	printf("# ended in %lld ms\n", (long long)(test_now_ms() - began_ms));
	assert_in_range(test_now_ms() - began_ms, 0, 5 * FOLLOWER_STOP_MS);
	etcd_server_thaw(&frame.server, 0);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_INFO);
#define TEST(function) cmocka_unit_test_teardown(function, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_write_is_seen_everywhere),
		TEST(test_a_node_waits_for_its_log),
		TEST(test_a_node_opens_without_etcd),
		TEST(test_a_node_comes_back),
		TEST(test_a_wiped_database_heals),
		TEST(test_a_damaged_database_heals),
		TEST(test_another_log_is_not_followed),
		TEST(test_reads_go_on_and_say_how_old_they_are),
		TEST(test_a_node_ends_while_etcd_hangs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
