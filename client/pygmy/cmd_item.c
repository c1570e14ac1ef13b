/*
 * pygmy item list|get|add|set|delete: the catalogue, at a catalog worker. All but list and get need the admin token.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/pygmy/catalogue_item.h"
#include "client/pygmy/commands.h"
#include "client/pygmy/item_rows.h"
#include "client/pygmy/new_key.h"
#include "client/pygmy/price.h"
#include "db/limits.h"

#define ITEM_BODY_MAX_BYTES 8192
#define ITEM_PATH_BYTES 64
#define ETAG_ARGUMENT_MAX_BYTES 128

/* What the command line says about an item. */
struct item_options {
	const char *topic, *title, *cost, *if_match, *key;
	int64_t count, delta, after, limit;
	bool all;
	int64_t id;                   /* the positional, when the verb has one */
	char quoted_if_match[ETAG_ARGUMENT_MAX_BYTES + 3];
};

/* Adds `"name":` and what separates it from the field before. */
static void add_field(struct text *body, const char *name)
{
	(void)text_append_format(body, "%s\"%s\":", body->len > 1 ? "," : "", name);
}

static bool add_cost(struct client *client, struct text *body, const char *cost, enum outcome *outcome)
{
	int64_t minor;
	if (cost == NULL)
		return true;
	if (!price_parse(cost, &minor)) {
		*outcome = client_fail(client, OUTCOME_USAGE, "usage", "--cost takes an amount from 0 to 1000000000 with at most two decimals, like 11.85");
		return false;
	}
	add_field(body, "cost");
	price_append_number(body, minor);
	return true;
}

static void add_integer(struct text *body, const char *name, int64_t value)
{
	if (value == ARGS_NOT_GIVEN)
		return;
	add_field(body, name);
	(void)text_append_format(body, "%" PRId64, value);
}

static bool add_string(struct client *client, struct text *body, const char *name, const char *value, enum outcome *outcome)
{
	if (value == NULL)
		return true;
	add_field(body, name);
	if (json_append_string(body, value, strlen(value)))
		return true;
	*outcome = client_fail(client, OUTCOME_USAGE, "usage", "--%s is no UTF-8 text, or too long", name);
	return false;
}

/* The body of an add or a set. */
static bool make_body(struct client *client, const struct item_options *options, struct text *body, enum outcome *outcome)
{
	(void)text_append_string(body, "{");
	if (!add_string(client, body, "title", options->title, outcome) || !add_string(client, body, "topic", options->topic, outcome) ||
	    !add_cost(client, body, options->cost, outcome))
		return false;
	add_integer(body, "count", options->count);
	add_integer(body, "delta", options->delta);
	(void)text_append_string(body, "}");
	return true;
}

/* An ETag is quoted in HTTP; people may leave the quotes away. */
static const char *quote_if_match(struct item_options *options)
{
	const char *tag = options->if_match;
	if (tag == NULL || tag[0] == '"' || strcmp(tag, "*") == 0)
		return tag;
	(void)snprintf(options->quoted_if_match, sizeof(options->quoted_if_match), "\"%s\"", tag);
	return options->quoted_if_match;
}

static enum outcome check_write(struct client *client, const struct item_options *options)
{
	if (options->key != NULL && !new_key_is_valid(options->key))
		return client_fail(client, OUTCOME_USAGE, "usage", "a key has 1 to %d letters, digits and ._:-", REQUEST_KEY_MAX_BYTES);
	const char *tag = options->if_match;
	if (tag != NULL && (tag[0] == '\0' || strlen(tag) > ETAG_ARGUMENT_MAX_BYTES || strpbrk(tag, "\r\n\\") != NULL))
		return client_fail(client, OUTCOME_USAGE, "usage", "--if-match takes an ETag as pygmy item get shows it");
	return client_need_token(client);
}

static enum outcome write_item(struct client *client, const char *method, const char *path, const struct text *body,
			       struct item_options *options, const char *done_text)
{
	struct reply reply;
	enum outcome outcome = check_write(client, options);
	if (outcome != OUTCOME_DONE)
		return outcome;
	const struct ask ask = { .urls = &client->settings.catalog, .changes = true,
				 .request = { .method = method, .path = path, .body = body == NULL ? NULL : text_borrow(body),
					      .body_len = body == NULL ? 0 : body->len, .token = client->token.value, .key = options->key,
					      .if_match = quote_if_match(options) } };
	outcome = client_ask(client, &ask, &reply);
	if (outcome == OUTCOME_DONE && client->json)
		client_print_json(&reply.answer);
	else if (outcome == OUTCOME_DONE && done_text == NULL)
		outcome = item_show_one(client, &reply);
	else if (outcome == OUTCOME_DONE)
		(void)printf("%s\n", done_text);
	reply_close(&reply);
	return outcome;
}

static enum outcome item_list(struct client *client, struct item_options *options)
{
	struct text path = TEXT_INIT(1024);
	(void)text_append_string(&path, options->topic == NULL ? "/item" : "/item?topic=");
	(void)text_append_percent_encoded(&path, options->topic == NULL ? "" : options->topic);
	const struct list list = { .urls = &client->settings.catalog, .path = text_borrow(&path), .payload = "item", .cursor_name = "after",
				   .cursor = options->after, .limit = options->limit, .all = options->all, .columns = item_columns,
				   .column_count = ITEM_COLUMNS, .add_row = item_add_row, .empty_text = "no items" };
	enum outcome outcome = path.failed ? client_fail(client, OUTCOME_USAGE, "usage", "the topic is too long") : list_show(client, &list);
	text_close(&path);
	return outcome;
}

static void item_path(const struct item_options *options, char path[ITEM_PATH_BYTES])
{
	(void)snprintf(path, ITEM_PATH_BYTES, "/item/%" PRId64, options->id);
}

static enum outcome item_get(struct client *client, struct item_options *options)
{
	char path[ITEM_PATH_BYTES];
	struct reply reply;
	item_path(options, path);
	const struct ask ask = { .urls = &client->settings.catalog, .request = { .method = "GET", .path = path } };
	enum outcome outcome = client_ask(client, &ask, &reply);
	if (outcome == OUTCOME_DONE)
		outcome = item_show_one(client, &reply);
	if (outcome == OUTCOME_DONE && !client->json && reply.answer.etag[0] != '\0') {
		(void)fputs("ETag: ", stdout);
		client_print_safe(reply.answer.etag, strlen(reply.answer.etag));
		(void)putchar('\n');
	}
	reply_close(&reply);
	return outcome;
}

static enum outcome item_add(struct client *client, struct item_options *options)
{
	struct text body = TEXT_INIT(ITEM_BODY_MAX_BYTES);
	enum outcome outcome = OUTCOME_DONE;
	if (options->title == NULL || options->topic == NULL || options->cost == NULL || options->count == ARGS_NOT_GIVEN)
		return client_fail(client, OUTCOME_USAGE, "usage", "item add needs --title, --topic, --cost and --count");
	if (make_body(client, options, &body, &outcome))
		outcome = write_item(client, "POST", "/item", &body, options, NULL);
	text_close(&body);
	return outcome;
}

static enum outcome item_set(struct client *client, struct item_options *options)
{
	char path[ITEM_PATH_BYTES];
	char done_text[64];
	struct text body = TEXT_INIT(ITEM_BODY_MAX_BYTES);
	enum outcome outcome = OUTCOME_DONE;
	bool has_count = options->count != ARGS_NOT_GIVEN, has_delta = options->delta != ARGS_NOT_GIVEN;
	if ((options->cost == NULL && !has_count && !has_delta) || (has_count && has_delta))
		return client_fail(client, OUTCOME_USAGE, "usage", "item set needs --cost, --count or --delta (not both of the last two)");
	item_path(options, path);
	(void)snprintf(done_text, sizeof(done_text), "Item %" PRId64 " changed.", options->id);
	if (make_body(client, options, &body, &outcome))
		outcome = write_item(client, "PUT", path, &body, options, done_text);
	text_close(&body);
	return outcome;
}

static enum outcome item_delete(struct client *client, struct item_options *options)
{
	char path[ITEM_PATH_BYTES];
	char done_text[64];
	item_path(options, path);
	(void)snprintf(done_text, sizeof(done_text), "Item %" PRId64 " deleted.", options->id);
	return write_item(client, "DELETE", path, NULL, options, done_text);
}

static const struct item_verb {
	const char *name;
	bool has_id;
	enum outcome (*run)(struct client *client, struct item_options *options);
} verbs[] = {
	{ "list", false, item_list }, { "get", true, item_get }, { "add", false, item_add },
	{ "set", true, item_set },    { "delete", true, item_delete },
};

static const struct item_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

/* An option that is given to a verb that does not know it must not be ignored. Gives its name or NULL. */
static const char *misplaced_option(const struct item_verb *verb, const struct item_options *o)
{
	bool list = verb->run == item_list, add = verb->run == item_add, set = verb->run == item_set, delete = verb->run == item_delete;
	const struct {
		bool given, allowed;
		const char *name;
	} rules[] = {
		{ o->topic != NULL, list || add, "--topic" },
		{ o->title != NULL, add, "--title" },
		{ o->cost != NULL, add || set, "--cost" },
		{ o->count != ARGS_NOT_GIVEN, add || set, "--count" },
		{ o->delta != ARGS_NOT_GIVEN, set, "--delta" },
		{ o->if_match != NULL, set || delete, "--if-match" },
		{ o->key != NULL, add || set || delete, "--key" },
		{ o->after != ARGS_NOT_GIVEN, list, "--after" },
		{ o->limit != ARGS_NOT_GIVEN, list, "--limit" },
		{ o->all, list, "--all" },
	};
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (rules[i].given && !rules[i].allowed)
			return rules[i].name;
	}
	return NULL;
}

static enum outcome run_item(struct client *client, int argc, char **argv)
{
	struct item_options given = { .count = ARGS_NOT_GIVEN, .delta = ARGS_NOT_GIVEN, .after = ARGS_NOT_GIVEN, .limit = ARGS_NOT_GIVEN };
	const struct args_option options[] = {
		ARGS_OPTION_STRING("--topic", &given.topic),
		ARGS_OPTION_STRING("--title", &given.title),
		ARGS_OPTION_STRING("--cost", &given.cost),
		ARGS_OPTION_STRING("--if-match", &given.if_match),
		ARGS_OPTION_STRING("--key", &given.key),
		ARGS_OPTION_INTEGER("--count", &given.count, 0, COUNT_MAX),
		ARGS_OPTION_INTEGER("--delta", &given.delta, -COUNT_MAX, COUNT_MAX),
		ARGS_OPTION_INTEGER("--after", &given.after, 0, ID_MAX),
		ARGS_OPTION_INTEGER("--limit", &given.limit, 1, PAGE_MAX),
		ARGS_OPTION_FLAG("--all", &given.all),
	};
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, options, sizeof(options) / sizeof(options[0]), argc, argv, 1, 2, &args, &outcome))
		return outcome;
	const struct item_verb *verb = find_verb(args.positionals[0]);
	if (verb == NULL || args.positional_count != (verb->has_id ? 2u : 1u))
		return client_fail(client, OUTCOME_USAGE, "usage", "it is item list, get ID, add, set ID or delete ID (more: pygmy help item)");
	const char *misplaced = misplaced_option(verb, &given);
	if (misplaced != NULL)
		return client_fail(client, OUTCOME_USAGE, "usage", "item %s takes no %s", verb->name, misplaced);
	if (verb->has_id && !args_parse_integer(args.positionals[1], 1, ID_MAX, &given.id))
		return client_fail(client, OUTCOME_USAGE, "usage", "an item's id is a whole number from 1 on, not \"%s\"", args.positionals[1]);
	return verb->run(client, &given);
}

const struct command command_item = {
	.name = "item",
	.usage = "list | get ID | add | set ID | delete ID",
	.summary = "show and change the catalogue (changes need the admin token)",
	.help = "  item list [--topic TOPIC] [--after ID] [--limit COUNT] [--all]\n"
		"  item get ID                                             also shows the item's ETag\n"
		"  item add --title TEXT --topic TEXT --cost AMOUNT --count COUNT\n"
		"  item set ID [--cost AMOUNT] [--count COUNT | --delta CHANGE] [--if-match ETAG]\n"
		"  item delete ID [--if-match ETAG]\n\n"
		"  --if-match ETAG      only when the item is still as item get showed it\n"
		"  --key KEY            the request key of a change, to ask again after exit status 4\n\n"
		"Examples: pygmy item set 1 --cost 11.85        pygmy item set 1 --delta -5\n",
	.run = run_item,
};
