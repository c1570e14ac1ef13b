/*
 * table: rows of cells as aligned columns.
 *
 * Rows are kept until table_flush (or TABLE_ROWS_MAX of them) and then written; a long list is several flushes with
 * one head and columns that never get narrower. On a terminal the flexible column is cut so that a row is one line. Cells are made safe
 * for a terminal here.
 */
#ifndef PYGMY_CLIENT_TABLE_H
#define PYGMY_CLIENT_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/pygmy/text.h"

#define TABLE_COLUMNS_MAX 10
#define TABLE_ROWS_MAX 1000
#define TABLE_FLEXIBLE_MIN_WIDTH 12

struct table_column {
	const char *title;
	bool right;                   /* aligned to the right: numbers */
	bool flexible;                /* may be cut to fit the terminal; at most one column */
};

struct table {
	FILE *out;
	const struct table_column *columns;   /* the caller's, while the table lives */
	size_t column_count;
	size_t line_width;            /* columns of the terminal, 0: no limit */
	bool bold_head;
	bool head_written;
	size_t widths[TABLE_COLUMNS_MAX];
	struct text cells;            /* NUL-terminated safe texts, one after the other */
	size_t cell_count;
};

void table_init(struct table *table, FILE *out, const struct table_column *columns, size_t column_count, size_t line_width,
		bool bold_head);
void table_close(struct table *table);

/* The next cell, left to right; rows end by themselves. Errors are told by table_flush. */
void table_add_string(struct table *table, const char *string);
void table_add_bytes(struct table *table, const char *bytes, size_t len);
void table_add_integer(struct table *table, int64_t value);

/* Writes what was added. Errors: false without memory (the rows are lost); writing errors are out's. */
bool table_flush(struct table *table);

#endif
