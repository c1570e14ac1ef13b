/* diagnostics: one line per call, whatever is in it. Standard error is a pipe to the test meanwhile. */
#include "tests/unit/support.h"

#include <fcntl.h>

#include "db/diagnostics.h"

struct capture {
	int pipe[2];
	int old;
	char text[65536];
};

static void capture_begin(struct capture *capture)
{
	assert_int_equal(pipe2(capture->pipe, O_NONBLOCK), 0);
	capture->old = dup(STDERR_FILENO);
	assert_true(capture->old >= 0);
	assert_true(dup2(capture->pipe[1], STDERR_FILENO) >= 0);
}

static const char *capture_end(struct capture *capture)
{
	ssize_t len = read(capture->pipe[0], capture->text, sizeof capture->text - 1);
	capture->text[len > 0 ? len : 0] = '\0';
	dup2(capture->old, STDERR_FILENO);
	close(capture->old);
	close(capture->pipe[0]);
	close(capture->pipe[1]);
	return capture->text;
}

static void test_a_line(void **state)
{
	(void)state;
	struct capture capture;
	capture_begin(&capture);
	diagnose_warning("%s has %d", "something", 3);
	const char *line = capture_end(&capture);
	int year, month, day, hour, minute, second, ms, end = 0;
	assert_int_equal(strlen("2026-01-31T12:00:00.123Z"), strcspn(line, " "));
	assert_string_equal(line + 24, " warning test: something has 3\n");
	year = (int)strtol(line, NULL, 10), month = (int)strtol(line + 5, NULL, 10), day = (int)strtol(line + 8, NULL, 10);
	hour = (int)strtol(line + 11, NULL, 10), minute = (int)strtol(line + 14, NULL, 10), second = (int)strtol(line + 17, NULL, 10);
	ms = (int)strtol(line + 20, NULL, 10), end = line[23];
	assert_true(year >= 2024 && month >= 1 && month <= 12 && day >= 1 && day <= 31);
	assert_true(hour < 24 && minute < 60 && second <= 60 && ms < 1000 && end == 'Z');
}

static void test_levels(void **state)
{
	(void)state;
	struct capture capture;
	capture_begin(&capture);
	diagnose_debug("debug");
	diagnose_info("info");
	diagnose_error("error");
	const char *text = capture_end(&capture);
	assert_null(strstr(text, "debug"));
	assert_non_null(strstr(text, " info test: info\n"));
	assert_non_null(strstr(text, " error test: error\n"));
}

static void test_control_characters_forge_no_line(void **state)
{
	(void)state;
	struct capture capture;
	char all[34];
	for (int c = 1; c <= 32; c++)
		all[c - 1] = (char)c;
	all[32] = 0x7f;
	all[33] = '\0';
	capture_begin(&capture);
	diagnose_error("<%s> \xc3\xa4", all);
	const char *text = capture_end(&capture);
	assert_non_null(strstr(text, ": <??????????????????????????????? ?> \xc3\xa4\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_long_lines_are_cut(void **state)
{
	(void)state;
	struct capture capture;
	char *text = calloc(1, 20000);
	assert_non_null(text);
	for (size_t len = DIAGNOSTICS_LINE_MAX - 100; len < DIAGNOSTICS_LINE_MAX + 100; len++) {
		memset(text, 'x', len);
		capture_begin(&capture);
		diagnose_error("%s", text);
		const char *line = capture_end(&capture);
		size_t line_len = strlen(line);
		assert_true(line_len <= DIAGNOSTICS_LINE_MAX);
		assert_int_equal(line[line_len - 1], '\n');
		bool whole = strstr(line, text) != NULL, cut = strstr(line, " [cut]\n") != NULL;
		assert_int_equal(whole, !cut);
		if (cut)
			assert_int_equal(line_len, DIAGNOSTICS_LINE_MAX);
	}
	memset(text, 'y', 19999);
	capture_begin(&capture);
	diagnose_error("%s", text);
	assert_int_equal(strlen(capture_end(&capture)), DIAGNOSTICS_LINE_MAX);
	free(text);
}

static void test_a_long_name(void **state)
{
	(void)state;
	static char name[1000];
	struct capture capture;
	memset(name, 'n', sizeof name - 1);
	diagnostics_init(name, DIAGNOSTICS_INFO);
	capture_begin(&capture);
	diagnose_error("the text");
	const char *line = capture_end(&capture);
	assert_non_null(strstr(line, "the text\n"));
	assert_true(strlen(line) <= DIAGNOSTICS_LINE_MAX);
	diagnostics_init("test", DIAGNOSTICS_INFO);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_INFO);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_control_characters_forge_no_line),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_a_long_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
