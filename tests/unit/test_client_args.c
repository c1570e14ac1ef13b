/* args: options in every form; every mistake is a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client/pygmy/args.h"

struct values {
	bool flag;
	const char *string;
	int64_t integer;
	struct args_list list;
};

static struct values values;

static bool parse(struct args *args, bool stop, int argc, const char **argv)
{
	const struct args_option options[] = {
		ARGS_OPTION_FLAG("--flag", &values.flag),
		ARGS_OPTION_STRING("--string", &values.string),
		ARGS_OPTION_INTEGER("--integer", &values.integer, -10, 10),
		ARGS_OPTION_LIST("--list", &values.list),
	};
	const struct args_table table = { options, 4 };
	char *copy[2 * (ARGS_POSITIONALS_MAX + 1)];
	values = (struct values){ .integer = ARGS_NOT_GIVEN };
	for (int i = 0; i < argc; i++)
		copy[i] = (char *)(uintptr_t)argv[i];
	return args_parse(&table, 1, argc, copy, stop, args);
}

#define PARSE(args, stop, ...) \
	parse(args, stop, (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), (const char *[]){ __VA_ARGS__ })

static void options_stand_anywhere(void **state)
{
	struct args args;
	(void)state;
	assert_true(PARSE(&args, false, "a", "--integer", "-5", "b", "--string=x=y", "--flag", "-", "--", "--flag"));
	assert_int_equal(args.positional_count, 4);
	assert_string_equal(args.positionals[0], "a");
	assert_string_equal(args.positionals[2], "-");
	assert_string_equal(args.positionals[3], "--flag");
	assert_int_equal(values.integer, -5);
	assert_string_equal(values.string, "x=y");
	assert_true(values.flag);
}

static void a_list_is_given_several_times(void **state)
{
	struct args args;
	const char *many[2 * (ARGS_POSITIONALS_MAX + 1)];
	(void)state;
	assert_true(PARSE(&args, false, "--list", "a", "x", "--list=b=c", "--flag"));
	assert_int_equal(values.list.count, 2);
	assert_string_equal(values.list.values[0], "a");
	assert_string_equal(values.list.values[1], "b=c");
	assert_int_equal(args.positional_count, 1);
	for (int i = 0; i < ARGS_POSITIONALS_MAX + 1; i++) {
		many[2 * i] = "--list";
		many[2 * i + 1] = "v";
	}
	assert_false(parse(&args, false, 2 * (ARGS_POSITIONALS_MAX + 1), many));
	assert_non_null(strstr(args.error, "--list is given more than"));
	assert_false(PARSE(&args, false, "--list"));
}

static void it_stops_at_the_command(void **state)
{
	struct args args;
	(void)state;
	assert_true(PARSE(&args, true, "--flag", "search", "--unknown"));
	assert_int_equal(args.consumed, 1);
	assert_int_equal(args.positional_count, 0);
}

static void mistakes_are_told(void **state)
{
	struct args args;
	(void)state;
	assert_false(PARSE(&args, false, "--nope"));
	assert_non_null(strstr(args.error, "--nope"));
	assert_false(PARSE(&args, false, "--string"));
	assert_non_null(strstr(args.error, "needs a value"));
	assert_false(PARSE(&args, false, "--flag=1"));
	assert_false(PARSE(&args, false, "--integer", "11"));
	assert_non_null(strstr(args.error, "-10 to 10"));
	assert_false(PARSE(&args, false, "--integer="));
	assert_false(PARSE(&args, false, "--integer", "1", "--integer", "1"));
	assert_non_null(strstr(args.error, "twice"));
	assert_false(PARSE(&args, false, "--string", "", "--string", ""));
	assert_false(PARSE(&args, false, "--str", "a"));
}

static void integers_are_whole(void **state)
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "--1", "9223372036854775808", "99999999999999999999" };
	int64_t value;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(args_parse_integer(bad[i], INT64_MIN, INT64_MAX, &value));
	assert_true(args_parse_integer("9223372036854775807", 0, INT64_MAX, &value));
	assert_true(value == INT64_MAX);
	assert_true(args_parse_integer("-007", -7, 7, &value));
	assert_int_equal(value, -7);
	assert_false(args_parse_integer("8", -7, 7, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_anywhere),
		cmocka_unit_test(a_list_is_given_several_times),
		cmocka_unit_test(it_stops_at_the_command),
		cmocka_unit_test(mistakes_are_told),
		cmocka_unit_test(integers_are_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
