/* test_writer: growing up to a maximum, and JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/common/writer.h"

static void assert_text(struct writer *writer, const char *text)
{
	assert_false(writer->failed);
	assert_int_equal(writer->len, strlen(text));
	assert_memory_equal(writer->bytes, text, writer->len);
	writer_reset(writer, 0);
}

static void writes_numbers(void **state)
{
	(void)state;
	struct writer writer;
	writer_init(&writer, 10000);
	writer_put_uint(&writer, 0);
	assert_text(&writer, "0");
	writer_put_uint(&writer, UINT64_MAX);
	assert_text(&writer, "18446744073709551615");
	writer_put_int(&writer, INT64_MIN);
	assert_text(&writer, "-9223372036854775808");
	writer_put_money(&writer, 1185);
	assert_text(&writer, "11.85");
	writer_put_money(&writer, 1000);
	assert_text(&writer, "10");
	writer_put_money(&writer, 5);
	assert_text(&writer, "0.05");
	writer_close(&writer);
}

static void escapes_json(void **state)
{
	(void)state;
	struct writer writer;
	writer_init(&writer, 10000);
	writer_put_json_string(&writer, SLICE_LITERAL("a\"b\\c\n\r\t\x01\x1f/\xc3\xbc"));
	assert_text(&writer, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f/\xc3\xbc\"");
	writer_put_json_string(&writer, SLICE_EMPTY);
	assert_text(&writer, "\"\"");
	writer_close(&writer);
}

static void stops_at_its_maximum(void **state)
{
	(void)state;
	struct writer writer;
	writer_init(&writer, 5000);
	for (int i = 0; i < 500; i++)
		writer_put_literal(&writer, "0123456789");
	assert_false(writer.failed);
	assert_int_equal(writer.len, 5000);
	writer_put_literal(&writer, "x");
	assert_true(writer.failed);
	assert_int_equal(writer.len, 5000);
	writer_reset(&writer, 16);
	assert_false(writer.failed);
	assert_int_equal(writer.len, 16);
	writer_printf(&writer, "%0600d", 1);
	assert_true(writer.failed);
	writer_close(&writer);
}

static void gives_back_unusual_sizes(void **state)
{
	(void)state;
	struct writer writer;
	writer_init(&writer, 1 << 20);
	for (int i = 0; i < 100000; i++)
		writer_put_literal(&writer, "0123456789");
	assert_false(writer.failed);
	writer_reset(&writer, 1024);
	assert_true(writer.size <= 64 * 1024);
	writer_close(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_numbers), cmocka_unit_test(escapes_json), cmocka_unit_test(stops_at_its_maximum),
		cmocka_unit_test(gives_back_unusual_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
