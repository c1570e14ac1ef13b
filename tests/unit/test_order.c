/* test_order: the order worker's API on a real replica. */
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

static void assert_bought(int item, int order)
{
	char expected[256];
	snprintf(expected, sizeof expected, "{\"message\":\"Item with id %d bought successfully.\",\"order\":{\"id\":%d},"
		"\"status\":\"Success\",\"validation_code\":200}\n", item, order);
	assert_string_equal(fixture->body, expected);
	assert_int_equal(fixture->status, 200);
}

static void buys_in_every_way(void **state)
{
	(void)state;
	ask(fixture, "GET /buy?id=1", NULL, NULL, NULL);
	assert_bought(1, 1);
	ask(fixture, "POST /buy?id=1&quantity=2", NULL, NULL, NULL);
	assert_bought(1, 2);
	ask(fixture, "POST /buy", "{\"id\":1,\"quantity\":3}", NULL, NULL);
	assert_bought(1, 3);
	ask(fixture, "POST /buy?id=1", "{\"quantity\":4}", NULL, NULL);
	assert_bought(1, 4);
	ask(fixture, "GET /buy/1?quantity=5", NULL, NULL, NULL);
	assert_bought(1, 5);
	ask(fixture, "POST /buy/1", "{\"quantity\":6}", NULL, NULL);
	assert_bought(1, 6);
	for (int i = 1; i <= 6; i++) {
		char line[32], quantity[64];
		snprintf(line, sizeof line, "GET /orders/%d", i);
		snprintf(quantity, sizeof quantity, "\"quantity\":%d,\"total\":%d}", i, i * 10);
		assert_int_equal(ask(fixture, line, NULL, NULL, NULL), 200);
		assert_non_null(strstr(fixture->body, quantity));
	}
}

static void refuses_bad_purchases(void **state)
{
	(void)state;
	static const struct { const char *line; const char *body; const char *code; } CASES[] = {
		{ "GET /buy", NULL, "missing_parameter" }, { "POST /buy", "{}", "missing_parameter" }, { "GET /buy?id=", NULL, "empty_parameter" },
		{ "GET /buy?id=0", NULL, "invalid_parameter" }, { "GET /buy?id=-1", NULL, "invalid_parameter" },
		{ "GET /buy?id=9223372036854775808", NULL, "invalid_parameter" }, { "GET /buy?id=1&quantity=0", NULL, "invalid_parameter" },
		{ "GET /buy?id=1&quantity=1000001", NULL, "invalid_parameter" }, { "POST /buy?id=1", "{\"id\":1}", "repeated_parameter" },
		{ "POST /buy?id=1&quantity=1", "{\"quantity\":1}", "repeated_parameter" }, { "POST /buy/1", "{\"id\":1}", "repeated_parameter" },
		{ "GET /buy/1?id=1", NULL, "unknown_parameter" }, { "GET /buy?id=1", "{}", "body_not_allowed" },
		{ "POST /buy", "{\"id\":1.0}", "invalid_field" }, { "POST /buy", "{\"id\":\"1\"}", "invalid_field" },
		{ "POST /buy", "{\"id\":0}", "invalid_field" }, { "POST /buy", "{\"id\":1,\"id\":1}", "bad_json" },
		{ "POST /buy", "{\"id\":1,\"price\":1}", "unknown_field" }, { "POST /buy", "{\"id\":99999999999999999999}", "bad_json" },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
		char code[64];
		assert_int_equal(ask(fixture, CASES[i].line, CASES[i].body, NULL, NULL), 400);
		snprintf(code, sizeof code, "{\"code\":\"%s\",", CASES[i].code);
		assert_ptr_equal(strstr(fixture->body, code), fixture->body);
	}
	assert_int_equal(ask(fixture, "GET /orders", NULL, NULL, NULL), 200);
	assert_string_equal(fixture->body, "{\"message\":{},\"order\":[],\"status\":\"Success\",\"validation_code\":200}\n");
}

static void tells_why_nothing_was_bought(void **state)
{
	(void)state;
	assert_int_equal(ask(fixture, "GET /buy?id=3", NULL, NULL, NULL), 404);
	assert_string_equal(fixture->body, "{\"code\":\"sold_out\",\"message\":\"The item with id 3 is no longer present in the catalog server\","
		"\"status\":\"Failed\",\"validation_code\":404}\n");
	assert_int_equal(ask(fixture, "GET /buy?id=77", NULL, NULL, NULL), 404);
	assert_non_null(strstr(fixture->body, "\"code\":\"item_not_found\",\"message\":\"The item with id 77 is no longer present"));
	assert_int_equal(ask(fixture, "GET /buy?id=2&quantity=3", NULL, NULL, NULL), 404);
	assert_non_null(strstr(fixture->body, "\"code\":\"insufficient_stock\",\"message\":\"Only 2 of the item with id 2 are left.\""));
}

static void repeats_answers_byte_for_byte(void **state)
{
	(void)state;
	const char *key = "HTTP_IDEMPOTENCY_KEY=k1", *other = "HTTP_IDEMPOTENCY_KEY=k2";
	char *first;
	ask(fixture, "GET /buy?id=2&quantity=2", NULL, key, NULL);
	assert_bought(2, 1);
	first = strdup(fixture->answer);
	ask(fixture, "POST /buy", "{\"quantity\":2,\"id\":2}", key, NULL);
	assert_string_equal(fixture->answer, first);
	free(first);
	assert_int_equal(ask(fixture, "GET /buy?id=2&quantity=1", NULL, key, NULL), 422);
	assert_int_equal(ask(fixture, "PUT /update", "{\"item_id\":2,\"quantity\":2}", AS_PEER, key), 201);
	assert_string_equal(fixture->body,
		"{\"item\":{},\"message\":\"successfully updated order id 1\",\"status\":\"Success\",\"validation_code\":201}\n");
	assert_int_equal(ask(fixture, "GET /buy?id=2", NULL, other, NULL), 404);
	first = strdup(fixture->answer);
	ask(fixture, "GET /buy?id=2", NULL, other, NULL);
	assert_string_equal(fixture->answer, first);
	free(first);
	/* nginx's key for the request serves when the client has none. */
	ask(fixture, "GET /buy?id=1", NULL, "PYGMY_REQUEST_KEY=1700000000.123-0123456789abcdef0123456789abcdef", NULL);
	assert_bought(1, 2);
	ask(fixture, "GET /buy?id=1", NULL, "PYGMY_REQUEST_KEY=1700000000.123-0123456789abcdef0123456789abcdef", NULL);
	assert_bought(1, 2);
	assert_true(has_header(fixture, "X-Pygmy-Request-Key: 1700000000.123-0123456789abcdef0123456789abcdef"));
	assert_int_equal(ask(fixture, "GET /buy?id=1", NULL, "HTTP_IDEMPOTENCY_KEY=a b", NULL), 400);
	assert_int_equal(ask(fixture, "GET /buy?id=1", NULL, "HTTP_IDEMPOTENCY_KEY=a", "HTTP_IDEMPOTENCY_KEY=a"), 400);
}

static void adds_orders_of_peers_once(void **state)
{
	(void)state;
	const char *key = "HTTP_IDEMPOTENCY_KEY=p1", *body = "{\"item_id\":1,\"quantity\":2}";
	assert_int_equal(ask(fixture, "PUT /update", body, key, NULL), 401);
	assert_int_equal(ask(fixture, "PUT /update", body, AS_ADMIN, key), 401);
	assert_int_equal(ask(fixture, "PUT /update", body, AS_PEER, NULL), 400);
	assert_int_equal(ask(fixture, "PUT /update", "{\"quantity\":2}", AS_PEER, key), 400);
	assert_int_equal(ask(fixture, "PUT /update", body, AS_PEER, key), 201);
	assert_int_equal(ask(fixture, "PUT /update", body, AS_PEER, key), 201);
	assert_int_equal(ask(fixture, "GET /orders", NULL, NULL, NULL), 200);
	assert_null(strstr(fixture->body, "\"id\":2"));
}

static void pages_orders_both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		ask(fixture, "GET /buy?id=1", NULL, NULL, NULL);
	ask(fixture, "GET /orders?limit=2", NULL, NULL, NULL);
	assert_ptr_equal(strstr(fixture->body, "{\"message\":{},\"next\":2,\"order\":[{\"cost\":10,\"created_ms\":"), fixture->body);
	ask(fixture, "GET /orders?limit=2&after=3", NULL, NULL, NULL);
	assert_null(strstr(fixture->body, "\"next\""));
	assert_non_null(strstr(fixture->body, "\"id\":4,"));
	assert_non_null(strstr(fixture->body, "\"id\":5,"));
	ask(fixture, "GET /orders?limit=2&before=5", NULL, NULL, NULL);
	assert_non_null(strstr(fixture->body, "\"next\":3,"));
	assert_true(strstr(fixture->body, "\"id\":4,") < strstr(fixture->body, "\"id\":3,"));
	ask(fixture, "GET /orders?before=2", NULL, NULL, NULL);
	assert_non_null(strstr(fixture->body, "\"id\":1,"));
	assert_null(strstr(fixture->body, "\"next\""));
	assert_int_equal(ask(fixture, "GET /orders?before=2&after=1", NULL, NULL, NULL), 400);
	assert_int_equal(ask(fixture, "GET /orders/6", NULL, NULL, NULL), 404);
	assert_non_null(strstr(fixture->body, "order_not_found"));
	assert_int_equal(ask(fixture, "GET /orders/x", NULL, NULL, NULL), 400);
}

static void logs_each_decision(void **state)
{
	(void)state;
	ask(fixture, "GET /buy?id=2&quantity=2", NULL, "HTTP_IDEMPOTENCY_KEY=k1", NULL);
	ask(fixture, "GET /buy?id=2&quantity=2", NULL, "HTTP_IDEMPOTENCY_KEY=k1", NULL);
	ask(fixture, "GET /buy?id=2", NULL, "HTTP_IDEMPOTENCY_KEY=k2", NULL);
	ask(fixture, "GET /buy?id=2", NULL, "HTTP_IDEMPOTENCY_KEY=k1", NULL);
	ask(fixture, "GET /buy?id=x", NULL, "HTTP_IDEMPOTENCY_KEY=k3", NULL);
	char *text = temporary_folder_read(fixture->worker.transactions.path);
	static const char *const LINES[] = { " key=k1 item=2 quantity=2 result=ok order=1 repeated=no trace=-\n",
		" key=k1 item=2 quantity=2 result=ok order=1 repeated=yes trace=-\n", " key=k2 item=2 quantity=1 result=sold_out order=- repeated=no trace=-\n",
		" key=k1 item=2 quantity=1 result=key_reused order=- repeated=no trace=-\n" };
	const char *at = text;
	for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++) {
		assert_int_equal(at[4], '-');
		assert_int_equal(at[23], 'Z');
		assert_memory_equal(at + 24, LINES[i], strlen(LINES[i]));
		at += 24 + strlen(LINES[i]);
	}
	assert_string_equal(at, "");
	free(text);
}

static void refuses_writes_when_stopping(void **state)
{
	(void)state;
	replica_stop_proposals(atomic_load(&fixture->worker.replica));
	assert_int_equal(ask(fixture, "GET /buy?id=1", NULL, NULL, NULL), 503);
	assert_non_null(strstr(fixture->body, "\"code\":\"stopping\""));
	assert_true(has_header(fixture, "Retry-After: 1"));
	assert_int_equal(ask(fixture, "GET /orders", NULL, NULL, NULL), 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(buys_in_every_way), TEST(refuses_bad_purchases), TEST(tells_why_nothing_was_bought), TEST(repeats_answers_byte_for_byte),
		TEST(adds_orders_of_peers_once), TEST(pages_orders_both_ways), TEST(logs_each_decision), TEST(refuses_writes_when_stopping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
