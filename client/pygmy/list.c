/*
 * list: one loop over pages; a page goes to a table or, with --json, to standard output as JSON.
 */
#include "client/pygmy/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/pygmy/envelope.h"
#include "client/pygmy/wait.h"
#include "db/limits.h"

#define PATH_MAX_BYTES 4096

bool list_page_path(const struct list *list, int64_t cursor, struct text *out)
{
	const char *separator = strchr(list->path, '?') == NULL ? "?" : "&";
	(void)text_append_string(out, list->path);
	int64_t limit = list->limit != ARGS_NOT_GIVEN ? list->limit : list->all ? PAGE_MAX : ARGS_NOT_GIVEN;
	if (limit != ARGS_NOT_GIVEN) {
		(void)text_append_format(out, "%slimit=%" PRId64, separator, limit);
		separator = "&";
	}
	if (cursor != ARGS_NOT_GIVEN)
		(void)text_append_format(out, "%s%s=%" PRId64, separator, list->cursor_name, cursor);
	return !out->failed;
}

struct list_run {
	struct client *client;
	const struct list *list;
	struct table table;
	uint64_t rows;
};

static bool show_rows(struct list_run *run, const json_t *rows)
{
	size_t count = json_array_size(rows);
	for (size_t i = 0; i < count; i++) {
		if (!run->list->add_row(&run->table, json_array_get(rows, run->list->reverse ? count - 1 - i : i)))
			return false;
	}
	run->rows += count;
	return count == 0 || table_flush(&run->table);
}

/* With --json and all: the rows of all pages as one list. */
static void print_json_rows(struct list_run *run, const json_t *rows)
{
	size_t index;
	json_t *row;
	if (run->rows == 0)
		(void)printf("{\"%s\":[", run->list->payload);
	json_array_foreach((json_t *)(uintptr_t)rows, index, row) {
		char *line = json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12));
		(void)printf("%s%s", run->rows == 0 ? "" : ",", line == NULL ? "null" : line);
		free(line);
		run->rows++;
	}
}

static enum outcome show_page(struct list_run *run, const struct reply *reply)
{
	const json_t *rows = envelope_list(reply->envelope, run->list->payload);
	if (rows == NULL)
		return client_fail(run->client, OUTCOME_UNAVAILABLE, "not_a_store", "the store's answer has no list of %ss", run->list->payload);
	if (run->client->json && run->list->all)
		print_json_rows(run, rows);
	else if (run->client->json)
		client_print_json(&reply->answer);
	else if (!show_rows(run, rows))
		return client_fail(run->client, OUTCOME_UNAVAILABLE, "not_a_store", "the store's answer has a row that can't be read");
	(void)fflush(stdout);
	return OUTCOME_DONE;
}

/* Fetches and shows one page; *cursor becomes the next one, ARGS_NOT_GIVEN behind the last. */
static enum outcome next_page(struct list_run *run, int64_t *cursor)
{
	struct text path = TEXT_INIT(PATH_MAX_BYTES);
	struct reply reply;
	if (!list_page_path(run->list, *cursor, &path)) {
		text_close(&path);
		return client_fail(run->client, OUTCOME_USAGE, "usage", "the question is too long");
	}
	const struct ask ask = { .urls = run->list->urls, .request = { .method = "GET", .path = text_borrow(&path) } };
	enum outcome outcome = client_ask(run->client, &ask, &reply);
	if (outcome == OUTCOME_DONE)
		outcome = show_page(run, &reply);
	json_int_t next = envelope_next(reply.envelope);
	*cursor = next > 0 ? next : ARGS_NOT_GIVEN;
	reply_close(&reply);
	text_close(&path);
	return outcome;
}

static void finish(struct list_run *run, int64_t cursor)
{
	const struct list *list = run->list;
	if (run->client->json && list->all && run->rows > 0)
		(void)puts("],\"message\":{},\"status\":\"Success\",\"validation_code\":200}");
	else if (run->client->json && list->all)
		(void)printf("{\"%s\":[],\"message\":{},\"status\":\"Success\",\"validation_code\":200}\n", list->payload);
	else if (!run->client->json && run->rows == 0)
		client_note(run->client, "%s", list->empty_text);
	if (cursor != ARGS_NOT_GIVEN && !run->client->json && !list->is_complete && ferror(stdout) == 0)
		client_note(run->client, "there are more: add --%s %" PRId64 ", or --all", list->cursor_name, cursor);
}

enum outcome list_show(struct client *client, const struct list *list)
{
	struct list_run run = { .client = client, .list = list };
	int64_t cursor = list->cursor;
	enum outcome outcome;
	client_table_init(client, &run.table, list->columns, list->column_count);
	do {
		int64_t before = cursor;
		outcome = next_page(&run, &cursor);
		if (outcome == OUTCOME_DONE && cursor != ARGS_NOT_GIVEN && cursor == before)
			outcome = client_fail(client, OUTCOME_UNAVAILABLE, "not_a_store", "the store's pages do not go on");
		if (outcome == OUTCOME_DONE && wait_is_interrupted())
			outcome = OUTCOME_INTERRUPTED;
	} while (list->all && outcome == OUTCOME_DONE && cursor != ARGS_NOT_GIVEN && ferror(stdout) == 0);
	if (outcome == OUTCOME_DONE)
		finish(&run, cursor);
	table_close(&run.table);
	return outcome;
}
