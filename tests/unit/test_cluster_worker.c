/* A worker of a cluster's node: what its answers, its readiness and its metrics say while the log can be reached, and while it can't. */
#include "tests/unit/cluster_frame.h"
#include "tests/unit/worker_fixture.h"

#include "db/slot.h"
#include "fcgi/catalog/catalog.h"

static struct cluster_frame frame;
static struct worker_fixture fixture;

#define STALE "HTTP_X_PYGMY_ALLOW_STALE=1"

static int setup(void **state)
{
	(void)state;
	cluster_start(&frame, 1, 1);
	cluster_init_log(&frame);
	cluster_node_open(&frame.nodes[0]);
	worker_init(&fixture.worker, &catalog_app);
	fixture.worker.config.threads = 2;
	fixture.worker.auth.has_admin = true;
	memcpy(fixture.worker.auth.admin, ADMIN, TOKEN_HEX_LEN);
	atomic_store(&fixture.worker.replica, frame.nodes[0].replica);
	exchange_init(&fixture.exchange, &fixture.worker);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	exchange_close(&fixture.exchange);
	cluster_stop(&frame);
	return 0;
}

static void lose_etcd(void)
{
	cluster_node_await(&frame.nodes[0]);
	etcd_server_kill(&frame.server, 0);
	assert_true(WAIT_FOR(replica_ready(frame.nodes[0].replica, NULL) == PYGMY_NO_QUORUM, CLUSTER_LONG_MS));
}

static void test_fresh_answers_are_as_ever(void **state)
{
	(void)state;
	cluster_node_await(&frame.nodes[0]);
	assert_int_equal(ask(&fixture, "GET /item/1", NULL, STALE, NULL), 200);
	assert_null(strstr(fixture.answer, "X-Pygmy-Stale-Ms"));
	assert_int_equal(ask(&fixture, "GET /item/1", NULL, "HTTP_X_PYGMY_ALLOW_STALE=yes", NULL), 400);
	assert_int_equal(ask(&fixture, "PUT /item/1", "{\"delta\":1}", AS_ADMIN, NULL), 201);
	assert_int_equal(ask(&fixture, "GET /item/1", NULL, "HTTP_X_PYGMY_CONSISTENCY=strict", NULL), 200);
	assert_non_null(strstr(fixture.body, "\"count\":1000001"));
	assert_int_equal(ask(&fixture, "GET /readyz", NULL, NULL, NULL), 200);
	assert_int_equal(ask(&fixture, "GET /metrics", NULL, NULL, NULL), 200);
	assert_non_null(strstr(fixture.body, "\npygmy_replica_phase{phase=\"ready\"} 1\n"));
	assert_non_null(strstr(fixture.body, "\npygmy_replica_phase{phase=\"catching_up\"} 0\n"));
	assert_non_null(strstr(fixture.body, "\npygmy_log_quorum 1\n"));
	assert_non_null(strstr(fixture.body, "\npygmy_replica_lag_entries "));
	assert_int_equal(ask(&fixture, "GET /status", NULL, NULL, NULL), 200);
	assert_non_null(strstr(fixture.body, "\"phase\":\"ready\""));
}

static void test_stale_answers_say_so(void **state)
{
	(void)state;
	char slot[32], age[32];
	snprintf(slot, sizeof slot, "PYGMY_SLOT=%u", slot_of_item(1));
	cluster_node_await(&frame.nodes[0]);
	assert_int_equal(ask(&fixture, "GET /item/1", NULL, slot, NULL), 200);
	assert_true(has_header(&fixture, "X-Accel-Expires: 31536000"));
	lose_etcd();
	assert_int_equal(ask(&fixture, "GET /item/1", NULL, slot, NULL), 503);
	assert_non_null(strstr(fixture.body, "majority"));
	assert_true(has_header(&fixture, "Retry-After: 1"));
	assert_int_equal(ask(&fixture, "GET /item/1", NULL, slot, STALE), 200);
	assert_true(strtoll(header_value(&fixture, "X-Pygmy-Stale-Ms: ", age, sizeof age), NULL, 10) >= LEASE_DEFAULT_MS);
	assert_true(has_header(&fixture, "X-Accel-Expires: 0"));
	/* Also that there is none, and also when more was asked for. */
	assert_int_equal(ask(&fixture, "GET /item/77", NULL, STALE, NULL), 404);
	assert_non_null(strstr(fixture.answer, "X-Pygmy-Stale-Ms: "));
	assert_int_equal(ask(&fixture, "GET /item/1", NULL, "HTTP_X_PYGMY_MIN_REVISION=1000000", STALE), 200);
	/* A cache's lease is not renewed by old news. */
	assert_int_equal(ask(&fixture, "GET /coherence/changes?since=0", NULL, "PYGMY_PRIVATE=1", STALE), 503);
}

static void test_without_a_quorum_nothing_is_written(void **state)
{
	(void)state;
	lose_etcd();
	assert_int_equal(ask(&fixture, "PUT /item/1", "{\"delta\":1}", AS_ADMIN, NULL), 503);
	assert_non_null(strstr(fixture.body, "\"code\":\"no_quorum\""));
	assert_true(has_header(&fixture, "Retry-After: 1"));
	assert_int_equal(ask(&fixture, "GET /readyz?verbose", NULL, NULL, NULL), 503);
	assert_non_null(strstr(fixture.body, "The majority of the log's servers can't be reached"));
	assert_int_equal(ask(&fixture, "GET /metrics", NULL, NULL, NULL), 200);
	assert_non_null(strstr(fixture.body, "\npygmy_log_quorum 0\n"));
	assert_non_null(strstr(fixture.body, "\npygmy_ready 0\n"));
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_fresh_answers_are_as_ever),
		TEST(test_stale_answers_say_so),
		TEST(test_without_a_quorum_nothing_is_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
