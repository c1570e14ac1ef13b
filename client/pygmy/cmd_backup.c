/*
 * pygmy backup FILE
 *
 * The file is there whole and checked, or not at all: it is written as FILE.part, which is locked while it is written, so that what a
 * killed backup left is taken over by the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/progress.h"
#include "client/pygmy/snapshot_facts.h"
#include "client/pygmy/wait.h"

#define HTTP_UNAUTHORIZED 401

struct backup {
	struct client *client;
	const char *file;
	char part[PATH_MAX];
	int fd;                       /* of the part */
	bool replace, stale;
	struct progress progress;
	int64_t deadline_ms;          /* 0: none */
	struct snapshot_info info;
};

static enum outcome fail_file(const struct backup *backup, const char *name, int number)
{
	return client_fail(backup->client, OUTCOME_LOCAL, "file", "can't write %s: %s", name, strerror(number));
}

/* ---- the part ---------------------------------------------------------------------------------------- */

static enum outcome check_target(const struct backup *backup)
{
	struct stat status;
	if (lstat(backup->file, &status) != 0)
		return errno == ENOENT ? OUTCOME_DONE : fail_file(backup, backup->file, errno);
	if (!S_ISREG(status.st_mode))
		return client_fail(backup->client, OUTCOME_LOCAL, "file", "%s is not a regular file", backup->file);
	if (!backup->replace)
		return client_fail(backup->client, OUTCOME_LOCAL, "exists", "%s is there already; --replace overwrites it", backup->file);
	return OUTCOME_DONE;
}

static enum outcome open_part(struct backup *backup)
{
	struct stat status;
	int len = snprintf(backup->part, sizeof(backup->part), "%s.part", backup->file);
	if (len < 0 || (size_t)len >= sizeof(backup->part))
		return fail_file(backup, backup->file, ENAMETOOLONG);
	backup->fd = open(backup->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (backup->fd < 0)
		return fail_file(backup, backup->part, errno);
	bool locked = flock(backup->fd, LOCK_EX | LOCK_NB) == 0;
	/* The backup that held the lock may have finished just now: then this is no part any more. */
	if (locked && fstat(backup->fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink > 0 && fchmod(backup->fd, 0600) == 0)
		return OUTCOME_DONE;
	(void)close(backup->fd);
	return client_fail(backup->client, OUTCOME_LOCAL, "busy", "another backup writes %s", backup->part);
}

static void drop_part(struct backup *backup)
{
	(void)unlink(backup->part);
	(void)close(backup->fd);
}

/* Without --replace nothing is overwritten, not even what came there meanwhile. */
static enum outcome put_in_place(struct backup *backup)
{
	if (fsync(backup->fd) != 0)
		return fail_file(backup, backup->part, errno);
	int failed = renameat2(AT_FDCWD, backup->part, AT_FDCWD, backup->file, backup->replace ? 0 : RENAME_NOREPLACE);
	if (failed != 0 && !backup->replace && (errno == EINVAL || errno == ENOSYS))     /* some file systems know no such rename */
		failed = link(backup->part, backup->file) != 0 || unlink(backup->part) != 0;
	if (failed != 0)
		return fail_file(backup, backup->file, errno);
	snapshot_sync_folder(backup->file);
	(void)close(backup->fd);
	return OUTCOME_DONE;
}

/* ---- the transfer ------------------------------------------------------------------------------------ */

static bool go_on(void *context, int64_t bytes, int64_t total)
{
	struct backup *backup = context;
	int64_t now_ms = wait_now_ms();
	backup->progress.total = (uint64_t)total;
	progress_update(&backup->progress, (uint64_t)bytes >> 20, (uint64_t)bytes, now_ms);
	return !wait_is_interrupted() && (backup->deadline_ms == 0 || now_ms < backup->deadline_ms);
}

static enum outcome explain(const struct backup *backup, enum pygmy_error error, long status, const char *url, const char *why)
{
	const struct client *client = backup->client;
	if (wait_is_interrupted())
		return client_fail(client, OUTCOME_INTERRUPTED, "interrupted", "stopped; %s was not written", backup->file);
	if (error == PYGMY_STOPPING)
		return client_fail(client, OUTCOME_UNAVAILABLE, "timeout", "the backup took longer than --timeout");
	if (error != PYGMY_NOT_READY)
		return client_fail(client, OUTCOME_LOCAL, "file", "can't write %s: %s", backup->part, why[0] != '\0' ? why : error_text(error));
	bool refused = status >= 400 && status < 500;
	enum outcome outcome = client_fail(client, refused ? OUTCOME_REFUSED : OUTCOME_UNAVAILABLE, refused ? "refused" : "unavailable",
					   "no backup from %s: %s", url, why);
	if (status == HTTP_UNAUTHORIZED)
		(void)fprintf(stderr, "  The token in %s is not this store's.\n", client->settings.token_file);
	return outcome;
}

/* Asks each catalog worker until one gives a whole copy. */
static enum outcome fetch(struct backup *backup)
{
	const struct client *client = backup->client;
	const struct settings *settings = &client->settings;
	const struct tls_files tls = { settings->peer_ca, settings->peer_certificate, settings->peer_key };
	enum pygmy_error error = PYGMY_NOT_READY;
	const char *url = "";
	char why[SNAPSHOT_WHY_BYTES] = "there is no URL";
	long status = 0;
	for (size_t i = 0; error == PYGMY_NOT_READY && (status < 400 || status >= 500) && i < settings->catalog.count; i++) {
		url = settings->catalog.url[i];
		const struct snapshot_source source = { .url = url, .token = client->token.value, .tls = &tls, .complete = !backup->stale,
							.go_on = go_on, .context = backup };
		if (ftruncate(backup->fd, 0) != 0 || lseek(backup->fd, 0, SEEK_SET) != 0)
			return fail_file(backup, backup->part, errno);
		error = snapshot_download(&source, backup->fd, &status, why);
	}
	progress_wipe(&backup->progress);
	return error == PYGMY_OK ? OUTCOME_DONE : explain(backup, error, status, url, why);
}

static enum outcome check(struct backup *backup)
{
	char why[SNAPSHOT_WHY_BYTES];
	enum pygmy_error error = snapshot_check(backup->part, &backup->info, why);
	if (error == PYGMY_OK)
		return OUTCOME_DONE;
	if (error == PYGMY_STORAGE_CORRUPT || error == PYGMY_INCOMPATIBLE)
		return client_fail(backup->client, OUTCOME_UNAVAILABLE, "damaged", "the store's copy is not a good backup: %s", why);
	return snapshot_facts_fail(backup->client, backup->part, error, why);
}

/* ---- the command ------------------------------------------------------------------------------------- */

static enum outcome write_backup(struct backup *backup)
{
	enum outcome outcome = check_target(backup);
	if (outcome == OUTCOME_DONE)
		outcome = open_part(backup);
	if (outcome != OUTCOME_DONE)
		return outcome;
	outcome = fetch(backup);
	if (outcome == OUTCOME_DONE)
		outcome = check(backup);
	if (outcome == OUTCOME_DONE)
		outcome = put_in_place(backup);
	if (outcome != OUTCOME_DONE)
		drop_part(backup);
	else
		snapshot_facts_show(backup->client, "Wrote the backup", backup->file, &backup->info);
	return outcome;
}

static enum outcome run_backup(struct client *client, int argc, char **argv)
{
	struct backup backup = { .client = client };
	const struct args_option options[] = {
		ARGS_OPTION_FLAG("--replace", &backup.replace),
		ARGS_OPTION_FLAG("--stale", &backup.stale),
	};
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, options, 2, argc, argv, 1, 1, &args, &outcome) || (outcome = client_need_token(client)) != OUTCOME_DONE)
		return outcome;
	if (!snapshot_facts_init())
		return client_fail(client, OUTCOME_LOCAL, "random", "the system gives no random numbers");
	int64_t now_ms = wait_now_ms();
	backup.file = args.positionals[0];
	backup.deadline_ms = client->settings.timeout_ms > 0 ? now_ms + client->settings.timeout_ms : 0;
	progress_init(&backup.progress, stderr, isatty(STDERR_FILENO) == 1, client->quiet, "fetched", 0, now_ms);
	backup.progress.unit = "MiB";
	return write_backup(&backup);
}

const struct command command_backup = {
	.name = "backup",
	.usage = "FILE [--replace] [--stale]",
	.summary = "write a copy of the whole store (needs the admin token)",
	.help = "A catalog worker makes a copy of its database, of one moment, while the store goes on; it holds at least everything that was\n"
		"acknowledged before. It is fetched, checked as `pygmy verify` does, and only then put in place: FILE is there whole or not at all. It is\n"
		"readable by its owner only. There is no time limit unless --timeout gives one.\n\n"
		"  --replace            overwrite FILE if it is there\n"
		"  --stale              also from a cluster that has lost its majority: what one replica has, perhaps not the newest\n\n"
		"Example: pygmy backup pygmy-$(date +%F).db\n",
	.run = run_backup,
};
