/*
 * commands: each stands in a file of its own, cmd_<name>.c.
 */
#include "client/pygmy/commands.h"

#include <stddef.h>
#include <string.h>

const struct command *const commands[] = {
	&command_search, &command_lookup, &command_buy, &command_orders, &command_order, &command_item,
	&command_import, &command_export, &command_backup, &command_verify, &command_restore, &command_status,
	&command_init, &command_member, &command_help, NULL,
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i] != NULL; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}
