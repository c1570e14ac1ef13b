/* table: alignment, pages under one head, rows cut to the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/pygmy/safe_text.h"
#include "client/pygmy/table.h"

static const struct table_column columns[] = {
	{ .title = "ID", .right = true },
	{ .title = "TITLE", .flexible = true },
	{ .title = "COST", .right = true },
};

struct shown {
	FILE *stream;
	char *text;
	size_t len;
	struct table table;
};

static void begin(struct shown *shown, size_t line_width, bool bold)
{
	shown->stream = open_memstream(&shown->text, &shown->len);
	assert_non_null(shown->stream);
	table_init(&shown->table, shown->stream, columns, 3, line_width, bold);
}

static void add(struct shown *shown, int64_t id, const char *title, const char *cost)
{
	table_add_integer(&shown->table, id);
	table_add_string(&shown->table, title);
	table_add_string(&shown->table, cost);
}

static void end(struct shown *shown, const char *expected)
{
	assert_true(table_flush(&shown->table));
	table_close(&shown->table);
	assert_int_equal(fclose(shown->stream), 0);
	assert_string_equal(shown->text, expected);
	free(shown->text);
}

static void columns_are_aligned(void **state)
{
	struct shown shown;
	(void)state;
	begin(&shown, 0, false);
	add(&shown, 1, "Xen \xE7\xB5\xB1", "10.00");
	add(&shown, 1000, "RPCs for Dummies", "9.00");
	end(&shown, "  ID  TITLE              COST\n"
		    "   1  Xen \xE7\xB5\xB1            10.00\n"
		    "1000  RPCs for Dummies   9.00\n");
}

static void pages_share_a_head(void **state)
{
	struct shown shown;
	(void)state;
	begin(&shown, 0, true);
	add(&shown, 1, "long title", "1");
	assert_true(table_flush(&shown.table));
	add(&shown, 2, "short", "2");
	end(&shown, "\033[1mID  TITLE       COST\n\033[0m 1  long title     1\n 2  short          2\n");
}

static void long_rows_are_cut(void **state)
{
	struct shown shown;
	(void)state;
	begin(&shown, 22, false);
	add(&shown, 1, "a title that is too long", "1");
	end(&shown, "ID  TITLE         COST\n 1  a title tha\xE2\x80\xA6     1\n");
}

static void cells_are_safe(void **state)
{
	struct shown shown;
	(void)state;
	begin(&shown, 0, false);
	table_add_integer(&shown.table, 1);
	table_add_bytes(&shown.table, "a\0b\033", 4);
	table_add_string(&shown.table, "");
	end(&shown, "ID  TITLE       COST\n 1  a\\x00b\\x1B      \n");
}

static void an_empty_table_is_a_head(void **state)
{
	struct shown shown;
	(void)state;
	begin(&shown, 0, false);
	end(&shown, "ID  TITLE  COST\n");
}

static void many_rows_are_written_in_between(void **state)
{
	struct shown shown;
	size_t lines = 0;
	(void)state;
	begin(&shown, 0, false);
	for (int64_t i = 1; i <= TABLE_ROWS_MAX + 5; i++)
		add(&shown, i, "t", "1");
	assert_int_equal(shown.table.cell_count, 15);
	assert_true(table_flush(&shown.table));
	table_close(&shown.table);
	(void)fclose(shown.stream);
	for (const char *at = shown.text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, TABLE_ROWS_MAX + 6);
	free(shown.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_aligned),     cmocka_unit_test(pages_share_a_head),
		cmocka_unit_test(long_rows_are_cut),       cmocka_unit_test(cells_are_safe),
		cmocka_unit_test(an_empty_table_is_a_head), cmocka_unit_test(many_rows_are_written_in_between),
	};
	safe_text_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
