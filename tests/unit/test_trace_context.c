/* trace_context: which traceparent headers are valid, and what is sent on. */
#include "tests/unit/support.h"

#include "nginx/trace_context.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static bool read_header(const char *header, struct trace_context *context)
{
	/* A copy of just that length: reading past it is found by the sanitizer. */
	size_t len = strlen(header);
	char *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, header, len);
	bool valid = trace_context_read((struct slice){ copy, len }, context);
	if (valid)
		assert_memory_equal(context->trace_id.ptr, TRACE, TRACE_ID_LEN);
	free(copy);
	return valid;
}

static void test_valid(void **state)
{
	struct trace_context context;
	(void)state;
	assert_true(read_header("00-" TRACE "-" PARENT "-00", &context));
	assert_false(context.sampled);
	assert_true(read_header("00-" TRACE "-" PARENT "-01", &context));
	assert_true(context.sampled);
	assert_int_equal(context.trace_id.len, TRACE_ID_LEN);
	assert_true(read_header("00-" TRACE "-" PARENT "-fe", &context));
	assert_false(context.sampled);
	/* Later versions may say more. */
	assert_true(read_header("01-" TRACE "-" PARENT "-01", &context));
	assert_true(read_header("cc-" TRACE "-" PARENT "-01-what-the-future-will-be-like", &context));
}

static void test_invalid(void **state)
{
	static const char *const HEADERS[] = {
		"", "00", "00-" TRACE "-" PARENT, "00-" TRACE "-" PARENT "-0", "00-" TRACE "-" PARENT "-01-more", "00-" TRACE "-" PARENT "-01 ",
		"ff-" TRACE "-" PARENT "-01", "01-" TRACE "-" PARENT "-01more", "0g-" TRACE "-" PARENT "-01", "00-" TRACE "-" PARENT "-0x",
		"00_" TRACE "-" PARENT "-01", "00-" TRACE "_" PARENT "-01", "00-" TRACE "-" PARENT "_01",
		"00-00000000000000000000000000000000-" PARENT "-01", "00-" TRACE "-0000000000000000-01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", "00-4bf92f3577b34da6a3ce929d0e0e473\"-" PARENT "-01",
		"00-" TRACE "-" PARENT "-01, 00-" TRACE "-" PARENT "-01",
	};
	struct trace_context context;
	(void)state;
	for (size_t i = 0; i < sizeof HEADERS / sizeof HEADERS[0]; i++)
		assert_false(read_header(HEADERS[i], &context));
}

static void test_sent_on(void **state)
{
	char header[TRACE_PARENT_LEN];
	struct trace_context context;
	(void)state;
	trace_context_write(SLICE_LITERAL(TRACE), SLICE_LITERAL("0123456789abcdef0123456789abcdef"), true, header);
	assert_memory_equal(header, "00-" TRACE "-0123456789abcdef-01", TRACE_PARENT_LEN);
	assert_true(trace_context_read((struct slice){ header, sizeof header }, &context));
	assert_true(context.sampled);
	trace_context_write(SLICE_LITERAL(TRACE), SLICE_LITERAL("0123456789abcdef"), false, header);
	assert_memory_equal(header + TRACE_PARENT_LEN - 3, "-00", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_sent_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
