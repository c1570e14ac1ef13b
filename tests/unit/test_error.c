/* error: values and codes are stable and unique: they are recorded, and clients go by them. */
#include "tests/unit/support.h"

#include "db/error.h"

struct row {
	int value;
	const char *name, *code;
	int http;
	const char *text;
};

static const struct row rows[] = {
#define X(value, name, code, http, text) { (value), #name, (code), (http), (text) },
	PYGMY_ERRORS(X)
#undef X
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static void test_values_and_codes_are_unique(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++)
		for (size_t j = i + 1; j < ROWS; j++) {
			assert_int_not_equal(rows[i].value, rows[j].value);
			assert_string_not_equal(rows[i].code, rows[j].code);
		}
}

/* The code is the name in lower case; the text is a sentence; the status fits to a failure. */
static void test_rows_are_well_formed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		assert_int_equal(strlen(rows[i].name), strlen(rows[i].code));
		for (size_t c = 0; rows[i].code[c] != '\0'; c++)
			assert_int_equal(rows[i].code[c], rows[i].name[c] == '_' ? '_' : rows[i].name[c] + 'a' - 'A');
		assert_int_equal(rows[i].text[strlen(rows[i].text) - 1], '.');
		assert_true(rows[i].value == PYGMY_OK ? rows[i].http == 200 : rows[i].http >= 400 && rows[i].http < 600);
	}
}

static void test_lookups(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		assert_true(error_is_known(rows[i].value));
		assert_string_equal(error_code((enum pygmy_error)rows[i].value), rows[i].code);
		assert_string_equal(error_text((enum pygmy_error)rows[i].value), rows[i].text);
		assert_int_equal(error_http_status((enum pygmy_error)rows[i].value), rows[i].http);
	}
}

/* A recorded result may come from a newer version. */
static void test_unknown_values_read_as_internal(void **state)
{
	(void)state;
	static const int unknown[] = { 1, 9, 127 };
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		assert_false(error_is_known(unknown[i]));
		assert_string_equal(error_code((enum pygmy_error)unknown[i]), "internal");
		assert_int_equal(error_http_status((enum pygmy_error)unknown[i]), 500);
	}
	assert_false(error_is_known(-1));
	assert_false(error_is_known(INT32_MAX));
}

/* What apply decides stands in databases: these numbers may never mean something else. */
static void test_recorded_values_stay(void **state)
{
	(void)state;
	assert_int_equal(PYGMY_OK, 0);
	assert_int_equal(PYGMY_ITEM_NOT_FOUND, 10);
	assert_int_equal(PYGMY_SOLD_OUT, 11);
	assert_int_equal(PYGMY_INSUFFICIENT_STOCK, 12);
	assert_int_equal(PYGMY_STOCK_CONFLICT, 13);
	assert_int_equal(PYGMY_PRECONDITION_FAILED, 14);
	assert_int_equal(PYGMY_KEY_REUSED, 15);
	assert_int_equal(PYGMY_KEY_TOO_OLD, 16);
	assert_int_equal(PYGMY_CATALOGUE_NOT_EMPTY, 17);
	assert_int_equal(PYGMY_IDS_EXHAUSTED, 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_and_codes_are_unique),
		cmocka_unit_test(test_rows_are_well_formed),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_unknown_values_read_as_internal),
		cmocka_unit_test(test_recorded_values_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
