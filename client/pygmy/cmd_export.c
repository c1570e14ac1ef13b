/*
 * pygmy export [FILE]: the catalogue as a file that pygmy import reads.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/pygmy/catalogue_item.h"
#include "client/pygmy/commands.h"
#include "client/pygmy/envelope.h"
#include "client/pygmy/out_file.h"
#include "client/pygmy/progress.h"
#include "client/pygmy/wait.h"
#include "db/limits.h"

#define EXPORT_ITEM_MAX_BYTES 8192

struct export {
	struct client *client;
	FILE *out;
	struct progress progress;
	uint64_t count;
	int64_t after;                /* the last id that was written */
};

static bool write_item(struct export *export, const json_t *row)
{
	struct catalogue_item item;
	char error[CATALOGUE_ITEM_ERROR_MAX_BYTES];
	struct text line = TEXT_INIT(EXPORT_ITEM_MAX_BYTES);
	if (!catalogue_item_from_json(row, &item, error) || item.id <= export->after)
		return false;
	(void)text_append_string(&line, export->count == 0 ? "[\n  " : ",\n  ");
	bool good = catalogue_item_append_json(&line, &item);
	if (good)
		(void)fwrite(line.bytes, 1, line.len, export->out);
	text_close(&line);
	export->after = item.id;
	export->count++;
	return good;
}

static enum outcome write_page(struct export *export, const json_t *envelope)
{
	const json_t *rows = envelope_list(envelope, "item");
	size_t index;
	const json_t *row;
	bool good = rows != NULL;
	json_array_foreach((json_t *)(uintptr_t)rows, index, row)
		good = good && write_item(export, row);
	if (!good)
		return client_fail(export->client, OUTCOME_UNAVAILABLE, "not_a_store", "the store's answer has no list of items, or one that can't be read");
	progress_update(&export->progress, export->count, 0, wait_now_ms());
	return OUTCOME_DONE;
}

static enum outcome write_all(struct export *export)
{
	enum outcome outcome = OUTCOME_DONE;
	bool more = true;
	while (more && outcome == OUTCOME_DONE && ferror(export->out) == 0) {
		char path[80];
		struct reply reply;
		(void)snprintf(path, sizeof(path), "/item?limit=%d&after=%" PRId64, PAGE_MAX, export->after);
		const struct ask ask = { .urls = &export->client->settings.catalog, .request = { .method = "GET", .path = path } };
		outcome = client_ask(export->client, &ask, &reply);
		if (outcome == OUTCOME_DONE)
			outcome = write_page(export, reply.envelope);
		more = envelope_next(reply.envelope) > 0;
		reply_close(&reply);
		if (outcome == OUTCOME_DONE && wait_is_interrupted())
			outcome = OUTCOME_INTERRUPTED;
	}
	if (outcome == OUTCOME_DONE)
		(void)fputs(export->count == 0 ? "[]\n" : "\n]\n", export->out);
	progress_wipe(&export->progress);
	return outcome;
}

static enum outcome export_to_file(struct export *export, const char *name)
{
	struct out_file file;
	int error = out_file_open(&file, name);
	if (error != 0)
		return client_fail(export->client, OUTCOME_LOCAL, "file", "can't write %s: %s", name, strerror(error));
	export->out = file.stream;
	enum outcome outcome = write_all(export);
	if (outcome != OUTCOME_DONE) {
		out_file_abandon(&file);
		(void)fprintf(stderr, "  %s was left as it was.\n", name);
		return outcome;
	}
	error = out_file_commit(&file);
	if (error != 0)
		return client_fail(export->client, OUTCOME_LOCAL, "file", "can't write %s: %s", name, strerror(error));
	if (export->client->json) {
		client_print_json_value(json_pack("{s:I, s:s}", "exported", (json_int_t)export->count, "status", "Success"));
		return OUTCOME_DONE;
	}
	struct text count = TEXT_INIT(64);
	count_append(&count, export->count);
	(void)printf("Wrote %s items to %s.\n", text_borrow(&count), name);
	text_close(&count);
	return OUTCOME_DONE;
}

static enum outcome run_export(struct client *client, int argc, char **argv)
{
	struct export export = { .client = client, .out = stdout };
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, NULL, 0, argc, argv, 0, 1, &args, &outcome))
		return outcome;
	progress_init(&export.progress, stderr, isatty(STDERR_FILENO) == 1 && (args.positional_count == 1 || isatty(STDOUT_FILENO) != 1),
		      client->quiet || (args.positional_count == 0 && isatty(STDOUT_FILENO) == 1), "written", 0, wait_now_ms());
	if (args.positional_count == 1 && strcmp(args.positionals[0], "-") != 0)
		return export_to_file(&export, args.positionals[0]);
	return write_all(&export);
}

const struct command command_export = {
	.name = "export",
	.usage = "[FILE|-]",
	.summary = "write the catalogue as a file that import reads",
	.help = "Without FILE, or with -, to standard output. A FILE is there whole or not at all. The items are read page by page: changes that\n"
		"happen meanwhile may be in it or not.\n\n"
		"Example: pygmy export catalogue.json\n",
	.run = run_export,
};
