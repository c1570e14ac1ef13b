/* command: the bytes themselves: those that stay for ever, and those without a meaning. */
#include "tests/unit/support.h"

static int setup(void **state)
{
	struct arena *arena = malloc(sizeof *arena);
	assert_non_null(arena);
	arena_init(arena, 1000000);
	*state = arena;
	return 0;
}

static int teardown(void **state)
{
	arena_close(*state);
	free(*state);
	return 0;
}

static enum command_decode_error decode(struct arena *arena, struct slice bytes, struct command *out)
{
	return command_decode(&bytes, arena, out);
}

/* The bytes are written into logs: they may never change. */
static void test_the_wire_format_stays(void **state)
{
	struct arena *arena = *state;
	struct command buy = buy_of("buy/0/k", 3, 2);
	buy.time_ms = 1000;
	buy.base_index = 300;
	struct slice bytes = command_encode(&buy, arena);
	assert_int_equal(bytes.len, 15);
	assert_memory_equal(bytes.ptr, "\x01\x07" "buy/0/k" "\xd0\x0f" "\xac\x02" "\x06\x04", 15);
}

/* Flags that no version gave a meaning, and an If-Match that is there but empty. */
static void test_flags_without_meaning(void **state)
{
	struct arena *arena = *state;
	static const char *const malformed[] = {
		"\x03\x01k\x02\x01\x02\x10",          /* update with an unknown flag */
		"\x03\x01k\x02\x01\x02\x09\x02\x02",  /* update, if-match cut off */
		"\x04\x01k\x02\x01\x02\x01",          /* delete with the flag of an update */
		"\x05\x01k\x02\x01\x02",              /* import: the last part of no first catalogue */
		"\x05\x01k\x02\x01\x04",              /* import with an unknown flag */
	};
	struct command out;
	for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
		struct slice bytes = slice_of(malformed[i]);
		bytes.len++;          /* with the NUL: a length, count or number of 0 */
		assert_int_equal(decode(arena, bytes, &out), COMMAND_MALFORMED);
	}
	assert_int_equal(decode(arena, SLICE_LITERAL("\x04\x01k\x02\x01\x02\x08\x00"), &out), COMMAND_MALFORMED);
	assert_int_equal(decode(arena, SLICE_LITERAL("\x04\x01k\x02\x01\x02\x00"), &out), COMMAND_OK);
}

static void test_unknown_types(void **state)
{
	struct arena *arena = *state;
	struct command out;
	assert_int_equal(decode(arena, SLICE_LITERAL("\x00\x01k\x02\x01\x02\x02"), &out), COMMAND_MALFORMED);
	assert_int_equal(decode(arena, SLICE_LITERAL("\x0d\x01k\x02\x01\x02\x02"), &out), COMMAND_UNKNOWN);
	assert_int_equal(decode(arena, SLICE_LITERAL("\xff\xff\x03"), &out), COMMAND_UNKNOWN);
	assert_int_equal(decode(arena, SLICE_EMPTY, &out), COMMAND_MALFORMED);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_wire_format_stays),
		TEST(test_flags_without_meaning),
		TEST(test_unknown_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
