/* codec: numbers and texts as bytes, in their shortest form only, and never past an end. */
#include "tests/unit/support.h"

#include "db/codec.h"

static struct slice put_uint(uint64_t value, char buf[VARINT_MAX_BYTES])
{
	struct codec_writer writer = codec_writer(buf, VARINT_MAX_BYTES);
	codec_put_uint(&writer, value);
	assert_true(writer.ok);
	return (struct slice){ buf, writer.len };
}

static void test_unsigned_vectors(void **state)
{
	(void)state;
	static const struct {
		uint64_t value;
		struct slice bytes;
	} vectors[] = {
		{ 0, { "\x00", 1 } }, { 1, { "\x01", 1 } }, { 127, { "\x7f", 1 } }, { 128, { "\x80\x01", 2 } }, { 300, { "\xac\x02", 2 } },
		{ 16383, { "\xff\x7f", 2 } }, { 16384, { "\x80\x80\x01", 3 } },
		{ UINT64_MAX, { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 } },
	};
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		char buf[VARINT_MAX_BYTES];
		assert_true(slice_equal(put_uint(vectors[i].value, buf), vectors[i].bytes));
		struct codec_reader reader = codec_reader(vectors[i].bytes);
		assert_true(codec_get_uint(&reader) == vectors[i].value);
		assert_true(reader.ok);
		assert_int_equal(reader.left, 0);
	}
}

static void test_signed_round_trip(void **state)
{
	(void)state;
	static const int64_t values[] = { 0, -1, 1, -64, 63, 64, -65, INT64_MAX, INT64_MIN, INT64_MIN + 1 };
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		char buf[VARINT_MAX_BYTES];
		struct codec_writer writer = codec_writer(buf, sizeof buf);
		codec_put_int(&writer, values[i]);
		assert_true(writer.ok);
		struct codec_reader reader = codec_reader((struct slice){ buf, writer.len });
		assert_int_equal(codec_get_int(&reader), values[i]);
		assert_true(reader.ok);
	}
	char buf[VARINT_MAX_BYTES];
	struct codec_writer writer = codec_writer(buf, sizeof buf);
	codec_put_int(&writer, -1);
	assert_int_equal(writer.len, 1);
	assert_int_equal(buf[0], 1);
}

static void assert_no_number(const char *bytes, size_t len)
{
	struct codec_reader reader = codec_reader((struct slice){ bytes, len });
	assert_true(codec_get_uint(&reader) == 0);
	assert_false(reader.ok);
	/* Once wrong, always wrong. */
	assert_true(codec_get_uint(&reader) == 0);
	assert_int_equal(codec_get_int(&reader), 0);
	assert_null(codec_get_bytes(&reader, 0).ptr);
	assert_int_equal(codec_get_text(&reader, 10).len, 0);
	assert_false(reader.ok);
}

static void test_numbers_that_are_none(void **state)
{
	(void)state;
	assert_no_number("", 0);
	assert_no_number("\x80", 1);                                                  /* cut off */
	assert_no_number("\x80\x00", 2);                                              /* not the shortest form of 0 */
	assert_no_number("\xff\x80\x00", 3);                                          /* nor of 127 */
	assert_no_number("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);             /* 65 bits */
	assert_no_number("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11);
	assert_no_number("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 13);
}

static void test_ranges(void **state)
{
	(void)state;
	char buf[64];
	struct codec_writer writer = codec_writer(buf, sizeof buf);
	codec_put_int(&writer, -5);
	codec_put_int(&writer, 5);
	codec_put_int(&writer, 6);
	struct codec_reader reader = codec_reader((struct slice){ buf, writer.len });
	assert_int_equal(codec_get_range(&reader, -5, 5), -5);
	assert_int_equal(codec_get_range(&reader, -5, 5), 5);
	assert_true(reader.ok);
	assert_int_equal(codec_get_range(&reader, -5, 5), 0);
	assert_false(reader.ok);
	reader = codec_reader((struct slice){ buf, writer.len });
	assert_int_equal(codec_get_range(&reader, -4, 5), 0);
	assert_false(reader.ok);
}

static void test_texts(void **state)
{
	(void)state;
	char buf[64];
	struct codec_writer writer = codec_writer(buf, sizeof buf);
	codec_put_text(&writer, SLICE_LITERAL("abc"));
	codec_put_text(&writer, SLICE_EMPTY);
	codec_put_text(&writer, SLICE_LITERAL("\0x"));
	assert_int_equal(writer.len, 4 + 1 + 3);
	struct codec_reader reader = codec_reader((struct slice){ buf, writer.len });
	assert_true(slice_equal(codec_get_text(&reader, 3), SLICE_LITERAL("abc")));
	assert_int_equal(codec_get_text(&reader, 3).len, 0);
	assert_true(slice_equal(codec_get_text(&reader, 2), SLICE_LITERAL("\0x")));
	assert_true(reader.ok);
	reader = codec_reader((struct slice){ buf, writer.len });
	assert_null(codec_get_text(&reader, 2).ptr);      /* longer than allowed */
	assert_false(reader.ok);
	reader = codec_reader((struct slice){ buf, 3 });
	assert_null(codec_get_text(&reader, 3).ptr);      /* longer than what is there */
	assert_false(reader.ok);
	reader = codec_reader(SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "abc"));
	assert_null(codec_get_text(&reader, SIZE_MAX).ptr);
	assert_false(reader.ok);
}

static void test_a_full_buffer_is_remembered(void **state)
{
	(void)state;
	char buf[4] = "....";
	struct codec_writer writer = codec_writer(buf, 3);
	codec_put_bytes(&writer, "ab", 2);
	codec_put_bytes(&writer, "cd", 2);
	assert_false(writer.ok);
	assert_int_equal(writer.len, 2);
	codec_put_uint(&writer, 1);
	assert_int_equal(writer.len, 2);
	assert_int_equal(buf[3], '.');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsigned_vectors),
		cmocka_unit_test(test_signed_round_trip),
		cmocka_unit_test(test_numbers_that_are_none),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_a_full_buffer_is_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
