/*
 * member_rows: every text of the answer goes through the table or safe_text.
 */
#include "client/pygmy/member_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/pygmy/safe_text.h"
#include "client/pygmy/text.h"

#define CHAIN_SHOWN 12                /* hex digits */
#define LINE_MAX_BYTES 4096

static const struct table_column columns[] = {
	{ .title = "NODE" },
	{ .title = "ROLE" },
	{ .title = "PHASE" },
	{ .title = "INDEX", .right = true },
	{ .title = "LAG", .right = true },
	{ .title = "CHAIN" },
	{ .title = "AGREES" },
	{ .title = "UP SINCE" },
	{ .title = "VERSION" },
	{ .title = "ADDRESS", .flexible = true },
};

bool member_rows_is_cluster(const json_t *envelope)
{
	const char *kind = json_string_value(json_object_get(json_object_get(envelope, "log"), "kind"));
	return kind != NULL && strcmp(kind, "etcd") == 0;
}

static void add_text(struct table *table, const json_t *member, const char *name, size_t max_len)
{
	const json_t *value = json_object_get(member, name);
	size_t len = json_string_length(value);
	if (!json_is_string(value) || len == 0)
		table_add_string(table, "-");
	else
		table_add_bytes(table, json_string_value(value), len < max_len ? len : max_len);
}

static void add_number(struct table *table, const json_t *member, const char *name)
{
	const json_t *value = json_object_get(member, name);
	if (json_is_integer(value))
		table_add_integer(table, json_integer_value(value));
	else
		table_add_string(table, "-");
}

static void add_time(struct table *table, const json_t *member, const char *name)
{
	const json_t *value = json_object_get(member, name);
	char text[40];
	struct tm utc;
	time_t seconds = (time_t)(json_integer_value(value) / 1000);
	if (json_is_integer(value) && gmtime_r(&seconds, &utc) != NULL && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &utc) > 0)
		table_add_string(table, text);
	else
		table_add_string(table, "-");
}

static void add_agreement(struct table *table, const json_t *member)
{
	const json_t *value = json_object_get(member, "agrees");
	table_add_string(table, json_is_true(value) ? "yes" : json_is_false(value) ? "NO" : "-");
}

static void add_member(struct table *table, const json_t *member)
{
	add_text(table, member, "name", SIZE_MAX);
	add_text(table, member, "role", SIZE_MAX);
	add_text(table, member, "phase", SIZE_MAX);
	add_number(table, member, "index");
	add_number(table, member, "lag");
	add_text(table, member, "chain", CHAIN_SHOWN);
	add_agreement(table, member);
	add_time(table, member, "since_ms");
	add_text(table, member, "version", SIZE_MAX);
	add_text(table, member, "catalog_url", SIZE_MAX);
}

/* ---- the log ------------------------------------------------------------------------------------------- */

static void append_endpoint(struct text *line, const json_t *endpoint)
{
	const json_t *url = json_object_get(endpoint, "url");
	(void)text_append_string(line, line->len > 0 ? "; " : "");
	(void)safe_text_append(line, json_is_string(url) ? json_string_value(url) : "?", json_is_string(url) ? json_string_length(url) : 1);
	if (!json_is_true(json_object_get(endpoint, "reachable"))) {
		(void)text_append_string(line, " does not answer");
		return;
	}
	(void)text_append_format(line, "%s, %.1f MB", json_is_true(json_object_get(endpoint, "leader")) ? " leads" : "",
				 (double)json_integer_value(json_object_get(endpoint, "db_bytes")) / 1e6);
}

static void show_log(const json_t *log)
{
	struct text line = TEXT_INIT(LINE_MAX_BYTES);
	size_t index;
	const json_t *endpoint;
	json_array_foreach((json_t *)(uintptr_t)json_object_get(log, "endpoints"), index, endpoint)
		append_endpoint(&line, endpoint);
	(void)printf("\nLog: %s, ends at index %" PRId64 "; %s\n", json_is_true(json_object_get(log, "quorum")) ? "has its quorum" : "NO QUORUM",
		     (int64_t)json_integer_value(json_object_get(log, "end")), line.failed ? "" : text_borrow(&line));
	text_close(&line);
}

void member_rows_show(const struct client *client, const json_t *envelope)
{
	struct table table;
	size_t index;
	const json_t *member;
	client_table_init(client, &table, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach((json_t *)(uintptr_t)json_object_get(envelope, "members"), index, member)
		add_member(&table, member);
	(void)table_flush(&table);
	table_close(&table);
	if (member_rows_is_cluster(envelope))
		show_log(json_object_get(envelope, "log"));
}
