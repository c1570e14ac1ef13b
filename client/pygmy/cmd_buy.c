/*
 * pygmy buy ID: at most one order per key, however often it has to be asked.
 */
#include <inttypes.h>
#include <stdio.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/new_key.h"
#include "db/limits.h"

static void show_order(const struct client *client, const struct reply *reply)
{
	if (client->json) {
		client_print_json(&reply->answer);
		return;
	}
	const json_t *message = json_object_get(reply->envelope, "message");
	const json_t *id = json_object_get(json_object_get(reply->envelope, "order"), "id");
	client_print_safe(json_string_value(message) == NULL ? "Bought." : json_string_value(message),
			  json_is_string(message) ? json_string_length(message) : 7);
	if (json_is_integer(id))
		(void)printf(" Order %" JSON_INTEGER_FORMAT ".", json_integer_value(id));
	(void)putchar('\n');
}

static enum outcome buy(struct client *client, int64_t id, int64_t quantity, const char *key)
{
	char body[96];
	char again[96];
	struct reply reply;
	int len = snprintf(body, sizeof(body), "{\"id\":%" PRId64 ",\"quantity\":%" PRId64 "}", id, quantity);
	(void)snprintf(again, sizeof(again), "buy %" PRId64 " --quantity %" PRId64, id, quantity);
	const struct ask ask = { .urls = &client->settings.frontend, .changes = true, .again = again,
				 .request = { .method = "POST", .path = "/buy", .body = body, .body_len = (size_t)len, .key = key } };
	enum outcome outcome = client_ask(client, &ask, &reply);
	if (outcome == OUTCOME_DONE)
		show_order(client, &reply);
	reply_close(&reply);
	return outcome;
}

static enum outcome run_buy(struct client *client, int argc, char **argv)
{
	int64_t quantity = ARGS_NOT_GIVEN;
	const char *key = NULL;
	const struct args_option options[] = {
		ARGS_OPTION_INTEGER("--quantity", &quantity, 1, QUANTITY_MAX),
		ARGS_OPTION_STRING("--key", &key),
	};
	struct args args;
	enum outcome outcome;
	int64_t id;
	if (!client_begin(client, options, 2, argc, argv, 1, 1, &args, &outcome))
		return outcome;
	if (!args_parse_integer(args.positionals[0], 1, ID_MAX, &id))
		return client_fail(client, OUTCOME_USAGE, "usage", "an item's id is a whole number from 1 on, not \"%s\"", args.positionals[0]);
	if (key != NULL && !new_key_is_valid(key))
		return client_fail(client, OUTCOME_USAGE, "usage", "a key has 1 to %d letters, digits and ._:-", REQUEST_KEY_MAX_BYTES);
	return buy(client, id, quantity == ARGS_NOT_GIVEN ? 1 : quantity, key);
}

const struct command command_buy = {
	.name = "buy",
	.usage = "ID [--quantity COUNT] [--key KEY]",
	.summary = "buy an item",
	.help = "Each purchase has a request key, and the store makes at most one order per key. When there is no answer, it is asked again with\n"
		"the same key until --timeout is over; if it is not known then either, the key is shown (exit status 4): the same command with\n"
		"that --key tells what became of it, or does it now.\n\n"
		"  --quantity COUNT     how many (1)\n"
		"  --key KEY            the request key; without it a new random one is made\n\n"
		"Example: pygmy buy 1 --quantity 2\n",
	.run = run_buy,
};
