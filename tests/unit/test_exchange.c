/* test_exchange: envelopes, heads, and answers that can't be made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/limits.h"
#include "fcgi/common/exchange.h"

static struct exchange exchange;
static char *const NO_PARAMS[] = { NULL };
static const struct request_source SOURCE = { .params = NO_PARAMS };

static int open_exchange(void **state)
{
	(void)state;
	exchange_init(&exchange, NULL);
	exchange_begin(&exchange, &SOURCE);
	return 0;
}

static int close_exchange(void **state)
{
	(void)state;
	exchange_close(&exchange);
	return 0;
}

static void assert_finished(const char *expected)
{
	struct slice bytes = exchange_finish(&exchange);
	assert_int_equal(bytes.len, strlen(expected));
	assert_memory_equal(bytes.ptr, expected, bytes.len);
}

#define PLAIN "Cache-Control: no-cache\r\nX-Accel-Expires: 0\r\n"

static void ends_envelopes(void **state)
{
	(void)state;
	writer_put_literal(&exchange.out, "{\"item\":[],");
	exchange_end_success(&exchange, 200, SLICE_EMPTY, 7);
	assert_finished("Status: 200 OK\r\nContent-Type: application/json\r\nContent-Length: 75\r\n" PLAIN "\r\n"
		"{\"item\":[],\"message\":{},\"next\":7,\"status\":\"Success\",\"validation_code\":200}\n");
}

static void makes_errors_of_any_state(void **state)
{
	(void)state;
	writer_put_literal(&exchange.out, "{\"half an ans");
	memcpy(exchange.answer.etag, "0123456789abcdef0123456789abcdef", ETAG_HEX_LEN + 1);
	exchange.answer.cacheable = true;
	exchange.answer.has_changed = true;
	exchange_fail(&exchange, PYGMY_UNAUTHORIZED, "with \"%s\"", "quotes");
	assert_finished("Status: 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 92\r\n" PLAIN
		"WWW-Authenticate: Bearer realm=\"pygmy\"\r\n\r\n"
		"{\"code\":\"unauthorized\",\"message\":\"with \\\"quotes\\\"\",\"status\":\"Failed\",\"validation_code\":401}\n");
}

static void every_error_has_an_answer(void **state)
{
	(void)state;
	for (int value = 1; value < 200; value++) {
		if (!error_is_known(value))
			continue;
		exchange_begin(&exchange, &SOURCE);
		exchange_fail(&exchange, (enum pygmy_error)value, NULL);
		assert_string_not_equal(http_reason(exchange.answer.status), "Unknown");
		json_error_t error;
		struct slice body = exchange_body(&exchange);
		json_t *json = json_loadb(body.ptr, body.len, 0, &error);
		assert_non_null(json);
		assert_string_equal(json_string_value(json_object_get(json, "code")), error_code((enum pygmy_error)value));
		json_decref(json);
		assert_int_equal(exchange.answer.retry_after_s, exchange.answer.status == 503 ? 1 : 0);
	}
}

static void an_answer_that_does_not_fit_is_an_error(void **state)
{
	(void)state;
	for (size_t written = 0; written <= ANSWER_MAX_BYTES; written += 256)
		writer_printf(&exchange.out, "%0256d", 0);
	exchange.answer.status = 200;
	struct slice bytes = exchange_finish(&exchange);
	assert_true(slice_starts_with(bytes, SLICE_LITERAL("Status: 503 ")));
}

static void a_forgotten_answer_is_an_error(void **state)
{
	(void)state;
	struct slice bytes = exchange_finish(&exchange);
	assert_true(slice_starts_with(bytes, SLICE_LITERAL("Status: 500 ")));
}

static void the_longest_head_fits(void **state)
{
	(void)state;
	char key[REQUEST_KEY_MAX_BYTES];
	memset(key, 'k', sizeof key);
	struct answer *answer = &exchange.answer;
	answer->status = 503;
	answer->has_revision = answer->has_changed = answer->cacheable = answer->challenge = true;
	answer->revision = answer->changed = UINT64_MAX;
	answer->retry_after_s = 1000;
	memcpy(answer->etag, "0123456789abcdef0123456789abcdef", ETAG_HEX_LEN + 1);
	answer->location = SLICE_LITERAL("/item/999999999999999999");
	answer->allow = SLICE_LITERAL("GET, HEAD, POST, PUT, DELETE");
	answer->request_key = (struct slice){ key, sizeof key };
	answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
	struct slice bytes = exchange_finish(&exchange);
	assert_true(bytes.len > 400);
	assert_memory_equal(bytes.ptr + bytes.len - 4, "\r\n\r\n", 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_exchange, close_exchange)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ends_envelopes), TEST(makes_errors_of_any_state), TEST(every_error_has_an_answer),
		TEST(an_answer_that_does_not_fit_is_an_error), TEST(a_forgotten_answer_is_an_error), TEST(the_longest_head_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
