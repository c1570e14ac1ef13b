/*
 * table: measures while cells are added, writes when flushed.
 */
#include "client/pygmy/table.h"

#include <inttypes.h>
#include <string.h>

#include "client/pygmy/safe_text.h"

#define TABLE_CELLS_MAX_BYTES (16 * 1024 * 1024)
#define COLUMN_GAP 2

void table_init(struct table *table, FILE *out, const struct table_column *columns, size_t column_count, size_t line_width,
		bool bold_head)
{
	*table = (struct table){ .out = out, .columns = columns, .column_count = column_count, .line_width = line_width,
				 .bold_head = bold_head, .cells = TEXT_INIT(TABLE_CELLS_MAX_BYTES) };
	for (size_t i = 0; i < column_count; i++)
		table->widths[i] = strlen(columns[i].title);
}

void table_close(struct table *table)
{
	text_close(&table->cells);
}

void table_add_bytes(struct table *table, const char *bytes, size_t len)
{
	if (table->cell_count == TABLE_ROWS_MAX * table->column_count && !table_flush(table))
		return;
	size_t start = table->cells.len;
	safe_text_append(&table->cells, bytes, len);
	if (!table->cells.failed) {
		size_t width = safe_text_width(table->cells.bytes + start, table->cells.len - start);
		size_t column = table->cell_count % table->column_count;
		if (width > table->widths[column])
			table->widths[column] = width;
	}
	text_append(&table->cells, "", 1);
	table->cell_count++;
}

void table_add_string(struct table *table, const char *string)
{
	table_add_bytes(table, string, strlen(string));
}

void table_add_integer(struct table *table, int64_t value)
{
	char digits[24];
	(void)snprintf(digits, sizeof(digits), "%" PRId64, value);
	table_add_string(table, digits);
}

/* The width that the flexible column gets so that a row fits into the line. */
static size_t flexible_width(const struct table *table, size_t wanted)
{
	size_t others = COLUMN_GAP * (table->column_count - 1);
	for (size_t i = 0; i < table->column_count; i++)
		others += table->columns[i].flexible ? 0 : table->widths[i];
	if (table->line_width == 0 || others + wanted <= table->line_width)
		return wanted;
	size_t left = table->line_width > others ? table->line_width - others : 0;
	return left < TABLE_FLEXIBLE_MIN_WIDTH ? TABLE_FLEXIBLE_MIN_WIDTH : left;
}

static void write_cell(const struct table *table, size_t column, const char *cell)
{
	size_t width = table->columns[column].flexible ? flexible_width(table, table->widths[column]) : table->widths[column];
	size_t len = strlen(cell);
	size_t used;
	size_t shown = safe_text_prefix(cell, len, width, &used);
	bool cut = shown < len;
	if (cut)
		shown = safe_text_prefix(cell, len, width - 1, &used);
	used += cut ? 1 : 0;
	int padding = width > used ? (int)(width - used) : 0;
	bool last = column + 1 == table->column_count;
	if (table->columns[column].right)
		(void)fprintf(table->out, "%*s", padding, "");
	(void)fwrite(cell, 1, shown, table->out);
	(void)fputs(cut ? "\xE2\x80\xA6" : "", table->out);
	if (!table->columns[column].right && !last)
		(void)fprintf(table->out, "%*s", padding, "");
	(void)fputs(last ? "\n" : "  ", table->out);
}

static void write_head(struct table *table)
{
	(void)fputs(table->bold_head ? "\033[1m" : "", table->out);
	for (size_t i = 0; i < table->column_count; i++)
		write_cell(table, i, table->columns[i].title);
	(void)fputs(table->bold_head ? "\033[0m" : "", table->out);
	table->head_written = true;
}

bool table_flush(struct table *table)
{
	bool done = !table->cells.failed;
	if (done && !table->head_written)
		write_head(table);
	const char *cell = text_borrow(&table->cells);
	for (size_t i = 0; done && i < table->cell_count; i++) {
		write_cell(table, i % table->column_count, cell);
		cell += strlen(cell) + 1;
	}
	text_clear(&table->cells);
	table->cell_count = 0;
	return done;
}
