/*
 * item_rows: the columns and how an item fills them.
 */
#include "client/pygmy/item_rows.h"

#include "client/pygmy/catalogue_item.h"
#include "client/pygmy/envelope.h"
#include "client/pygmy/price.h"

const struct table_column item_columns[ITEM_COLUMNS] = {
	{ .title = "ID", .right = true },
	{ .title = "TITLE", .flexible = true },
	{ .title = "TOPIC" },
	{ .title = "COST", .right = true },
	{ .title = "COUNT", .right = true },
};

bool item_add_row(struct table *table, const json_t *row)
{
	struct catalogue_item item;
	char error[CATALOGUE_ITEM_ERROR_MAX_BYTES];
	struct text amount = TEXT_INIT(32);
	if (!catalogue_item_from_json(row, &item, error))
		return false;
	price_append_amount(&amount, item.cost_minor);
	table_add_integer(table, item.id);
	table_add_bytes(table, item.title, item.title_len);
	table_add_bytes(table, item.topic, item.topic_len);
	table_add_string(table, text_borrow(&amount));
	table_add_integer(table, item.count);
	text_close(&amount);
	return true;
}

enum outcome item_show_one(struct client *client, const struct reply *reply)
{
	struct table table;
	if (client->json) {
		client_print_json(&reply->answer);
		return OUTCOME_DONE;
	}
	const json_t *item = json_array_get(envelope_list(reply->envelope, "item"), 0);
	client_table_init(client, &table, item_columns, ITEM_COLUMNS);
	bool good = item_add_row(&table, item) && table_flush(&table);
	table_close(&table);
	return good ? OUTCOME_DONE : client_fail(client, OUTCOME_UNAVAILABLE, "not_a_store", "the store's answer has no item");
}
