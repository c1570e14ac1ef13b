/* query_string: what is decoded, and everything that is refused instead of guessed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "db/query_string.h"

static struct query_string parsed;

static enum query_string_error parse_bytes(const char *text, size_t len)
{
	/* A copy of exact size, so that reading past the end is seen by ASan. */
	char *copy = malloc(len == 0 ? 1 : len);
	assert_non_null(copy);
	memcpy(copy, text, len);
	enum query_string_error error = query_string_parse((struct slice){ copy, len }, &parsed);
	free(copy);
	return error;
}

static enum query_string_error parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void assert_param(size_t index, const char *name, const char *value)
{
	assert_true(index < parsed.count);
	assert_true(slice_equal(parsed.params[index].name, slice_of(name)));
	assert_true(slice_equal(parsed.params[index].value, slice_of(value)));
}

static void test_splits_and_decodes(void **state)
{
	(void)state;
	assert_int_equal(parse("topic=distributed%20systems&after=7&limit=10"), QUERY_STRING_OK);
	assert_int_equal(parsed.count, 3);
	assert_param(0, "topic", "distributed systems");
	assert_param(1, "after", "7");
	assert_param(2, "limit", "10");

	assert_int_equal(parse("a+b=c+d%2Bd"), QUERY_STRING_OK);
	assert_param(0, "a b", "c d+d");

	assert_int_equal(parse("%61%3d%26=%3D%26%25"), QUERY_STRING_OK);
	assert_int_equal(parsed.count, 1);
	assert_param(0, "a=&", "=&%");

	assert_int_equal(parse("t=%c3%A4%E2%82%ac%F0%9F%90%92"), QUERY_STRING_OK);
	assert_param(0, "t", "ä€🐒");
}

static void test_empty_values(void **state)
{
	(void)state;
	assert_int_equal(parse(""), QUERY_STRING_OK);
	assert_int_equal(parsed.count, 0);
	assert_int_equal(query_string_parse(SLICE_EMPTY, &parsed), QUERY_STRING_OK);
	assert_int_equal(parse("a&b=&c==x"), QUERY_STRING_OK);
	assert_int_equal(parsed.count, 3);
	assert_param(0, "a", "");
	assert_param(1, "b", "");
	assert_param(2, "c", "=x");
}

static void test_repeated_names_are_all_kept(void **state)
{
	(void)state;
	assert_int_equal(parse("id=1&id=2"), QUERY_STRING_OK);
	assert_param(0, "id", "1");
	assert_param(1, "id", "2");
}

static void test_refuses_empty_pairs(void **state)
{
	(void)state;
	static const char *const texts[] = { "&", "&a=1", "a=1&", "a=1&&b=2", "=", "=1", "a=1&=2" };
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(parse(texts[i]), QUERY_STRING_EMPTY_PAIR);
}

static void test_refuses_bad_encoding(void **state)
{
	(void)state;
	static const char *const texts[] = { "a=%", "a=%4", "a=%4g", "a=%g4", "a=%%41", "%=1", "%4=1", "a=%00", "a%00=1",
		                             "a=%+1", "a=%4&b=1" };
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(parse(texts[i]), QUERY_STRING_BAD_ENCODING);
	assert_int_equal(parse_bytes("a=\0b", 4), QUERY_STRING_BAD_ENCODING);
}

static void test_refuses_bad_utf8(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"a=%80", "a=%c0%80", "a=%c1%bf", "a=%c3", "a=%c3x", "%ff=1", "a=%e0%80%80", "a=%ed%a0%80", "a=%e2%82",
		"a=%f0%80%80%80", "a=%f4%90%80%80", "a=%f5%80%80%80", "a=%f0%9f%90", "a=%e2%28%a1",
		"%c3=%a4",      /* a sequence may not straddle name and value */
		"a=%c3&%a4=1"
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_int_equal(parse(texts[i]), QUERY_STRING_BAD_UTF8);
	assert_int_equal(parse_bytes("a=\xff", 3), QUERY_STRING_BAD_UTF8);
}

static void test_accepts_the_edges_of_utf8(void **state)
{
	(void)state;
	static const char *const texts[] = { "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
		                             "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_true(utf8_is_valid(slice_of(texts[i])));
	assert_true(utf8_is_valid(SLICE_EMPTY));
}

static void test_limits(void **state)
{
	(void)state;
	char text[QUERY_STRING_MAX_BYTES + 1];

	memset(text, 'a', sizeof text);
	assert_int_equal(parse_bytes(text, QUERY_STRING_MAX_BYTES), QUERY_STRING_OK);
	assert_int_equal(parsed.params[0].name.len, QUERY_STRING_MAX_BYTES);
	assert_int_equal(parse_bytes(text, QUERY_STRING_MAX_BYTES + 1), QUERY_STRING_TOO_LONG);

	for (size_t i = 1; i < 2 * QUERY_PARAMS_MAX + 2; i += 2)
		text[i] = '&';
	assert_int_equal(parse_bytes(text, 2 * QUERY_PARAMS_MAX - 1), QUERY_STRING_OK);
	assert_int_equal(parsed.count, QUERY_PARAMS_MAX);
	assert_int_equal(parse_bytes(text, 2 * QUERY_PARAMS_MAX + 1), QUERY_STRING_TOO_MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_splits_and_decodes),
		cmocka_unit_test(test_empty_values),
		cmocka_unit_test(test_repeated_names_are_all_kept),
		cmocka_unit_test(test_refuses_empty_pairs),
		cmocka_unit_test(test_refuses_bad_encoding),
		cmocka_unit_test(test_refuses_bad_utf8),
		cmocka_unit_test(test_accepts_the_edges_of_utf8),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
