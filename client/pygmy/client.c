/*
 * client: options and settings; what is said to people is in client_say.c, requests in client_ask.c.
 */
#include "client/pygmy/client.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "client/pygmy/help.h"

void client_init(struct client *client)
{
	*client = (struct client){ .overrides = { .timeout_s = ARGS_NOT_GIVEN } };
}

void client_close(struct client *client)
{
	http_destroy(client->http);
	client->http = NULL;
	token_forget(&client->token);
}

#define GLOBAL_OPTIONS_COUNT 11

static void global_options(struct client *client, struct args_option options[GLOBAL_OPTIONS_COUNT])
{
	const struct args_option all[GLOBAL_OPTIONS_COUNT] = {
		ARGS_OPTION_FLAG("--help", &client->help),
		ARGS_OPTION_FLAG("-h", &client->help),
		ARGS_OPTION_FLAG("--version", &client->version),
		ARGS_OPTION_FLAG("--json", &client->json),
		ARGS_OPTION_FLAG("--quiet", &client->quiet),
		ARGS_OPTION_FLAG("-q", &client->quiet),
		ARGS_OPTION_STRING("--url", &client->overrides.url),
		ARGS_OPTION_STRING("--catalog-url", &client->overrides.catalog_url),
		ARGS_OPTION_STRING("--order-url", &client->overrides.order_url),
		ARGS_OPTION_STRING("--token-file", &client->overrides.token_file),
		ARGS_OPTION_INTEGER("--timeout", &client->overrides.timeout_s, 1, SETTINGS_TIMEOUT_MAX_S),
	};
	memcpy(options, all, sizeof(all));
}

bool client_parse_globals(struct client *client, int argc, char **argv, struct args *args)
{
	struct args_option options[GLOBAL_OPTIONS_COUNT];
	global_options(client, options);
	const struct args_table table = { options, GLOBAL_OPTIONS_COUNT };
	return args_parse(&table, 1, argc, argv, true, args);
}

static enum outcome usage_error(const struct client *client, const char *sentence)
{
	return client_fail(client, OUTCOME_USAGE, "usage", "%s. Usage: pygmy %s %s (more: pygmy help %s)", sentence,
			   client->command->name, client->command->usage, client->command->name);
}

bool client_begin(struct client *client, const struct args_option *options, size_t option_count, int argc, char **argv,
		  size_t positionals_min, size_t positionals_max, struct args *args, enum outcome *outcome)
{
	struct args_option globals[GLOBAL_OPTIONS_COUNT];
	char error[SETTINGS_ERROR_MAX_BYTES];
	char directory[PATH_MAX];
	global_options(client, globals);
	const struct args_table tables[] = { { options, option_count }, { globals, GLOBAL_OPTIONS_COUNT } };
	bool good = args_parse(tables, 2, argc, argv, false, args);
	*outcome = OUTCOME_DONE;
	if (client->help) {
		help_show_command(stdout, client->command);
		return false;
	}
	if (!good)
		*outcome = usage_error(client, args->error);
	else if (args->positional_count < positionals_min)
		*outcome = usage_error(client, "something is missing");
	else if (args->positional_count > positionals_max)
		*outcome = usage_error(client, "there are too many arguments");
	else if (!settings_load(&client->overrides, settings_executable_dir(directory, sizeof(directory)) ? directory : NULL,
				&client->settings, error))
		*outcome = client_fail(client, OUTCOME_LOCAL, "settings", "%s", error);
	else
		http_trust(client->settings.peer_ca);
	return *outcome == OUTCOME_DONE;
}

enum outcome client_need_token(struct client *client)
{
	char error[TOKEN_ERROR_MAX_BYTES];
	if (client->token.value[0] != '\0')
		return OUTCOME_DONE;
	if (!token_read(client->settings.token_file, &client->token, error))
		return client_fail(client, OUTCOME_LOCAL, "token", "%s", error);
	if (client->token.readable_by_others)
		client_note(client, "warning: %s can be read by other users (chmod 600 it)", client->settings.token_file);
	return OUTCOME_DONE;
}
