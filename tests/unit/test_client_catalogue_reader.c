/* catalogue_reader: three formats, any split of the bytes, every mistake with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/pygmy/catalogue_reader.h"
#include "client/pygmy/safe_text.h"
#include "client/pygmy/wait.h"

#define ITEM(id) "{\"id\": " #id ", \"title\": \"T\", \"topic\": \"t\", \"cost\": 1.5, \"count\": 2}"

struct source {
	const char *text;
	size_t len, step;
	int fd;
};

/* Writes text in steps of so many bytes. */
static void *feed(void *context)
{
	struct source *source = context;
	for (size_t at = 0; at < source->len; at += source->step) {
		size_t len = source->len - at < source->step ? source->len - at : source->step;
		if (write(source->fd, source->text + at, len) != (ssize_t)len)
			break;
	}
	(void)close(source->fd);
	return NULL;
}

struct read {
	enum catalogue_read end;
	uint64_t items;
	struct catalogue_entry last;
	char error[CATALOGUE_READER_ERROR_MAX_BYTES];
};

static struct read read_text(const char *text, size_t len, size_t step)
{
	int fds[2];
	pthread_t thread;
	struct catalogue_reader reader;
	struct catalogue_entry entry;
	struct read read = { .items = 0 };
	assert_int_equal(pipe(fds), 0);
	struct source source = { text, len, step, fds[1] };
	assert_int_equal(pthread_create(&thread, NULL, feed, &source), 0);
	assert_true(catalogue_reader_init(&reader, fds[0]));
	while ((read.end = catalogue_reader_next(&reader, &entry)) == CATALOGUE_READ_ITEM) {
		read.items++;
		read.last = entry;
		assert_int_equal(entry.number, read.items);
		assert_memory_equal(entry.json, text + entry.end_offset - entry.json_len, entry.json_len);
	}
	memcpy(read.error, reader.error, sizeof(read.error));
	catalogue_reader_close(&reader);
	(void)close(fds[0]);
	(void)pthread_join(thread, NULL);
	return read;
}

static void check_good(const char *text, uint64_t items)
{
	static const size_t steps[] = { 1, 7, 4096 };
	for (size_t i = 0; i < 3; i++) {
		struct read read = read_text(text, strlen(text), steps[i]);
		assert_int_equal(read.end, CATALOGUE_READ_END);
		assert_int_equal(read.items, items);
	}
}

static void formats_are_read(void **state)
{
	(void)state;
	check_good("[]", 0);
	check_good(" [ ] \n", 0);
	check_good("[" ITEM(1) "]", 1);
	check_good("\xEF\xBB\xBF[\n" ITEM(1) ",\n " ITEM(2) "\r\n]\n", 2);
	check_good("{\"items\":[" ITEM(1) "," ITEM(2) "]}", 2);
	check_good("{ \"items\" : [ ] }", 0);
	check_good(ITEM(1) "\n" ITEM(2) "\n\n" ITEM(3), 3);
	check_good(ITEM(1) ITEM(2), 2);
	check_good("[{\"id\":1,\"title\":\"}{][\\\"\\\\\",\"topic\":\"\\u00e4\",\"cost\":0,\"count\":0}]", 1);
}

static void check_bad(const char *text, size_t len, uint64_t items, const char *part)
{
	for (size_t step = 1; step < 5000; step *= 17) {
		struct read read = read_text(text, len, step);
		assert_int_equal(read.end, CATALOGUE_READ_BROKEN);
		assert_int_equal(read.items, items);
		if (strstr(read.error, part) == NULL)
			fail_msg("\"%s\" is not in \"%s\"", part, read.error);
	}
}

#define CHECK_BAD(text, items, part) check_bad(text, sizeof(text) - 1, items, part)

static void mistakes_have_a_place(void **state)
{
	(void)state;
	CHECK_BAD("", 0, "line 1, byte 0 (item 1): the file ends");
	CHECK_BAD("  \n ", 0, "line 2");
	CHECK_BAD("7", 0, "'7'");
	CHECK_BAD("[", 0, "the file ends where an item");
	CHECK_BAD("[" ITEM(1), 1, "the file ends where a comma or ]");
	CHECK_BAD("[" ITEM(1) ",", 1, "(item 2): the file ends where an item");
	CHECK_BAD("[" ITEM(1) ",]", 1, "']'");
	CHECK_BAD("[\n" ITEM(1) "\n" ITEM(2) "]", 1, "line 3, byte 65 (item 2): there is '{' where a comma");
	CHECK_BAD("[" ITEM(1) "] x", 1, "'x' where the end of the file");
	CHECK_BAD("[{\"id\": 1", 0, "inside of the item");
	CHECK_BAD("[{\"id\": \"}", 0, "inside of the item");
	CHECK_BAD("{\"items\": [" ITEM(1) "]", 1, "where } should be");
	CHECK_BAD("{\"items\": 1}", 0, "missing");
	CHECK_BAD("[{\"id\": 01}]", 0, "not well-formed JSON");
	CHECK_BAD("[\n\n{\"id\": 1,\n \"id\": 2}]", 0, "line 4");
	CHECK_BAD("[{\"id\": 1, \"title\": \"\xFF\"}]", 0, "not well-formed JSON");
	CHECK_BAD("[{\"id\": 1, \"title\": \"a\0b\"}]", 0, "not well-formed JSON");
	CHECK_BAD("[{}]", 0, "\"id\" is missing");
	CHECK_BAD("[{\"id\":1,\"title\":\"T\",\"topic\":\"t\",\"cost\":1,\"count\":2,\"x\":3}]", 0, "other than");
	CHECK_BAD("[{\"id\":0,\"title\":\"T\",\"topic\":\"t\",\"cost\":1,\"count\":2}]", 0, "\"id\" is not");
	CHECK_BAD("[{\"id\":1,\"title\":\"T\\u0007\",\"topic\":\"t\",\"cost\":1,\"count\":2}]", 0, "control character");
	CHECK_BAD("[{\"id\":1,\"title\":\"T\",\"topic\":\"t\\u007f\",\"cost\":1,\"count\":2}]", 0, "control character");
	CHECK_BAD("[\033]", 0, "0x1B");
	CHECK_BAD("[[]]", 0, "'['");
}

static void long_items_are_refused(void **state)
{
	(void)state;
	size_t len = CATALOGUE_READER_ITEM_MAX_BYTES + 100;
	char *text = malloc(len);
	assert_non_null(text);
	memset(text, ' ', len);
	memcpy(text, "[{", 2);
	struct read read = read_text(text, len, 4096);
	assert_int_equal(read.end, CATALOGUE_READ_BROKEN);
	assert_non_null(strstr(read.error, "longer than"));
	free(text);
}

/* More than the buffer, with items across every border. */
static void long_files_stream(void **state)
{
	static const char item[] = "{\"id\": 12345, \"title\": \"a title of some length\", \"topic\": \"t\", \"cost\": 1, \"count\": 2},\n";
	const size_t count = 3 * CATALOGUE_READER_BUFFER_BYTES / sizeof(item);
	char *text = malloc(count * sizeof(item) + 2);
	size_t len = 1;
	(void)state;
	assert_non_null(text);
	text[0] = '[';
	for (size_t i = 0; i < count; i++, len += sizeof(item) - 1)
		memcpy(text + len, item, sizeof(item) - 1);
	text[len - 2] = ' ';
	text[len++] = ']';
	struct read read = read_text(text, len, 65536);
	assert_int_equal(read.end, CATALOGUE_READ_END);
	assert_int_equal(read.items, count);
	assert_int_equal(read.last.line, count);
	free(text);
}

static void reading_errors_are_told(void **state)
{
	struct catalogue_reader reader;
	struct catalogue_entry entry;
	int fd = open("/", O_RDONLY | O_DIRECTORY);
	(void)state;
	assert_true(fd >= 0);
	assert_true(catalogue_reader_init(&reader, fd));
	assert_int_equal(catalogue_reader_next(&reader, &entry), CATALOGUE_READ_FAILED);
	assert_non_null(strstr(reader.error, "can't read on at byte 0"));
	catalogue_reader_close(&reader);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_are_read), cmocka_unit_test(mistakes_have_a_place), cmocka_unit_test(long_items_are_refused),
		cmocka_unit_test(long_files_stream), cmocka_unit_test(reading_errors_are_told),
	};
	safe_text_init();
	wait_init();   /* the feeding thread may find the pipe closed */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
