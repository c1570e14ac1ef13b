/* buffer and line_buffer: maxima, pieces of every size, and nothing lost or invented between them. */
#include "tests/unit/support.h"

#include "db/buffer.h"
#include "db/line_buffer.h"

static void test_a_buffer_has_a_maximum(void **state)
{
	(void)state;
	struct buffer buffer = buffer_of(10);
	assert_true(buffer_append_text(&buffer, "12345"));
	assert_true(buffer_append(&buffer, SLICE_EMPTY));
	assert_true(buffer_append_text(&buffer, "67890"));
	assert_false(buffer_append_text(&buffer, "x"));
	assert_true(buffer.failed);
	assert_false(buffer_append(&buffer, SLICE_EMPTY));
	assert_true(slice_equal(buffer_borrow(&buffer), SLICE_LITERAL("1234567890")));
	buffer_clear(&buffer);
	assert_true(buffer_append_base64(&buffer, SLICE_LITERAL("abc")));
	assert_true(slice_equal(buffer_borrow(&buffer), SLICE_LITERAL("YWJj")));
	assert_false(buffer_append_base64(&buffer, SLICE_LITERAL("abcdef")));
	buffer_clear(&buffer);
	assert_false(buffer_append_base64(&buffer, (struct slice){ "", SIZE_MAX }));
	buffer_close(&buffer);
	assert_null(buffer.bytes);
	assert_true(buffer_append_base64(&buffer, SLICE_EMPTY));
	assert_int_equal(buffer.len, 0);
	buffer_close(&buffer);
}

static void test_large_memory_is_given_back(void **state)
{
	(void)state;
	struct buffer buffer = buffer_of((size_t)8 * 1024 * 1024);
	assert_non_null(buffer_reserve(&buffer, (size_t)4 * 1024 * 1024));
	buffer_clear(&buffer);
	assert_int_equal(buffer.capacity, 0);
	assert_non_null(buffer_reserve(&buffer, 2000));
	buffer_clear(&buffer);
	assert_int_equal(buffer.capacity, 2048);
	buffer_close(&buffer);
}

static void test_lines(void **state)
{
	(void)state;
	struct line_buffer lines = line_buffer_of(100, 50);
	struct slice line;
	assert_false(line_buffer_take(&lines, &line));
	assert_int_equal(line_buffer_rest(&lines).len, 0);
	assert_true(line_buffer_add(&lines, SLICE_LITERAL("one\n\ntwo\nthr")));
	assert_true(line_buffer_has_line(&lines));
	assert_true(line_buffer_take(&lines, &line) && slice_equal(line, SLICE_LITERAL("one")));
	assert_true(line_buffer_take(&lines, &line) && slice_equal(line, SLICE_EMPTY));
	assert_true(line_buffer_take(&lines, &line) && slice_equal(line, SLICE_LITERAL("two")));
	assert_false(line_buffer_take(&lines, &line));
	assert_true(slice_equal(line_buffer_rest(&lines), SLICE_LITERAL("thr")));
	assert_true(line_buffer_add(&lines, SLICE_LITERAL("ee\n")));
	assert_true(line_buffer_take(&lines, &line) && slice_equal(line, SLICE_LITERAL("three")));
	assert_false(line_buffer_has_line(&lines));
	line_buffer_close(&lines);
}

static void test_the_longest_line(void **state)
{
	(void)state;
	struct line_buffer lines = line_buffer_of(8, 16);
	struct slice line;
	assert_true(line_buffer_add(&lines, SLICE_LITERAL("12345678")));
	assert_true(line_buffer_add(&lines, SLICE_LITERAL("\n")));
	assert_true(line_buffer_take(&lines, &line) && line.len == 8);
	assert_true(line_buffer_add(&lines, SLICE_LITERAL("12345678")));
	assert_false(line_buffer_add(&lines, SLICE_LITERAL("9")));
	line_buffer_clear(&lines);
	assert_false(line_buffer_add(&lines, SLICE_LITERAL("123456789\n")));
	line_buffer_clear(&lines);
	/* What the caller should not have added does not fit. */
	assert_true(line_buffer_add(&lines, SLICE_LITERAL("1234567\n12345678")));
	assert_false(line_buffer_add(&lines, SLICE_LITERAL("1234567890123456")));
	line_buffer_close(&lines);
}

/* A random text in random pieces: the same lines come out, whenever they are taken. */
static void test_any_pieces(void **state)
{
	(void)state;
	uint64_t seed = test_seed("pieces");
	for (int round = 0; round < 300; round++) {
		char text[2000], taken[2001];
		size_t len = 0, at = 0;
		struct line_buffer lines = line_buffer_of(sizeof text, sizeof text);
		struct slice line;
		for (size_t i = 0; i < sizeof text; i++)
			text[i] = test_random_in(&seed, 0, 20) == 0 ? '\n' : 'x';
		text[sizeof text - 1] = '\n';
		while (at < sizeof text) {
			size_t piece = (size_t)test_random_in(&seed, 0, 200);
			piece = piece < sizeof text - at ? piece : sizeof text - at;
			assert_true(line_buffer_add(&lines, (struct slice){ text + at, piece }));
			at += piece;
			while ((at == sizeof text || test_random_in(&seed, 0, 2) > 0) && line_buffer_take(&lines, &line)) {
				memcpy(taken + len, line.ptr, line.len);
				len += line.len;
				taken[len++] = '\n';
			}
		}
		assert_int_equal(len, sizeof text);
		assert_memory_equal(taken, text, len);
		line_buffer_close(&lines);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_buffer_has_a_maximum), cmocka_unit_test(test_large_memory_is_given_back), cmocka_unit_test(test_lines),
		cmocka_unit_test(test_the_longest_line),       cmocka_unit_test(test_any_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
