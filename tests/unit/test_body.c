/* test_body: JSON bodies, strictly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/limits.h"
#include "fcgi/common/body.h"

enum { COST, COUNT, FLAG, ITEMS, TITLE, FIELDS };

static const struct body_field fields[FIELDS] = {
	[COST] = { .name = "cost", .type = BODY_MONEY },
	[COUNT] = { .name = "count", .type = BODY_INT, .min = -5, .max = 100 },
	[FLAG] = { .name = "flag", .type = BODY_BOOL },
	[ITEMS] = { .name = "items", .type = BODY_LIST },
	[TITLE] = { .name = "title", .type = BODY_TEXT, .required = true, .max = 5 },
};

static struct refusal refusal;
static int64_t number;

/* The error of reading text; number is what the field at index holds. */
static enum pygmy_error read_field(const char *text, int index)
{
	struct body_value values[FIELDS];
	json_t *root = body_parse(slice_of(text), &refusal);
	if (root == NULL)
		return refusal.error;
	bool good = body_read(root, "", fields, FIELDS, values, &refusal);
	if (good) {
		assert_true(values[index].present);
		number = values[index].number;
	}
	json_decref(root);
	return good ? PYGMY_OK : refusal.error;
}

static void refuses_what_is_no_object(void **state)
{
	(void)state;
	static const char *const BAD[] = { "[]", "1", "\"x\"", "null", "{", "{\"title\":\"x\",}", "{\"title\":\"x\"} x", "{'title':'x'}",
		"{\"title\":\"x\",\"title\":\"y\"}", "{\"title\":\"\\u0000\"}", "{\"title\":\"\xff\"}", "{\"title\":\"\xed\xa0\x80\"}",
		"{\"count\":99999999999999999999999}", "{\"cost\":1e999}", "{\"a\\u0000b\":1}", "{\"title\":\"a\nb\"}", "{\"count\":NaN}" };
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
		assert_int_equal(read_field(BAD[i], TITLE), PYGMY_BAD_JSON);
	/* The parser itself would skip a NUL behind a number. */
	static const char NUL[] = "{\"title\":\"x\",\"count\":1\0}";
	assert_null(body_parse((struct slice){ NUL, sizeof NUL - 1 }, &refusal));
	assert_int_equal(refusal.error, PYGMY_BAD_JSON);
	assert_int_equal(read_field("", TITLE), PYGMY_BODY_REQUIRED);
	assert_int_equal(read_field(" \r\n\t", TITLE), PYGMY_BODY_REQUIRED);
}

static void refuses_deep_nesting_before_parsing(void **state)
{
	(void)state;
	char deep[2 * 30000 + 1];
	memset(deep, '[', 30000);
	memset(deep + 30000, ']', 30000);
	deep[60000] = '\0';
	assert_int_equal(read_field(deep, TITLE), PYGMY_BAD_JSON);
	assert_non_null(strstr(refusal.text, "nested"));
	/* Brackets in texts don't count, also behind an escaped quote. */
	assert_int_equal(read_field("{\"title\":\"\\\"[[[[[[[[[[[[\"}", TITLE), PYGMY_INVALID_FIELD);
	assert_int_equal(read_field("{\"title\":\"x\",\"items\":[[[[[[[1]]]]]]]}", ITEMS), PYGMY_OK);
	assert_int_equal(read_field("{\"title\":\"x\",\"items\":[[[[[[[[1]]]]]]]]}", ITEMS), PYGMY_BAD_JSON);
}

static void names_fields(void **state)
{
	(void)state;
	assert_int_equal(read_field("{\"titel\":\"x\"}", TITLE), PYGMY_UNKNOWN_FIELD);
	assert_string_equal(refusal.text, "The field titel is not known here.");
	assert_int_equal(read_field("{\"cost\":1}", TITLE), PYGMY_MISSING_FIELD);
	assert_string_equal(refusal.text, "The field title is missing.");
	assert_int_equal(read_field("{\"title\":null}", TITLE), PYGMY_INVALID_FIELD);
}

static void takes_whole_numbers(void **state)
{
	(void)state;
	assert_int_equal(read_field("{\"title\":\"x\",\"count\":-5}", COUNT), PYGMY_OK);
	assert_int_equal(number, -5);
	assert_int_equal(read_field("{\"title\":\"x\",\"count\":100}", COUNT), PYGMY_OK);
	static const char *const BAD[] = { "101", "-6", "1.0", "1e1", "\"1\"", "true", "[]", "null" };
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		char text[64];
		snprintf(text, sizeof text, "{\"title\":\"x\",\"count\":%s}", BAD[i]);
		assert_int_equal(read_field(text, COUNT), PYGMY_INVALID_FIELD);
	}
}

static void takes_money(void **state)
{
	(void)state;
	static const struct { const char *text; int64_t minor; } GOOD[] = { { "0", 0 }, { "10", 1000 }, { "11.85", 1185 }, { "0.1", 10 },
		{ "0.29", 29 }, { "1.10", 110 }, { "1e2", 10000 }, { "1000000000", COST_MAX_MINOR }, { "999999999.99", COST_MAX_MINOR - 1 } };
	for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
		char text[64];
		snprintf(text, sizeof text, "{\"title\":\"x\",\"cost\":%s}", GOOD[i].text);
		assert_int_equal(read_field(text, COST), PYGMY_OK);
		assert_int_equal(number, GOOD[i].minor);
	}
	static const char *const BAD[] = { "1.005", "0.30000000000000004", "-1", "-0.01", "1000000000.01", "1000000001", "\"1\"", "1e300",
		"0.001" };
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		char text[64];
		snprintf(text, sizeof text, "{\"title\":\"x\",\"cost\":%s}", BAD[i]);
		assert_int_equal(read_field(text, COST), PYGMY_INVALID_FIELD);
	}
}

static void takes_every_amount_of_two_decimals(void **state)
{
	(void)state;
	for (int64_t minor = 0; minor < COST_MAX_MINOR; minor += 1 + minor / 97) {
		char text[96];
		snprintf(text, sizeof text, "{\"title\":\"x\",\"cost\":%lld.%02lld}", (long long)minor / 100, (long long)minor % 100);
		assert_int_equal(read_field(text, COST), PYGMY_OK);
		assert_true(number == minor);
	}
}

static void takes_texts_and_flags(void **state)
{
	(void)state;
	assert_int_equal(read_field("{\"title\":\"\xc3\xbc\xc3\xbc!\"}", TITLE), PYGMY_OK);
	assert_int_equal(read_field("{\"title\":\"\"}", TITLE), PYGMY_INVALID_FIELD);
	assert_int_equal(read_field("{\"title\":\"123456\"}", TITLE), PYGMY_INVALID_FIELD);
	assert_int_equal(read_field("{\"title\":\"a\\nb\"}", TITLE), PYGMY_INVALID_FIELD);
	assert_int_equal(read_field("{\"title\":\"a\\u007f\"}", TITLE), PYGMY_INVALID_FIELD);
	assert_int_equal(read_field("{\"title\":\"x\",\"flag\":true}", FLAG), PYGMY_OK);
	assert_int_equal(number, 1);
	assert_int_equal(read_field("{\"title\":\"x\",\"flag\":0}", FLAG), PYGMY_INVALID_FIELD);
	assert_int_equal(read_field("{\"title\":\"x\",\"items\":{}}", ITEMS), PYGMY_INVALID_FIELD);
}

static void refuses_members_that_are_no_objects(void **state)
{
	(void)state;
	struct body_value values[FIELDS];
	json_t *list = json_array();
	assert_false(body_read(list, "items[3].", fields, FIELDS, values, &refusal));
	assert_string_equal(refusal.text, "items[3] must be an object.");
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_no_object), cmocka_unit_test(refuses_deep_nesting_before_parsing),
		cmocka_unit_test(names_fields), cmocka_unit_test(takes_whole_numbers), cmocka_unit_test(takes_money),
		cmocka_unit_test(takes_every_amount_of_two_decimals), cmocka_unit_test(takes_texts_and_flags),
		cmocka_unit_test(refuses_members_that_are_no_objects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
