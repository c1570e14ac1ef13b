/*
 * list: pages through a list of the store and shows it.
 *
 * The store gives at most 1000 rows at once and says with "next" where to go on. One page is one request; with `all` every
 * page is fetched and shown before the next is asked for, so a list of any length takes the memory of a page.
 */
#ifndef PYGMY_CLIENT_LIST_H
#define PYGMY_CLIENT_LIST_H

#include "client/pygmy/client.h"

/* One row's cells into the table. False when the row is not what it should be. */
typedef bool list_add_row(struct table *table, const json_t *row);

struct list {
	const struct settings_urls *urls;
	const char *path;             /* percent-encoded, with or without a query */
	const char *payload;          /* "item" or "order" */
	const char *cursor_name;      /* "after" or "before" */
	int64_t cursor;               /* ARGS_NOT_GIVEN: from the start */
	int64_t limit;                /* rows of a page; ARGS_NOT_GIVEN: the store's default */
	bool all;
	bool reverse;                 /* shows a page's rows from the last to the first */
	bool is_complete;             /* one page is all that was asked for: no word about more */
	const struct table_column *columns;
	size_t column_count;
	list_add_row *add_row;
	const char *empty_text;       /* shown when there is no row */
};

enum outcome list_show(struct client *client, const struct list *list);

/* One page's request: path with limit and cursor appended. Errors: false when it is too long. */
bool list_page_path(const struct list *list, int64_t cursor, struct text *out);

#endif
