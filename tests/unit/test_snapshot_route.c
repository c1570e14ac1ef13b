/* GET /snapshot: who gets one, and what nginx is told to send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fcgi/catalog/catalog.h"
#include "fcgi/order/order.h"
#include "tests/unit/worker_fixture.h"

static struct worker_fixture fixture;

static int setup(void **state)
{
	char db[PATH_MAX];
	(void)state;
	worker_fixture_open(&fixture, &catalog_app);
	snprintf(db, sizeof db, "%s/store.db", fixture.folder.path);
	return snapshot_maker_create(db, fixture.folder.path, &fixture.worker.snapshots) == PYGMY_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	snapshot_maker_destroy(fixture.worker.snapshots);
	worker_fixture_close(&fixture);
	return 0;
}

/* The file that the last answer sends nginx to. */
static const char *sent_file(char out[PATH_MAX])
{
	char name[NAME_MAX];
	header_value(&fixture, "X-Accel-Redirect: /.snapshot/", name, sizeof name);
	assert_int_not_equal(name[0], '\0');
	assert_null(strchr(name, '/'));
	snprintf(out, PATH_MAX, "%s/snapshots/%s", fixture.folder.path, name);
	return out;
}

static void gives_a_file(void **state)
{
	(void)state;
	char path[PATH_MAX], revision[32], chain[80], hex[2 * CHAIN_BYTES + 1];
	struct snapshot_info info;
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_PEER, NULL), 200);
	assert_true(has_header(&fixture, "Content-Type: application/vnd.sqlite3"));
	assert_string_equal(fixture.body, "");
	assert_int_equal(snapshot_check(sent_file(path), &info, NULL), PYGMY_OK);
	assert_int_equal(info.items, 3);
	assert_int_equal(strtol(header_value(&fixture, "X-Pygmy-Revision: ", revision, sizeof revision), NULL, 10), info.index);
	for (size_t i = 0; i < CHAIN_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", info.chain[i]);
	assert_string_equal(header_value(&fixture, "X-Pygmy-Chain: ", chain, sizeof chain), hex);
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_ADMIN, NULL), 200);
}

static void keeps_the_terms_of_a_read(void **state)
{
	(void)state;
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_PEER, "HTTP_X_PYGMY_CONSISTENCY=strict"), 200);
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_PEER, "HTTP_X_PYGMY_ALLOW_STALE=1"), 200);
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_PEER, "HTTP_X_PYGMY_MIN_REVISION=1"), 200);
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_PEER, "HTTP_X_PYGMY_MIN_REVISION=1000000"), 503);
	assert_non_null(strstr(fixture.body, "behind"));
	assert_null(strstr(fixture.answer, "X-Accel-Redirect"));
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_PEER, "HTTP_X_PYGMY_CONSISTENCY=loose"), 400);
}

static void refuses_others(void **state)
{
	(void)state;
	char path[PATH_MAX];
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, NULL, NULL), 401);
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, "HTTP_AUTHORIZATION=Bearer x", NULL), 401);
	assert_null(strstr(fixture.answer, "X-Accel-Redirect"));
	assert_int_equal(ask(&fixture, "HEAD /snapshot", NULL, AS_PEER, NULL), 405);
	assert_int_equal(ask(&fixture, "POST /snapshot", NULL, AS_PEER, NULL), 405);
	assert_int_equal(ask(&fixture, "GET /snapshot?x=1", NULL, AS_PEER, NULL), 400);
	snprintf(path, sizeof path, "%s/snapshots", fixture.folder.path);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void says_when_it_can_not(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct snapshot_maker *maker = fixture.worker.snapshots;
	/* A file where the folder should be. */
	temporary_folder_write(&fixture.folder, "snapshots", "", 0600, path);
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_PEER, NULL), 503);
	assert_non_null(strstr(fixture.body, "storage_failed"));
	assert_null(strstr(fixture.answer, "X-Accel-Redirect"));
	assert_true(has_header(&fixture, "Retry-After: 1"));
	fixture.worker.snapshots = NULL;
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_PEER, NULL), 503);
	fixture.worker.snapshots = maker;
	snapshot_maker_stop(maker);
	assert_int_equal(ask(&fixture, "GET /snapshot", NULL, AS_PEER, NULL), 503);
	assert_non_null(strstr(fixture.body, "stopping"));
}

static void order_workers_have_none(void **state)
{
	(void)state;
	static struct worker_fixture order;
	worker_fixture_open(&order, &order_app);
	assert_int_equal(ask(&order, "GET /snapshot", NULL, AS_PEER, NULL), 404);
	worker_fixture_close(&order);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gives_a_file), TEST(keeps_the_terms_of_a_read), TEST(refuses_others), TEST(says_when_it_can_not), TEST(order_workers_have_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
