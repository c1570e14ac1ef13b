/*
 * pygmy status: a line per server, and in a cluster a line per replica.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/pygmy/commands.h"
#include "client/pygmy/member_rows.h"
#include "client/pygmy/store_status.h"
#include "client/pygmy/wait.h"

#define WATCH_DEFAULT_S 2

static const struct table_column status_columns[] = {
	{ .title = "SERVER" },
	{ .title = "REVISION", .right = true },
	{ .title = "UPTIME", .right = true },
	{ .title = "RESTARTS", .right = true },
	{ .title = "CRASHES", .right = true },
	{ .title = "REQUESTS", .right = true },
	{ .title = "PID", .right = true },
	{ .title = "ADDRESS" },
	{ .title = "STATE", .flexible = true },
};

#define STATUS_COLUMNS (sizeof(status_columns) / sizeof(status_columns[0]))

static void add_number(struct table *table, const json_t *worker, const char *name)
{
	const json_t *value = json_object_get(worker, name);
	if (json_is_integer(value))
		table_add_integer(table, json_integer_value(value));
	else
		table_add_string(table, "-");
}

static void add_uptime(struct table *table, const json_t *worker)
{
	const json_t *started = json_object_get(worker, "started_ms");
	struct timespec now;
	struct text uptime = TEXT_INIT(32);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (json_is_integer(started))
		duration_append(&uptime, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - json_integer_value(started));
	table_add_string(table, uptime.len > 0 ? text_borrow(&uptime) : "-");
	text_close(&uptime);
}

static void add_server(struct table *table, const struct server_status *server)
{
	table_add_string(table, server->name);
	add_number(table, server->worker, "revision");
	add_uptime(table, server->worker);
	add_number(table, server->worker, "restarts");
	add_number(table, server->worker, "crashes");
	add_number(table, server->worker, "requests");
	add_number(table, server->worker, "pid");
	table_add_string(table, server->url.url[0]);
	table_add_string(table, server->state);
}

static void show_table(const struct client *client, const struct store_status *status)
{
	struct table table;
	client_table_init(client, &table, status_columns, STATUS_COLUMNS);
	for (size_t i = 0; i < status->count; i++)
		add_server(&table, &status->servers[i]);
	(void)table_flush(&table);
	table_close(&table);
	if (status->members == NULL)
		return;
	(void)fputc('\n', stdout);
	member_rows_show(client, status->members);
}

static void show_json(const struct store_status *status)
{
	json_t *servers = json_array();
	for (size_t i = 0; i < status->count; i++) {
		const struct server_status *server = &status->servers[i];
		json_t *worker = server->worker == NULL ? json_null() : json_incref(server->worker);
		json_t *shown = json_pack("{s:s, s:s, s:s, s:b, s:s, s:o}", "kind", server->kind, "name", server->name, "url", server->url.url[0], "ready",
			server->ready, "state", server->state, "worker", worker);
		if (server->nodes != NULL)
			(void)json_object_set(shown, "nodes", server->nodes);
		(void)json_array_append_new(servers, shown);
	}
	json_t *value = json_pack("{s:b, s:o, s:s}", "ready", status->ready, "servers", servers, "status", status->ready ? "Success" : "Failed");
	if (status->members != NULL) {
		(void)json_object_set(value, "log", json_object_get(status->members, "log"));
		(void)json_object_set(value, "members", json_object_get(status->members, "members"));
	}
	client_print_json_value(value);
}

static enum outcome show_status(const struct client *client, bool clear_screen)
{
	struct store_status status;
	if (!store_status_get(&client->settings, &status)) {
		store_status_close(&status);
		return client_fail(client, OUTCOME_LOCAL, "out_of_memory", "out of memory or threads");
	}
	if (clear_screen)
		(void)fputs("\033[H\033[J", stdout);
	if (client->json)
		show_json(&status);
	else
		show_table(client, &status);
	(void)fflush(stdout);
	enum outcome outcome = status.ready ? OUTCOME_DONE : OUTCOME_UNAVAILABLE;
	store_status_close(&status);
	return outcome;
}

static enum outcome run_status(struct client *client, int argc, char **argv)
{
	bool watch = false;
	int64_t interval_s = ARGS_NOT_GIVEN;
	const struct args_option options[] = {
		ARGS_OPTION_FLAG("--watch", &watch),
		ARGS_OPTION_INTEGER("--interval", &interval_s, 1, SETTINGS_TIMEOUT_MAX_S),
	};
	struct args args;
	enum outcome outcome;
	if (!client_begin(client, options, 2, argc, argv, 0, 0, &args, &outcome))
		return outcome;
	bool clear_screen = watch && !client->json && isatty(STDOUT_FILENO) == 1;
	outcome = show_status(client, clear_screen);
	while (watch && outcome != OUTCOME_LOCAL && ferror(stdout) == 0 && !wait_is_interrupted()) {
		wait_for_ms((interval_s == ARGS_NOT_GIVEN ? WATCH_DEFAULT_S : interval_s) * 1000);
		if (!wait_is_interrupted())
			outcome = show_status(client, clear_screen);
	}
	return outcome;
}

const struct command command_status = {
	.name = "status",
	.usage = "[--watch [--interval SECONDS]]",
	.summary = "show how the frontend, the workers and the replicas are",
	.help = "Exit status 0 when all of them are ready, 3 when one is not or does not answer.\n\n"
		"  --watch              show it again and again until Ctrl-C\n"
		"  --interval SECONDS   between two looks (2)\n\n"
		"Example: pygmy status --watch\n",
	.run = run_status,
};
