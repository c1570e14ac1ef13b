/* price, catalogue_item and envelope: what is in the store's JSON, and what is not taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client/pygmy/catalogue_item.h"
#include "client/pygmy/envelope.h"
#include "client/pygmy/price.h"
#include "db/limits.h"

static void check_number(const char *json, bool good, int64_t minor)
{
	int64_t out = -1;
	json_t *number = json_loads(json, JSON_DECODE_ANY, NULL);
	assert_non_null(number);
	assert_int_equal(price_from_json(number, &out), good);
	if (good)
		assert_true(out == minor);
	json_decref(number);
}

static void prices_are_exact(void **state)
{
	(void)state;
	check_number("0", true, 0);
	check_number("10", true, 1000);
	check_number("11.85", true, 1185);
	check_number("0.1", true, 10);
	check_number("1e1", true, 1000);
	check_number("999999999.99", true, 99999999999);
	check_number("1000000000", true, COST_MAX_MINOR);
	check_number("1000000000.01", false, 0);
	check_number("1000000001", false, 0);
	check_number("-1", false, 0);
	check_number("-0.01", false, 0);
	check_number("1.234", false, 0);
	check_number("1e300", false, 0);
	check_number("\"1\"", false, 0);
	check_number("null", false, 0);
}

static void every_cent_survives(void **state)
{
	struct text text = TEXT_INIT(32);
	(void)state;
	for (int64_t minor = 0; minor < 100000000000; minor = minor * 3 + 7) {
		int64_t back = -1;
		text_clear(&text);
		price_append_number(&text, minor);
		json_t *number = json_loads(text_borrow(&text), JSON_DECODE_ANY, NULL);
		assert_true(price_from_json(number, &back));
		assert_true(back == minor);
		assert_true(price_parse(text_borrow(&text), &back));
		assert_true(back == minor);
		json_decref(number);
	}
	text_close(&text);
}

static void prices_are_written(void **state)
{
	struct text text = TEXT_INIT(100);
	(void)state;
	price_append_number(&text, 1000);
	price_append_number(&text, 1180);
	price_append_number(&text, 5);
	price_append_amount(&text, 1000);
	assert_string_equal(text_borrow(&text), "1011.80.0510.00");
	text_close(&text);
}

static void typed_prices_are_checked(void **state)
{
	static const char *const bad[] = { "", ".", "1.", ".5", "1.234", "-1", "-0", "1.-5", "1,5", "1e3", " 1", "1000000000.01", "99999999999999999999" };
	int64_t minor;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(price_parse(bad[i], &minor));
	assert_true(price_parse("7.5", &minor));
	assert_int_equal(minor, 750);
	assert_true(price_parse("0.05", &minor));
	assert_int_equal(minor, 5);
}

static bool item_is_good(const char *json, struct catalogue_item *item, json_t **object, char *error)
{
	*object = json_loads(json, 0, NULL);
	assert_non_null(*object);
	return catalogue_item_from_json(*object, item, error);
}

static void items_round_trip(void **state)
{
	static const char json[] = "{\"id\": 999999999999999999, \"title\": \"\\\"\\u0001\xC3\xA4\", \"topic\": \"t\", \"cost\": 11.85, \"count\": 1000000000}";
	struct catalogue_item item;
	struct text text = TEXT_INIT(1000);
	json_t *object;
	char error[CATALOGUE_ITEM_ERROR_MAX_BYTES];
	(void)state;
	assert_true(item_is_good(json, &item, &object, error));
	assert_true(item.id == ID_MAX);
	assert_int_equal(item.cost_minor, 1185);
	assert_true(catalogue_item_append_json(&text, &item));
	assert_string_equal(text_borrow(&text), json);
	text_close(&text);
	json_decref(object);
}

static void wrong_items_are_told(void **state)
{
	static const struct {
		const char *json, *part;
	} cases[] = {
		{ "[]", "object" },
		{ "{\"id\":1,\"title\":\"T\",\"topic\":\"t\",\"cost\":1}", "\"count\" is missing" },
		{ "{\"id\":1.0,\"title\":\"T\",\"topic\":\"t\",\"cost\":1,\"count\":1}", "\"id\"" },
		{ "{\"id\":\"1\",\"title\":\"T\",\"topic\":\"t\",\"cost\":1,\"count\":1}", "\"id\"" },
		{ "{\"id\":1000000000000000000,\"title\":\"T\",\"topic\":\"t\",\"cost\":1,\"count\":1}", "\"id\"" },
		{ "{\"id\":1,\"title\":\"\",\"topic\":\"t\",\"cost\":1,\"count\":1}", "\"title\"" },
		{ "{\"id\":1,\"title\":7,\"topic\":\"t\",\"cost\":1,\"count\":1}", "\"title\"" },
		{ "{\"id\":1,\"title\":\"T\",\"topic\":null,\"cost\":1,\"count\":1}", "\"topic\"" },
		{ "{\"id\":1,\"title\":\"T\",\"topic\":\"t\",\"cost\":-1,\"count\":1}", "\"cost\"" },
		{ "{\"id\":1,\"title\":\"T\",\"topic\":\"t\",\"cost\":1,\"count\":-1}", "\"count\"" },
		{ "{\"id\":1,\"title\":\"T\",\"topic\":\"t\",\"cost\":1,\"count\":1.5}", "\"count\"" },
		{ "{\"id\":1,\"title\":\"T\",\"topic\":\"t\",\"cost\":1,\"count\":1000000001}", "\"count\"" },
	};
	struct catalogue_item item;
	json_t *object;
	char error[CATALOGUE_ITEM_ERROR_MAX_BYTES];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(item_is_good(cases[i].json, &item, &object, error));
		if (strstr(error, cases[i].part) == NULL)
			fail_msg("\"%s\" is not in \"%s\"", cases[i].part, error);
		json_decref(object);
	}
}

static void check_envelope(const char *body, const char *code, const char *message)
{
	struct http_answer answer;
	struct text text = TEXT_INIT(200);
	char out[ENVELOPE_CODE_MAX_BYTES + 1];
	http_answer_init(&answer);
	answer.status = 404;
	assert_true(text_append_string(&answer.body, body));
	assert_int_equal(envelope_code(&answer, out), code != NULL);
	assert_string_equal(out, code == NULL ? "" : code);
	envelope_message(&answer, &text);
	assert_string_equal(text_borrow(&text), message);
	text_close(&text);
	http_answer_close(&answer);
}

static void envelopes_are_read(void **state)
{
	(void)state;
	check_envelope("{\"code\":\"sold_out\",\"message\":\"Sold \\u001b out.\",\"status\":\"Failed\"}", "sold_out", "Sold \\x1B out.");
	check_envelope("{\"code\":\"Bad Code\\u001b\",\"message\":{},\"status\":\"Failed\"}", NULL, "it answered with HTTP status 404");
	check_envelope("{\"code\":\"sold_out\"}", NULL, "it answered with HTTP status 404");
	check_envelope("<html>", NULL, "it answered with HTTP status 404");
	check_envelope("", NULL, "it answered with HTTP status 404");
	json_t *envelope = json_loads("{\"item\":[1,2],\"order\":{},\"next\":7}", 0, NULL);
	assert_int_equal(json_array_size(envelope_list(envelope, "item")), 2);
	assert_null(envelope_list(envelope, "order"));
	assert_null(envelope_list(NULL, "item"));
	assert_int_equal(envelope_next(envelope), 7);
	assert_int_equal(envelope_next(NULL), 0);
	json_decref(envelope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prices_are_exact),         cmocka_unit_test(every_cent_survives), cmocka_unit_test(prices_are_written),
		cmocka_unit_test(typed_prices_are_checked), cmocka_unit_test(items_round_trip),    cmocka_unit_test(wrong_items_are_told),
		cmocka_unit_test(envelopes_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
