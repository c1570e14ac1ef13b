/*
 * pygmy verify FILE, pygmy restore FILE DATABASE: what is done with a backup on this machine, without a store.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/snapshot_facts.h"

/* The file that a name leads to: a link is followed here, once. NULL: the command ends with *outcome. Free it. */
static char *find_file(const struct client *client, const char *name, enum outcome *outcome)
{
	char *path = realpath(name, NULL);
	if (path == NULL)
		*outcome = client_fail(client, OUTCOME_LOCAL, "file", "%s: %s", name, strerror(errno));
	return path;
}

static enum outcome run_verify(struct client *client, int argc, char **argv)
{
	char why[SNAPSHOT_WHY_BYTES];
	struct snapshot_info info;
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, NULL, 0, argc, argv, 1, 1, &args, &outcome))
		return outcome;
	if (!snapshot_facts_init())
		return client_fail(client, OUTCOME_LOCAL, "random", "the system gives no random numbers");
	char *path = find_file(client, args.positionals[0], &outcome);
	if (path == NULL)
		return outcome;
	enum pygmy_error error = snapshot_check(path, &info, why);
	free(path);
	if (error != PYGMY_OK)
		return snapshot_facts_fail(client, args.positionals[0], error, why);
	snapshot_facts_show(client, "The backup is good:", args.positionals[0], &info);
	return OUTCOME_DONE;
}

static enum outcome run_restore(struct client *client, int argc, char **argv)
{
	char why[SNAPSHOT_WHY_BYTES];
	struct snapshot_info info;
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, NULL, 0, argc, argv, 2, 2, &args, &outcome))
		return outcome;
	if (!snapshot_facts_init())
		return client_fail(client, OUTCOME_LOCAL, "random", "the system gives no random numbers");
	char *path = find_file(client, args.positionals[0], &outcome);
	if (path == NULL)
		return outcome;
	enum pygmy_error error = snapshot_restore(path, args.positionals[1], &info, why);
	free(path);
	if (error != PYGMY_OK)
		return snapshot_facts_fail(client, args.positionals[0], error, why);
	snapshot_facts_show(client, "Made a database:", args.positionals[1], &info);
	return OUTCOME_DONE;
}

const struct command command_verify = {
	.name = "verify",
	.usage = "FILE",
	.summary = "check a backup, and show what it holds",
	.help = "Everything is checked: the file's structure, its indexes and constraints, and that orders and stock belong together. No store is\n"
		"asked. Exit status 0 when it is good, 1 when it is damaged or of another version, 5 when it can't be read.\n\n"
		"Example: pygmy verify backup.db\n",
	.run = run_verify,
};

const struct command command_restore = {
	.name = "restore",
	.usage = "FILE DATABASE",
	.summary = "make a store's database of a backup (client/store.sh restore does that and the rest)",
	.help = "Checks the backup and writes it as DATABASE, which must not be there: the same content, of a log of its own. For a store or a node\n"
		"that does not run: `client/store.sh restore FILE` and `client/cluster.sh restore FILE` stop it, call this, and start it.\n\n"
		"Example: pygmy restore backup.db /var/lib/pygmy/store.db\n",
	.run = run_restore,
};
