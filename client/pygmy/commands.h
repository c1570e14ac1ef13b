/*
 * commands: the table of commands.
 */
#ifndef PYGMY_CLIENT_COMMANDS_H
#define PYGMY_CLIENT_COMMANDS_H

#include "client/pygmy/client.h"

extern const struct command command_search, command_lookup, command_buy, command_orders, command_order, command_item, command_import,
	command_export, command_backup, command_verify, command_restore, command_status,
	command_init, command_member, command_help;

/* In the order of the help, NULL at the end. */
extern const struct command *const commands[];

/* NULL when there is none of this name. */
const struct command *command_find(const char *name);

#endif
