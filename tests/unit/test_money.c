/* money: hundredths to text and JSON numbers to hundredths, exactly. */
#include "tests/unit/support.h"

#include "db/money.h"

static void assert_written(int64_t minor, const char *wanted)
{
	char text[MONEY_TEXT_MAX];
	size_t len = money_write(minor, text);
	assert_string_equal(text, wanted);
	assert_int_equal(len, strlen(wanted));
}

static void test_writing(void **state)
{
	(void)state;
	assert_written(0, "0");
	assert_written(1, "0.01");
	assert_written(9, "0.09");
	assert_written(10, "0.1");
	assert_written(29, "0.29");
	assert_written(100, "1");
	assert_written(101, "1.01");
	assert_written(1000, "10");
	assert_written(1050, "10.5");
	assert_written(1185, "11.85");
	assert_written(COST_MAX_MINOR, "1000000000");
	assert_written(COST_MAX_MINOR - 1, "999999999.99");
	/* A total may be as large as the largest cost times the largest quantity. */
	assert_written(COST_MAX_MINOR * QUANTITY_MAX, "1000000000000000");
}

/* -1 when the text is no amount of money. */
static int64_t parse(const char *text)
{
	int64_t minor = -2;
	json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);
	assert_non_null(number);
	bool ok = money_of_json(number, &minor);
	json_decref(number);
	return ok ? minor : -1;
}

static void test_parsing(void **state)
{
	(void)state;
	assert_int_equal(parse("0"), 0);
	assert_int_equal(parse("0.0"), 0);
	assert_int_equal(parse("10"), 1000);
	assert_int_equal(parse("10.0"), 1000);
	assert_int_equal(parse("1e1"), 1000);
	assert_int_equal(parse("0.29"), 29);
	assert_int_equal(parse("0.57"), 57);
	assert_int_equal(parse("1.1"), 110);
	assert_int_equal(parse("11.85"), 1185);
	assert_int_equal(parse("4.35"), 435);
	assert_int_equal(parse("999999999.99"), COST_MAX_MINOR - 1);
	assert_int_equal(parse("1000000000"), COST_MAX_MINOR);
	assert_int_equal(parse("1000000000.00"), COST_MAX_MINOR);
	assert_int_equal(parse("1e9"), COST_MAX_MINOR);
}

static void test_what_is_no_amount(void **state)
{
	(void)state;
	assert_int_equal(parse("1.005"), -1);
	assert_int_equal(parse("0.001"), -1);
	assert_int_equal(parse("11.855"), -1);
	assert_int_equal(parse("1e-3"), -1);
	assert_int_equal(parse("-1"), -1);
	assert_int_equal(parse("-0.01"), -1);
	assert_int_equal(parse("-0.0"), -1);
	assert_int_equal(parse("1000000001"), -1);
	assert_int_equal(parse("1000000000.01"), -1);
	assert_int_equal(parse("1e10"), -1);
	assert_int_equal(parse("1e300"), -1);
	assert_int_equal(parse("9223372036854775807"), -1);
	assert_int_equal(parse("\"10\""), -1);
	assert_int_equal(parse("true"), -1);
	assert_int_equal(parse("null"), -1);
	assert_int_equal(parse("[10]"), -1);
	int64_t minor;
	assert_false(money_of_json(NULL, &minor));
}

/* Every amount that can be written is read back as the same; each hundredth up to 1000.00, and some near the largest. */
static void test_round_trip(void **state)
{
	(void)state;
	char text[MONEY_TEXT_MAX];
	for (int64_t minor = 0; minor <= 100000; minor++) {
		money_write(minor, text);
		assert_int_equal(parse(text), minor);
	}
	uint64_t seed = test_seed(__func__);
	for (int i = 0; i < 20000; i++) {
		int64_t minor = test_random_in(&seed, 0, COST_MAX_MINOR);
		money_write(minor, text);
		assert_int_equal(parse(text), minor);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writing),
		cmocka_unit_test(test_parsing),
		cmocka_unit_test(test_what_is_no_amount),
		cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
