/*
 * pygmy search TOPIC, pygmy lookup ID: what the frontend answers from its cache.
 */
#include <inttypes.h>
#include <stdio.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/item_rows.h"
#include "db/limits.h"

#define SEARCH_PATH_MAX_BYTES 2048

/* The words of the command line as one topic, percent-encoded. */
static bool make_search_path(const struct args *args, struct text *path)
{
	(void)text_append_string(path, "/search?topic=");
	for (size_t i = 0; i < args->positional_count; i++) {
		(void)text_append_string(path, i == 0 ? "" : "%20");
		(void)text_append_percent_encoded(path, args->positionals[i]);
	}
	return !path->failed;
}

static enum outcome run_search(struct client *client, int argc, char **argv)
{
	struct list list = { .payload = "item", .cursor_name = "after", .cursor = ARGS_NOT_GIVEN, .limit = ARGS_NOT_GIVEN,
			     .columns = item_columns, .column_count = ITEM_COLUMNS, .add_row = item_add_row,
			     .empty_text = "no items under this topic" };
	const struct args_option options[] = {
		ARGS_OPTION_INTEGER("--after", &list.cursor, 0, ID_MAX),
		ARGS_OPTION_INTEGER("--limit", &list.limit, 1, PAGE_MAX),
		ARGS_OPTION_FLAG("--all", &list.all),
	};
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, options, 3, argc, argv, 1, ARGS_POSITIONALS_MAX, &args, &outcome))
		return outcome;
	struct text path = TEXT_INIT(SEARCH_PATH_MAX_BYTES);
	if (!make_search_path(&args, &path)) {
		outcome = client_fail(client, OUTCOME_USAGE, "usage", "the topic is too long");
	} else {
		list.urls = &client->settings.frontend;
		list.path = text_borrow(&path);
		outcome = list_show(client, &list);
	}
	text_close(&path);
	return outcome;
}

static enum outcome run_lookup(struct client *client, int argc, char **argv)
{
	struct args args;
	enum outcome outcome;
	int64_t id;
	char path[64];
	struct reply reply;
	if (!client_begin(client, NULL, 0, argc, argv, 1, 1, &args, &outcome))
		return outcome;
	if (!args_parse_integer(args.positionals[0], 1, ID_MAX, &id))
		return client_fail(client, OUTCOME_USAGE, "usage", "an item's id is a whole number from 1 on, not \"%s\"", args.positionals[0]);
	(void)snprintf(path, sizeof(path), "/lookup?id=%" PRId64, id);
	const struct ask ask = { .urls = &client->settings.frontend, .request = { .method = "GET", .path = path } };
	outcome = client_ask(client, &ask, &reply);
	if (outcome == OUTCOME_DONE)
		outcome = item_show_one(client, &reply);
	reply_close(&reply);
	return outcome;
}

const struct command command_search = {
	.name = "search",
	.usage = "TOPIC [--after ID] [--limit COUNT] [--all]",
	.summary = "show the items of a topic",
	.help = "The words of a topic may stand in quotes or not.\n\n"
		"  --after ID           begin behind this item\n"
		"  --limit COUNT        rows at once, 1 to 1000 (100)\n"
		"  --all                fetch page after page to the end\n\n"
		"Example: pygmy search distributed systems\n",
	.run = run_search,
};

const struct command command_lookup = {
	.name = "lookup",
	.usage = "ID",
	.summary = "show one item: title, topic, cost and how many are left",
	.help = "Example: pygmy lookup 1\n",
	.run = run_lookup,
};
