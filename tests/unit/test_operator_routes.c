/* test_operator_routes: what operators see, with a replica and without one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/order/order.h"
#include "tests/unit/worker_fixture.h"

static struct worker_fixture *fixture;

static int open_fixture(void **state)
{
	(void)state;
	fixture = calloc(1, sizeof *fixture);
	worker_fixture_open(fixture, &order_app);
	return 0;
}

static int close_fixture(void **state)
{
	(void)state;
	worker_fixture_close(fixture);
	free(fixture);
	return 0;
}

static void is_alive_and_ready(void **state)
{
	(void)state;
	assert_int_equal(ask(fixture, "GET /livez", NULL, NULL, NULL), 200);
	assert_int_equal(ask(fixture, "GET /readyz", NULL, NULL, NULL), 200);
	assert_null(strstr(fixture->body, "checks"));
	assert_int_equal(ask(fixture, "GET /readyz?verbose", NULL, NULL, NULL), 200);
	assert_non_null(strstr(fixture->body, "{\"name\":\"database\",\"ok\":true}"));
	assert_int_equal(ask(fixture, "GET /readyz?loud", NULL, NULL, NULL), 400);
	assert_int_equal(ask(fixture, "POST /livez", NULL, NULL, NULL), 405);
}

static void says_why_it_is_not_ready(void **state)
{
	(void)state;
	struct replica *replica = atomic_exchange(&fixture->worker.replica, NULL);
	atomic_store(&fixture->worker.open_error, PYGMY_INCOMPATIBLE);
	assert_int_equal(ask(fixture, "GET /livez", NULL, NULL, NULL), 200);
	assert_int_equal(ask(fixture, "GET /readyz", NULL, NULL, NULL), 503);
	assert_non_null(strstr(fixture->body, "(database): The database was written by a newer version."));
	assert_int_equal(ask(fixture, "GET /readyz?verbose", NULL, NULL, NULL), 503);
	json_t *json = json_loads(fixture->body, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(json, "checks")), 4);
	json_decref(json);
	assert_int_equal(ask(fixture, "GET /buy?id=1", NULL, NULL, NULL), 503);
	assert_non_null(strstr(fixture->body, "\"code\":\"not_ready\""));
	assert_true(has_header(fixture, "Retry-After: 1"));
	/* What is wrong with the request comes first: that will not change. */
	assert_int_equal(ask(fixture, "GET /buy?id=1&x=2", NULL, NULL, NULL), 400);
	assert_int_equal(ask(fixture, "GET /status", NULL, NULL, NULL), 200);
	assert_int_equal(ask(fixture, "GET /metrics", NULL, NULL, NULL), 200);
	atomic_store(&fixture->worker.replica, replica);
	atomic_store(&fixture->worker.open_error, PYGMY_OK);
	atomic_store(&fixture->worker.stopping, true);
	assert_int_equal(ask(fixture, "GET /readyz", NULL, NULL, NULL), 503);
}

static void a_lost_transaction_log_is_no_reason(void **state)
{
	(void)state;
	atomic_store(&fixture->worker.transactions.last_errno, 28);
	assert_int_equal(ask(fixture, "GET /readyz?verbose", NULL, NULL, NULL), 200);
	assert_non_null(strstr(fixture->body, "{\"name\":\"transaction_log\",\"ok\":false,"));
}

static void tells_its_status(void **state)
{
	(void)state;
	ask(fixture, "GET /buy?id=1", NULL, NULL, NULL);
	assert_int_equal(ask(fixture, "GET /status", NULL, NULL, NULL), 200);
	json_t *json = json_loads(fixture->body, JSON_REJECT_DUPLICATES, NULL);
	const json_t *worker = json_object_get(json, "worker");
	assert_string_equal(json_string_value(json_object_get(worker, "name")), "order-T");
	assert_int_equal(json_integer_value(json_object_get(worker, "pid")), getpid());
	assert_int_equal(json_integer_value(json_object_get(worker, "items")), 3);
	assert_int_equal(json_integer_value(json_object_get(worker, "orders")), 1);
	assert_int_equal(json_integer_value(json_object_get(worker, "requests")), 1);
	assert_int_equal(strlen(json_string_value(json_object_get(worker, "chain"))), 64);
	assert_true(json_is_true(json_object_get(worker, "ready")));
	json_decref(json);
}

/* Every line is a comment or `name[{labels}] value`, each family is announced before its samples. */
static void assert_exposition(const char *text)
{
	char family[128] = "";
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
		if (line[0] == '#') {
			if (sscanf(line, "# TYPE %127s", family) == 1)
				assert_true(strchr(line, '\n') != NULL);
			continue;
		}
		assert_memory_equal(line, family, strlen(family));
		size_t len = strcspn(line, "\n");
		assert_int_equal(line[len], '\n');
		char *end;
		const char *space = memrchr(line, ' ', len);
		assert_non_null(space);
		strtod(space + 1, &end);
		assert_ptr_equal(end, line + len);
	}
}

static void counts_requests(void **state)
{
	(void)state;
	ask(fixture, "GET /buy?id=1", NULL, NULL, NULL);
	ask(fixture, "GET /buy?id=1", NULL, NULL, NULL);
	ask(fixture, "GET /buy?id=99", NULL, NULL, NULL);
	ask(fixture, "GET /orders/1", NULL, NULL, NULL);
	ask(fixture, "GET /wrong/path", NULL, NULL, NULL);
	ask(fixture, "BREW /buy", NULL, NULL, NULL);
	assert_int_equal(ask(fixture, "GET /metrics", NULL, NULL, NULL), 200);
	assert_true(has_header(fixture, "Content-Type: text/plain; version=0.0.4; charset=utf-8"));
	assert_exposition(fixture->body);
	static const char *const LINES[] = {
		"\npygmy_http_requests_total{route=\"/buy\",method=\"GET\",code=\"200\"} 2\n",
		"\npygmy_http_requests_total{route=\"/buy\",method=\"GET\",code=\"404\"} 1\n",
		"\npygmy_http_requests_total{route=\"/orders/{id}\",method=\"GET\",code=\"200\"} 1\n",
		"\npygmy_http_requests_total{route=\"unmatched\",method=\"any\",code=\"404\"} 1\n",
		"\npygmy_http_requests_total{route=\"unmatched\",method=\"any\",code=\"405\"} 1\n",
		"\npygmy_http_request_duration_seconds_count{route=\"/buy\",method=\"GET\"} 3\n",
		"\npygmy_http_request_duration_seconds_bucket{route=\"/buy\",method=\"GET\",le=\"+Inf\"} 3\n",
		"\npygmy_transaction_log_lines_total 3\n",
		"\npygmy_ready 1\n",
	};
	for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++)
		assert_non_null(strstr(fixture->body, LINES[i]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_alive_and_ready), TEST(says_why_it_is_not_ready), TEST(a_lost_transaction_log_is_no_reason), TEST(tells_its_status),
		TEST(counts_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
