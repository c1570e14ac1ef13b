/*
 * pygmy orders, pygmy order ID: what was bought, from an order worker.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/list.h"
#include "client/pygmy/price.h"
#include "db/limits.h"

static const struct table_column order_columns[] = {
	{ .title = "ORDER", .right = true }, { .title = "TIME" },
	{ .title = "ITEM", .right = true },  { .title = "QUANTITY", .right = true },
	{ .title = "COST", .right = true },  { .title = "TOTAL", .right = true },
};

#define ORDER_COLUMNS (sizeof(order_columns) / sizeof(order_columns[0]))

static void add_time(struct table *table, json_int_t created_ms)
{
	time_t seconds = (time_t)(created_ms / 1000);
	struct tm local;
	char text[32] = "?";
	if (localtime_r(&seconds, &local) != NULL && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local) == 0)
		text[0] = '\0';
	table_add_string(table, text);
}

static bool add_amount(struct table *table, const json_t *number)
{
	int64_t minor;
	struct text amount = TEXT_INIT(32);
	if (!price_total_from_json(number, &minor))
		return false;
	price_append_amount(&amount, minor);
	table_add_string(table, text_borrow(&amount));
	text_close(&amount);
	return true;
}

static bool order_add_row(struct table *table, const json_t *row)
{
	if (!json_is_integer(json_object_get(row, "id")))
		return false;
	table_add_integer(table, json_integer_value(json_object_get(row, "id")));
	add_time(table, json_integer_value(json_object_get(row, "created_ms")));
	table_add_integer(table, json_integer_value(json_object_get(row, "item_id")));
	table_add_integer(table, json_integer_value(json_object_get(row, "quantity")));
	return add_amount(table, json_object_get(row, "cost")) && add_amount(table, json_object_get(row, "total"));
}

struct orders_options {
	int64_t after, before, last, limit;
	bool all;
};

static enum outcome show_orders(struct client *client, const struct orders_options *options)
{
	bool backwards = options->before != ARGS_NOT_GIVEN || options->last != ARGS_NOT_GIVEN;
	const struct list list = {
		.urls = &client->settings.order,
		.path = "/orders",
		.payload = "order",
		.cursor_name = backwards ? "before" : "after",
		.cursor = options->last != ARGS_NOT_GIVEN ? ID_MAX : backwards ? options->before : options->after,
		.limit = options->last != ARGS_NOT_GIVEN ? options->last : options->limit,
		.all = options->all,
		.reverse = options->last != ARGS_NOT_GIVEN,
		.is_complete = options->last != ARGS_NOT_GIVEN,
		.columns = order_columns,
		.column_count = ORDER_COLUMNS,
		.add_row = order_add_row,
		.empty_text = "no orders",
	};
	return list_show(client, &list);
}

static enum outcome run_orders(struct client *client, int argc, char **argv)
{
	struct orders_options given = { ARGS_NOT_GIVEN, ARGS_NOT_GIVEN, ARGS_NOT_GIVEN, ARGS_NOT_GIVEN, false };
	const struct args_option options[] = {
		ARGS_OPTION_INTEGER("--after", &given.after, 0, ID_MAX),
		ARGS_OPTION_INTEGER("--before", &given.before, 1, ID_MAX),
		ARGS_OPTION_INTEGER("--last", &given.last, 1, PAGE_MAX),
		ARGS_OPTION_INTEGER("--limit", &given.limit, 1, PAGE_MAX),
		ARGS_OPTION_FLAG("--all", &given.all),
	};
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, options, sizeof(options) / sizeof(options[0]), argc, argv, 0, 0, &args, &outcome))
		return outcome;
	bool last = given.last != ARGS_NOT_GIVEN;
	if ((given.after != ARGS_NOT_GIVEN) + (given.before != ARGS_NOT_GIVEN) + last > 1 || (last && (given.all || given.limit != ARGS_NOT_GIVEN)))
		return client_fail(client, OUTCOME_USAGE, "usage", "--after, --before and --last exclude each other; --last stands alone");
	return show_orders(client, &given);
}

static enum outcome show_order(struct client *client, const struct reply *reply)
{
	struct table table;
	if (client->json) {
		client_print_json(&reply->answer);
		return OUTCOME_DONE;
	}
	client_table_init(client, &table, order_columns, ORDER_COLUMNS);
	bool good = order_add_row(&table, json_object_get(reply->envelope, "order")) && table_flush(&table);
	table_close(&table);
	return good ? OUTCOME_DONE : client_fail(client, OUTCOME_UNAVAILABLE, "not_a_store", "the store's answer has no order");
}

static enum outcome run_order(struct client *client, int argc, char **argv)
{
	struct args args;
	enum outcome outcome;
	int64_t id;
	char path[64];
	struct reply reply;
	if (!client_begin(client, NULL, 0, argc, argv, 1, 1, &args, &outcome))
		return outcome;
	if (!args_parse_integer(args.positionals[0], 1, ID_MAX, &id))
		return client_fail(client, OUTCOME_USAGE, "usage", "an order's id is a whole number from 1 on, not \"%s\"", args.positionals[0]);
	(void)snprintf(path, sizeof(path), "/orders/%" PRId64, id);
	const struct ask ask = { .urls = &client->settings.order, .request = { .method = "GET", .path = path } };
	outcome = client_ask(client, &ask, &reply);
	if (outcome == OUTCOME_DONE)
		outcome = show_order(client, &reply);
	reply_close(&reply);
	return outcome;
}

const struct command command_orders = {
	.name = "orders",
	.usage = "[--after ID | --before ID | --last COUNT] [--limit COUNT] [--all]",
	.summary = "show the orders",
	.help = "  --after ID           begin behind this order, oldest first\n"
		"  --before ID          begin before this order, newest first\n"
		"  --last COUNT         only the newest ones (1 to 1000), the newest at the end\n"
		"  --limit COUNT        rows at once, 1 to 1000 (100)\n"
		"  --all                fetch page after page to the end\n\n"
		"Times are local. Example: pygmy orders --last 10\n",
	.run = run_orders,
};

const struct command command_order = {
	.name = "order",
	.usage = "ID",
	.summary = "show one order",
	.help = "Example: pygmy order 1\n",
	.run = run_order,
};
