/* test_etag: conditional headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/common/etag.h"

#define TAG "0123456789abcdef0123456789abcdef"

static bool names(const char *header)
{
	return if_none_match_names(slice_of(header), TAG);
}

static void if_none_match(void **state)
{
	(void)state;
	assert_true(names("\"" TAG "\""));
	assert_true(names("W/\"" TAG "\""));
	assert_true(names("\"x\" , W/\"y\",\"" TAG "\""));
	assert_true(names("*"));
	assert_true(names(" * "));
	assert_false(names(""));
	assert_false(names("\"x\""));
	assert_false(names(TAG));
	assert_false(names("\"" TAG));
	assert_false(names("\"" TAG "\" \"x\""));
	assert_false(names("\"" TAG "\"x"));
	assert_false(names("w/\"" TAG "\""));
	assert_false(names("*, \"x\""));
	assert_false(names(","));
}

static void if_match_of_reads(void **state)
{
	(void)state;
	static const char *const FIT[] = { "*", "\"" TAG "\"", "\"x\", \"" TAG "\"" };
	static const char *const DO_NOT_FIT[] = { "", "\"x\"", "W/\"" TAG "\"", TAG, "\"" TAG "\", x" };
	assert_true(if_match_allows(SLICE_EMPTY, TAG));
	for (size_t i = 0; i < sizeof FIT / sizeof FIT[0]; i++)
		assert_true(if_match_allows(slice_of(FIT[i]), TAG));
	for (size_t i = 0; i < sizeof DO_NOT_FIT / sizeof DO_NOT_FIT[0]; i++)
		assert_false(if_match_allows(slice_of(DO_NOT_FIT[i]), TAG));
}

static void if_match(void **state)
{
	(void)state;
	struct refusal refusal;
	struct slice tag;
	assert_true(if_match_parse(SLICE_EMPTY, &tag, &refusal));
	assert_int_equal(tag.len, 0);
	assert_true(if_match_parse(SLICE_LITERAL(" \"" TAG "\" "), &tag, &refusal));
	assert_true(slice_equal(tag, SLICE_LITERAL(TAG)));
	assert_true(if_match_parse(SLICE_LITERAL("*"), &tag, &refusal));
	assert_true(slice_equal(tag, SLICE_LITERAL("*")));
	static const char *const NEVER[] = { "W/\"" TAG "\"", "\"x\"", "\"\"", "\"0123456789ABCDEF0123456789ABCDEF\"" };
	for (size_t i = 0; i < sizeof NEVER / sizeof NEVER[0]; i++) {
		assert_false(if_match_parse(slice_of(NEVER[i]), &tag, &refusal));
		assert_int_equal(refusal.error, PYGMY_PRECONDITION_FAILED);
	}
	static const char *const MALFORMED[] = { "", TAG, "\"" TAG, "\"" TAG "\", \"x\"", "\"" TAG "\"x", "\"", "W/" };
	for (size_t i = 0; i < sizeof MALFORMED / sizeof MALFORMED[0]; i++) {
		assert_false(if_match_parse(slice_of(MALFORMED[i]), &tag, &refusal));
		assert_int_equal(refusal.error, PYGMY_INVALID_HEADER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(if_none_match), cmocka_unit_test(if_match_of_reads),
		cmocka_unit_test(if_match) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
