/*
 * item_rows: items as table rows, for the commands that show some.
 */
#ifndef PYGMY_CLIENT_ITEM_ROWS_H
#define PYGMY_CLIENT_ITEM_ROWS_H

#include "client/pygmy/list.h"

#define ITEM_COLUMNS 5

extern const struct table_column item_columns[ITEM_COLUMNS];

/* A list_add_row for objects with cost, count, id, title, topic. */
bool item_add_row(struct table *table, const json_t *row);

/* Shows the answer's first item as a table, or the answer as JSON. */
enum outcome item_show_one(struct client *client, const struct reply *reply);

#endif
