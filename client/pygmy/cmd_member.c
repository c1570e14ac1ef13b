/*
 * pygmy member list|add|remove: who belongs to the cluster. All but list need the admin token.
 */
#include <stdio.h>
#include <string.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/member_rows.h"
#include "client/pygmy/new_key.h"
#include "db/limits.h"
#include "db/member.h"

#define MEMBER_PATH_BYTES 64
#define MEMBER_BODY_BYTES 600

struct member_options {
	const char *catalog_url, *order_url, *key;
	const char *name;             /* the positional */
};

static enum outcome member_list(struct client *client, const struct member_options *options)
{
	struct reply reply;
	(void)options;
	const struct ask ask = { .urls = &client->settings.catalog, .request = { .method = "GET", .path = "/members" } };
	enum outcome outcome = client_ask(client, &ask, &reply);
	if (outcome == OUTCOME_DONE && client->json)
		client_print_json(&reply.answer);
	else if (outcome == OUTCOME_DONE)
		member_rows_show(client, reply.envelope);
	reply_close(&reply);
	return outcome;
}

static enum outcome change(struct client *client, const char *method, const char *body, const struct member_options *options, const char *done)
{
	char path[MEMBER_PATH_BYTES];
	struct reply reply;
	if (!node_name_is_valid(slice_of(options->name)))
		return client_fail(client, OUTCOME_USAGE, "usage", "a member's name has 1 to %d letters, digits and hyphens", NODE_NAME_MAX_BYTES);
	if (options->key != NULL && !new_key_is_valid(options->key))
		return client_fail(client, OUTCOME_USAGE, "usage", "a key has 1 to %d letters, digits and ._:-", REQUEST_KEY_MAX_BYTES);
	enum outcome outcome = client_need_token(client);
	if (outcome != OUTCOME_DONE)
		return outcome;
	(void)snprintf(path, sizeof(path), "/members/%s", options->name);
	const struct ask ask = { .urls = &client->settings.catalog, .changes = true,
				 .request = { .method = method, .path = path, .body = body, .body_len = body == NULL ? 0 : strlen(body),
					      .token = client->token.value, .key = options->key } };
	outcome = client_ask(client, &ask, &reply);
	if (outcome == OUTCOME_DONE && client->json)
		client_print_json(&reply.answer);
	else if (outcome == OUTCOME_DONE)
		(void)printf("Member %s %s.\n", options->name, done);
	reply_close(&reply);
	return outcome;
}

static enum outcome member_add(struct client *client, const struct member_options *options)
{
	char body[MEMBER_BODY_BYTES];
	if (options->catalog_url == NULL || options->order_url == NULL || !node_url_is_valid(slice_of(options->catalog_url)) ||
	    !node_url_is_valid(slice_of(options->order_url)))
		return client_fail(client, OUTCOME_USAGE, "usage", "say where its workers are reached: --catalog-url http://127.0.1.4:8011 "
				   "--order-url http://127.0.1.4:8013 (with a port, and nothing behind it)");
	/* What passes for a URL here holds nothing that JSON would have to escape. */
	(void)snprintf(body, sizeof(body), "{\"catalog_url\":\"%s\",\"order_url\":\"%s\"}", options->catalog_url, options->order_url);
	return change(client, "PUT", body, options, "belongs to the cluster now; pygmy status shows when it is ready");
}

static enum outcome member_remove(struct client *client, const struct member_options *options)
{
	return change(client, "DELETE", NULL, options, "does not belong to the cluster any more; its node serves nothing now");
}

static const struct member_verb {
	const char *name;
	bool has_name, has_urls;
	enum outcome (*run)(struct client *client, const struct member_options *options);
} verbs[] = { { "list", false, false, member_list }, { "add", true, true, member_add }, { "remove", true, false, member_remove } };

static const struct member_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static enum outcome run_member(struct client *client, int argc, char **argv)
{
	struct member_options given = { 0 };
	const struct args_option options[] = {
		ARGS_OPTION_STRING("--catalog-url", &given.catalog_url),
		ARGS_OPTION_STRING("--order-url", &given.order_url),
		ARGS_OPTION_STRING("--key", &given.key),
	};
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, options, sizeof(options) / sizeof(options[0]), argc, argv, 1, 2, &args, &outcome))
		return outcome;
	const struct member_verb *verb = find_verb(args.positionals[0]);
	if (verb == NULL || args.positional_count != (verb->has_name ? 2u : 1u))
		return client_fail(client, OUTCOME_USAGE, "usage", "it is member list, add NAME or remove NAME (more: pygmy help member)");
	bool has_urls = given.catalog_url != NULL || given.order_url != NULL;
	if ((has_urls && !verb->has_urls) || (given.key != NULL && !verb->has_name))
		return client_fail(client, OUTCOME_USAGE, "usage", "member %s takes no %s", verb->name, has_urls ? "--catalog-url and --order-url" : "--key");
	if (verb->has_name)
		given.name = args.positionals[1];
	return verb->run(client, &given);
}

const struct command command_member = {
	.name = "member",
	.usage = "list | add NAME --catalog-url URL --order-url URL | remove NAME",
	.summary = "show and change who belongs to the cluster (changes need the admin token)",
	.help = "  member list                                     as pygmy status shows it\n"
		"  member add NAME --catalog-url URL --order-url URL\n"
		"                                                  also for one that moves: give its new addresses\n"
		"  member remove NAME                              the last one can't be removed\n\n"
		"  --catalog-url URL, --order-url URL\n"
		"                       here: where the frontends and the other nodes reach the new member's workers\n"
		"  --key KEY            the request key of a change, to ask again after exit status 4\n\n"
		"A node that is added may run already or be started later; it loads a snapshot by itself.\n\n"
		"Example: pygmy member add D --catalog-url http://127.0.1.4:8011 --order-url http://127.0.1.4:8013\n",
	.run = run_member,
};
