/*
 * snapshot_facts: what a backup holds, and what is wrong with one, for people and for scripts.
 */
#ifndef PYGMY_CLIENT_SNAPSHOT_FACTS_H
#define PYGMY_CLIENT_SNAPSHOT_FACTS_H

#include "client/pygmy/client.h"
#include "db/snapshot.h"

/* Once, before the database's code is used: its log lines are not for the user of a command. Errors: false. */
bool snapshot_facts_init(void);

/* Writes a line that says what was done with which file, and the facts; or one JSON object. */
void snapshot_facts_show(const struct client *client, const char *done, const char *file, const struct snapshot_info *info);

/* Says that the file is damaged, of another program or version (REFUSED), or can't be read or written (LOCAL). */
enum outcome snapshot_facts_fail(const struct client *client, const char *file, enum pygmy_error error, const char *why);

#endif
