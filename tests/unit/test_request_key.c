/* request_key: which keys are taken, how they are scoped, and which are kept for ever. */
#include "tests/unit/support.h"

#include "db/request_key.h"

static bool is_valid(const char *text)
{
	return request_key_is_valid(slice_of(text));
}

static void test_valid_keys(void **state)
{
	(void)state;
	assert_true(is_valid("a"));
	assert_true(is_valid("8d2f-ABC_xyz.09:1"));
	assert_false(is_valid(""));
	assert_false(request_key_is_valid(SLICE_EMPTY));
	for (int c = 0; c < 256; c++) {
		char key[] = { 'a', (char)c, 'z' };
		bool allowed = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-", c) != NULL && c != '\0';
		assert_int_equal(request_key_is_valid((struct slice){ key, sizeof key }), allowed);
	}
}

static void test_the_longest_key(void **state)
{
	(void)state;
	char key[REQUEST_KEY_MAX_BYTES + 2];
	memset(key, 'k', sizeof key);
	assert_true(request_key_is_valid((struct slice){ key, REQUEST_KEY_MAX_BYTES }));
	assert_false(request_key_is_valid((struct slice){ key, REQUEST_KEY_MAX_BYTES + 1 }));
}

static void test_scope(void **state)
{
	(void)state;
	struct arena arena, none;
	char key[REQUEST_KEY_MAX_BYTES];
	memset(key, 'k', sizeof key);
	arena_init(&arena, 100000);
	arena_init(&none, 0);
	assert_string_equal(request_key_scope(&arena, "buy", 0, SLICE_LITERAL("8d2f")).ptr, "buy/0/8d2f");
	assert_string_equal(request_key_scope(&arena, "item", 17, (struct slice){ "abcdef", 3 }).ptr, "item/17/abc");
	/* The longest key of the largest account still fits, with a route's name of 40 bytes. */
	struct slice longest = request_key_scope(&arena, "a-route-with-a-name-of-just-forty-letters", INT64_MAX, (struct slice){ key, sizeof key });
	assert_true(longest.len <= SCOPED_KEY_MAX_BYTES);
	assert_null(request_key_scope(&none, "buy", 0, SLICE_LITERAL("k")).ptr);
	arena_close(&arena);
}

static bool is_kept(const char *text)
{
	return request_key_is_kept(slice_of(text));
}

#define ID "0123456789abcdef0123456789abcdef"

static void test_only_keys_of_nginx_are_forgotten(void **state)
{
	(void)state;
	assert_false(is_kept("buy/0/1700000000.123-" ID));
	assert_false(is_kept("1/1.000-" ID));
	assert_true(is_kept("buy/0/my-key"));
	assert_true(is_kept("buy/0/1700000000.12-" ID));
	assert_true(is_kept("buy/0/1700000000.1234-" ID));
	assert_true(is_kept("buy/0/1700000000123-" ID));
	assert_true(is_kept("buy/0/.123-" ID));
	assert_true(is_kept("buy/0/1700000000.123-" ID "0"));
	assert_true(is_kept("buy/0/1700000000.123-0123456789ABCDEF0123456789abcdef"));
	assert_true(is_kept("buy/0/1700000000.123-0123456789abcdef0123456789abcde"));
	assert_true(is_kept("buy/0/1700000000.123-" ID "-x"));
	assert_true(is_kept("buy/0/1700000000.123_" ID));
	assert_true(is_kept("buy/0/"));
	assert_true(is_kept("1700000000.123-" ID));   /* without a scope: nothing that a worker proposes */
	assert_true(is_kept(""));
	assert_true(request_key_is_kept(SLICE_EMPTY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid_keys),
		cmocka_unit_test(test_the_longest_key),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_only_keys_of_nginx_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
