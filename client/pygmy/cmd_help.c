/*
 * pygmy help [COMMAND]
 */
#include <stdio.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/help.h"

static enum outcome run_help(struct client *client, int argc, char **argv)
{
	if (argc == 0) {
		help_show_all(stdout);
		return OUTCOME_DONE;
	}
	const struct command *command = command_find(argv[0]);
	if (command == NULL)
		return client_fail(client, OUTCOME_USAGE, "usage", "there is no command \"%s\"; pygmy help lists them", argv[0]);
	help_show_command(stdout, command);
	return OUTCOME_DONE;
}

const struct command command_help = {
	.name = "help",
	.usage = "[COMMAND]",
	.summary = "show what there is, or more about one command",
	.help = "",
	.run = run_help,
};
