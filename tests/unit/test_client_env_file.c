/* env_file: what shell and systemd read alike is read; where they differ there is a problem, not a guess. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "client/pygmy/env_file.h"

/* Parses a copy of exact size, so that reading past the end is seen. */
static struct env_file parse(const char *text, size_t len)
{
	struct env_file file;
	char *copy = malloc(len == 0 ? 1 : len);
	assert_non_null(copy);
	memcpy(copy, text, len);
	assert_true(env_file_parse(copy, len, &file));
	free(copy);
	return file;
}

static void check_value(const char *line, const char *value)
{
	struct env_file file = parse(line, strlen(line));
	const struct env_entry *entry = env_file_find(&file, "A");
	assert_non_null(entry);
	assert_null(entry->problem);
	assert_string_equal(entry->value, value);
	env_file_close(&file);
}

static void check_problem(const char *line, size_t len)
{
	struct env_file file = parse(line, len);
	assert_int_equal(file.count, 1);
	assert_non_null(file.entries[0].problem);
	assert_null(file.entries[0].value);
	env_file_close(&file);
}

static void values_are_read(void **state)
{
	(void)state;
	check_value("A=b", "b");
	check_value("A=", "");
	check_value("A=\n", "");
	check_value("  A=b  \n", "b");
	check_value("A='b c  d'", "b c  d");
	check_value("A='$HOME `x` \"q\" \\'", "$HOME `x` \"q\" \\");
	check_value("A=\"b c\"", "b c");
	check_value("A=\"a\\\"b\\\\c\\$d\\`e\\f\"", "a\"b\\c$d`e\\f");
	check_value("A=\"a\"'b'c", "abc");
	check_value("A=a\\ b", "a b");
	check_value("A=a#b", "a#b");
	check_value("A=/x/y.z:1=2", "/x/y.z:1=2");
	check_value("A=1\nA=2\n", "2");
}

static void differences_are_problems(void **state)
{
	static const char *const lines[] = {
		"A=b c", "A=$HOME", "A=`id`", "A=$(id)", "A=\"$HOME\"", "A=\"`id`\"", "A=a\"b\"", "A=a'b'", "A='b", "A=\"b", "A=b\\",
		"A=b;id", "A=b|id", "A=b&", "A=~", "A=b #c", "A='b' c", "A=b\r", "export A=b", "A", "=b", "1A=b", "A =b", "; a comment",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		check_problem(lines[i], strlen(lines[i]));
	check_problem("A=b\0c", 5);
}

static void comments_and_lines_are_counted(void **state)
{
	(void)state;
	const char *text = "# one\n\n   \n\t# two\nA=1\nB='x\n";
	struct env_file file = parse(text, strlen(text));
	assert_int_equal(file.count, 2);
	assert_int_equal(env_file_find(&file, "A")->line, 5);
	assert_int_equal(env_file_find(&file, "B")->line, 6);
	assert_null(env_file_find(&file, "C"));
	env_file_close(&file);
}

static void too_many_entries_are_refused(void **state)
{
	(void)state;
	struct env_file file;
	char text[(ENV_FILE_ENTRIES_MAX + 1) * 4];
	for (size_t i = 0; i <= ENV_FILE_ENTRIES_MAX; i++)
		memcpy(text + 4 * i, "A=b\n", 4);
	assert_true(env_file_parse(text, sizeof(text) - 4, &file));
	env_file_close(&file);
	assert_false(env_file_parse(text, sizeof(text), &file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(differences_are_problems),
		cmocka_unit_test(comments_and_lines_are_counted),
		cmocka_unit_test(too_many_entries_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
