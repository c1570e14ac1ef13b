/*
 * pygmy import FILE: loads a catalogue file.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/import.h"
#include "client/pygmy/wait.h"

/* Opens the file, or standard input for "-". *total_bytes: 0 when not known. -1: said why. */
static int open_file(const struct client *client, const char *name, uint64_t *total_bytes, enum outcome *outcome)
{
	struct stat status;
	bool is_input = strcmp(name, "-") == 0;
	int fd = is_input ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int error = fd < 0 || fstat(fd, &status) != 0 ? errno : S_ISDIR(status.st_mode) ? EISDIR : 0;
	if (error == 0) {
		*total_bytes = !is_input && S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
		return fd;
	}
	if (fd > STDIN_FILENO)
		(void)close(fd);
	*outcome = client_fail(client, OUTCOME_LOCAL, "file", "can't open %s: %s", name, strerror(error));
	return -1;
}

/* It stopped in the middle: what is true now, and what to do. */
static void tell_stopped(const struct import *import)
{
	struct text count = TEXT_INIT(64);
	count_append(&count, import->loaded);
	if (import->outcome == OUTCOME_INTERRUPTED)
		(void)client_fail(import->client, OUTCOME_INTERRUPTED, "interrupted", "stopped");
	if (import->check_only)
		(void)fputs("  Nothing was sent.\n", stderr);
	else if (import->loaded == 0 && import->outcome != OUTCOME_UNKNOWN)
		(void)fputs("  Nothing was loaded; repeat the same command when this is put right.\n", stderr);
	else
		(void)fprintf(stderr, "  %s items were loaded and stay%s. Loading an item again is harmless:"
				      " repeat the same command when this is put right.\n",
			      text_borrow(&count), import->outcome == OUTCOME_UNKNOWN ? ", perhaps some more" : "");
	if (import->replace && !import->check_only)
		(void)fprintf(stderr, "  %" PRIu64 " items were removed.\n", import->removed);
	text_close(&count);
}

static void tell_done(const struct client *client, const struct import *import, int64_t elapsed_ms)
{
	struct text line = TEXT_INIT(256);
	double seconds = (double)elapsed_ms / 1000;
	if (client->json) {
		client_print_json_value(json_pack("{s:I, s:I, s:f, s:s}", import->check_only ? "checked" : "loaded", (json_int_t)import->loaded,
						  "removed", (json_int_t)import->removed, "seconds", seconds, "status", "Success"));
		return;
	}
	(void)text_append_string(&line, import->check_only ? "The file is good: " : "Loaded ");
	count_append(&line, import->loaded);
	(void)text_append_format(&line, " items in %.1f s", seconds);
	if (!import->check_only && elapsed_ms >= 1000) {
		(void)text_append_string(&line, " (");
		count_append(&line, import->loaded * 1000 / (uint64_t)elapsed_ms);
		(void)text_append_string(&line, "/s)");
	}
	if (import->replace && !import->check_only) {
		(void)text_append_string(&line, ", removed ");
		count_append(&line, import->removed);
		(void)text_append_string(&line, " that were not in the file");
	}
	(void)printf("%s.\n", text_borrow(&line));
	text_close(&line);
}

static enum outcome import_file(struct client *client, const char *name, struct import *import)
{
	uint64_t total_bytes = 0;
	enum outcome outcome = OUTCOME_DONE;
	int64_t started_ms = wait_now_ms();
	int fd = open_file(client, name, &total_bytes, &outcome);
	if (fd < 0)
		return outcome;
	outcome = import_load(import, client, fd, total_bytes);
	if (outcome == OUTCOME_DONE && import->replace && !import->check_only)
		outcome = import_remove_others(import);
	if (outcome == OUTCOME_DONE)
		tell_done(client, import, wait_now_ms() - started_ms);
	else
		tell_stopped(import);
	import_close(import);
	if (fd != STDIN_FILENO)
		(void)close(fd);
	return outcome;
}

static enum outcome run_import(struct client *client, int argc, char **argv)
{
	struct import import = { .outcome = OUTCOME_DONE };
	const struct args_option options[] = {
		ARGS_OPTION_FLAG("--replace", &import.replace),
		ARGS_OPTION_FLAG("--check", &import.check_only),
	};
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, options, 2, argc, argv, 1, 1, &args, &outcome))
		return outcome;
	if (!import.check_only && (outcome = client_need_token(client)) != OUTCOME_DONE)
		return outcome;
	import.file_name = strcmp(args.positionals[0], "-") == 0 ? "standard input" : args.positionals[0];
	return import_file(client, args.positionals[0], &import);
}

const struct command command_import = {
	.name = "import",
	.usage = "FILE|- [--replace] [--check]",
	.summary = "load a catalogue file (needs the admin token)",
	.help = "The file is JSON: an array of items {\"id\", \"title\", \"topic\", \"cost\", \"count\"}, an object {\"items\": [...]}, or one item per line.\n"
		"It may be of any size. An item that exists is overwritten; when an id stands twice in the file, the later one counts.\n"
		"When it stops in the middle, it says what was loaded; the same command can be repeated.\n\n"
		"  --replace            then remove every item that is not in the file\n"
		"  --check              only check the file, send nothing\n\n"
		"Example: pygmy import catalogue.json\n",
	.run = run_import,
};
