/* out_file: whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/pygmy/out_file.h"

static char folder[64];
static char path[128];
static char link_path[128];

static int begin(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/pygmy-test-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/file", folder);
	(void)snprintf(link_path, sizeof(link_path), "%s/link", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(link_path);
	return rmdir(folder);
}

static size_t files_in_folder(void)
{
	size_t count = 0;
	DIR *stream = opendir(folder);
	assert_non_null(stream);
	while (readdir(stream) != NULL)
		count++;
	(void)closedir(stream);
	return count - 2;
}

static void check_content(const char *expected)
{
	char content[32] = "";
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t len = fread(content, 1, sizeof(content) - 1, file);
	content[len] = '\0';
	(void)fclose(file);
	assert_string_equal(content, expected);
}

static void write_out(const char *where, const char *content)
{
	struct out_file file;
	assert_int_equal(out_file_open(&file, where), 0);
	assert_true(fputs(content, file.stream) >= 0);
	assert_int_equal(out_file_commit(&file), 0);
}

static void a_file_is_replaced_at_the_end(void **state)
{
	struct out_file file;
	struct stat status;
	(void)state;
	write_out(path, "one");
	check_content("one");
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(out_file_open(&file, path), 0);
	assert_true(fputs("two", file.stream) >= 0);
	assert_int_equal(fflush(file.stream), 0);
	check_content("one");
	assert_int_equal(out_file_commit(&file), 0);
	check_content("two");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_int_equal(files_in_folder(), 1);
}

static void an_abandoned_file_leaves_nothing(void **state)
{
	struct out_file file;
	(void)state;
	write_out(path, "one");
	assert_int_equal(out_file_open(&file, path), 0);
	assert_true(fputs("two", file.stream) >= 0);
	out_file_abandon(&file);
	check_content("one");
	assert_int_equal(files_in_folder(), 1);
}

static void links_stay_links(void **state)
{
	struct stat status;
	(void)state;
	write_out(path, "one");
	assert_int_equal(symlink("file", link_path), 0);
	write_out(link_path, "two");
	check_content("two");
	assert_int_equal(lstat(link_path, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
}

static void what_can_not_be_is_told(void **state)
{
	struct out_file file;
	(void)state;
	assert_int_equal(out_file_open(&file, folder), EISDIR);
	assert_int_equal(out_file_open(&file, "/nonexistent/file"), ENOENT);
	assert_int_equal(out_file_open(&file, "/dev/full"), 0);
	assert_true(fputs("x", file.stream) >= 0);
	assert_int_equal(out_file_commit(&file), ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_replaced_at_the_end, begin, end),
		cmocka_unit_test_setup_teardown(an_abandoned_file_leaves_nothing, begin, end),
		cmocka_unit_test_setup_teardown(links_stay_links, begin, end),
		cmocka_unit_test_setup_teardown(what_can_not_be_is_told, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
