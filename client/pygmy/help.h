/*
 * help: what `pygmy help` shows.
 */
#ifndef PYGMY_CLIENT_HELP_H
#define PYGMY_CLIENT_HELP_H

#include <stdio.h>

#include "client/pygmy/client.h"

void help_show_all(FILE *out);
void help_show_command(FILE *out, const struct command *command);

#endif
