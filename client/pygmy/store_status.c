/*
 * store_status: rounds through a send pool: /status, /readyz (of the frontend: /healthz only), /members, /nodes (of the frontend).
 */
#include "client/pygmy/store_status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/pygmy/envelope.h"
#include "client/pygmy/member_rows.h"
#include "client/pygmy/safe_text.h"

static void add_servers(struct store_status *status, const char *kind, const struct settings_urls *urls)
{
	for (size_t i = 0; i < urls->count; i++) {
		struct server_status *server = &status->servers[status->count++];
		server->kind = kind;
		server->url.count = 1;
		memcpy(server->url.url[0], urls->url[i], sizeof(server->url.url[0]));
		if (urls->count == 1 || (i == 0 && strcmp(kind, "frontend") == 0))
			(void)snprintf(server->name, sizeof(server->name), "%s", kind);
		else if (strcmp(kind, "frontend") == 0)
			(void)snprintf(server->name, sizeof(server->name), "%s-%zu", kind, i + 1);
		else
			(void)snprintf(server->name, sizeof(server->name), "%s-%c", kind, (char)('A' + i));
		http_answer_init(&server->job.answer);
	}
}

static bool is_worker(const struct server_status *server)
{
	return strcmp(server->kind, "frontend") != 0;
}

static void ask_all(struct send_pool *pool, struct store_status *status, const char *worker_path, const char *frontend_path)
{
	for (size_t i = 0; i < status->count; i++) {
		struct server_status *server = &status->servers[i];
		const char *path = is_worker(server) ? worker_path : frontend_path;
		if (path == NULL)
			continue;
		server->job.request = (struct http_request){ .method = "GET", .path = path };
		server->job.urls = &server->url;
		server->job.policy = (struct retry_policy){ .deadline_ms = STORE_STATUS_TIMEOUT_MS, .attempt_ms = STORE_STATUS_TIMEOUT_MS,
							    .rounds_max = 1 };
		send_pool_submit(pool, &server->job);
	}
	while (send_pool_take(pool) != NULL)
		continue;
}

/* /status: what the worker says about itself, among it its name. */
static void take_worker(struct server_status *server)
{
	json_t *envelope = server->job.answer.result == HTTP_ANSWERED ? envelope_parse(&server->job.answer) : NULL;
	json_t *worker = json_object_get(envelope, "worker");
	const json_t *name = json_object_get(worker, "name");
	if (json_is_object(worker))
		server->worker = json_incref(worker);
	if (json_is_string(name)) {
		struct text safe = TEXT_INIT(SERVER_NAME_MAX_BYTES - 1);
		if (safe_text_append(&safe, json_string_value(name), json_string_length(name)) && safe.len > 0)
			(void)snprintf(server->name, sizeof(server->name), "%s", text_borrow(&safe));
		text_close(&safe);
	}
	json_decref(envelope);
}

/* /readyz or /healthz: the verdict. */
static void take_verdict(struct server_status *server)
{
	const struct http_answer *answer = &server->job.answer;
	server->ready = answer->result == HTTP_ANSWERED && answer->status == 200;
	if (server->ready) {
		(void)snprintf(server->state, sizeof(server->state), "ready");
	} else if (answer->result != HTTP_ANSWERED) {
		(void)snprintf(server->state, sizeof(server->state), "no answer: %s", answer->reason);
	} else {
		struct text message = TEXT_INIT(SERVER_STATE_MAX_BYTES - 1);
		envelope_message(answer, &message);
		(void)snprintf(server->state, sizeof(server->state), "%s", text_borrow(&message));
		text_close(&message);
	}
}

/* Whether one of a node's workers is asked. */
static bool is_in(const json_t *node, const char *worker)
{
	const char *state = json_string_value(json_object_get(node, worker));
	return state != NULL && strcmp(state, "in") == 0;
}

/* "; leaves out B, C (order)" behind the state of a frontend, when it does. */
static void append_left_out(struct server_status *server)
{
	struct text state = TEXT_INIT(SERVER_STATE_MAX_BYTES - 1);
	bool fits = text_append(&state, server->state, strlen(server->state)), first = true;
	size_t i;
	const json_t *node;
	json_array_foreach(server->nodes, i, node) {
		bool catalog = is_in(node, "catalog"), order = is_in(node, "order");
		const json_t *name = json_object_get(node, "name");
		if ((catalog && order) || !json_is_string(name))
			continue;
		fits = fits && text_append_format(&state, "%s", first ? "; leaves out " : ", ") &&
		       safe_text_append(&state, json_string_value(name), json_string_length(name)) &&
		       text_append_format(&state, "%s", order ? " (catalog)" : catalog ? " (order)" : "");
		first = false;
	}
	if (fits)
		(void)snprintf(server->state, sizeof(server->state), "%s", text_borrow(&state));
	text_close(&state);
}

static void take_nodes(struct server_status *server)
{
	const struct http_answer *answer = &server->job.answer;
	json_t *envelope = answer->result == HTTP_ANSWERED && answer->status == 200 ? envelope_parse(answer) : NULL;
	json_t *nodes = json_object_get(envelope, "nodes");
	if (json_is_array(nodes)) {
		server->nodes = json_incref(nodes);
		append_left_out(server);
	}
	json_decref(envelope);
}

/* How much an answer is worth: one that has the quorum more than one without, and then the one that knows the newest end. */
static json_int_t worth(const json_t *envelope)
{
	const json_t *log = json_object_get(envelope, "log");
	json_int_t end = json_integer_value(json_object_get(log, "end"));
	return json_is_true(json_object_get(log, "quorum")) ? end : end - (json_int_t)INT64_MAX;
}

static void take_members(struct store_status *status, const struct server_status *server)
{
	const struct http_answer *answer = &server->job.answer;
	json_t *envelope = answer->result == HTTP_ANSWERED && answer->status == 200 ? envelope_parse(answer) : NULL;
	if (member_rows_is_cluster(envelope) && (status->members == NULL || worth(envelope) > worth(status->members))) {
		json_decref(status->members);
		status->members = json_incref(envelope);
	}
	json_decref(envelope);
}

bool store_status_get(const struct settings *settings, struct store_status *out)
{
	*out = (struct store_status){ .ready = true };
	add_servers(out, "frontend", &settings->frontend);
	add_servers(out, "catalog", &settings->catalog);
	add_servers(out, "order", &settings->order);
	struct send_pool *pool = send_pool_create((unsigned)out->count);
	if (pool == NULL)
		return false;
	ask_all(pool, out, "/status", NULL);
	for (size_t i = 0; i < out->count; i++) {
		if (is_worker(&out->servers[i]))
			take_worker(&out->servers[i]);
	}
	ask_all(pool, out, "/readyz?verbose", "/healthz");
	for (size_t i = 0; i < out->count; i++) {
		take_verdict(&out->servers[i]);
		out->ready = out->ready && out->servers[i].ready;
	}
	ask_all(pool, out, "/members", "/members");
	for (size_t i = 0; i < out->count; i++)
		take_members(out, &out->servers[i]);
	ask_all(pool, out, NULL, "/nodes");
	for (size_t i = 0; i < out->count; i++)
		if (!is_worker(&out->servers[i]))
			take_nodes(&out->servers[i]);
	send_pool_destroy(pool);
	return true;
}

void store_status_close(struct store_status *status)
{
	for (size_t i = 0; i < status->count; i++) {
		json_decref(status->servers[i].worker);
		json_decref(status->servers[i].nodes);
		http_answer_close(&status->servers[i].job.answer);
	}
	json_decref(status->members);
	status->members = NULL;
	status->count = 0;
}

void duration_append(struct text *out, int64_t duration_ms)
{
	int64_t seconds = duration_ms < 0 ? 0 : duration_ms / 1000;
	if (seconds < 60)
		(void)text_append_format(out, "%" PRId64 "s", seconds);
	else if (seconds < 3600)
		(void)text_append_format(out, "%" PRId64 "m %02" PRId64 "s", seconds / 60, seconds % 60);
	else if (seconds < 86400)
		(void)text_append_format(out, "%" PRId64 "h %02" PRId64 "m", seconds / 3600, seconds / 60 % 60);
	else
		(void)text_append_format(out, "%" PRId64 "d %02" PRId64 "h", seconds / 86400, seconds / 3600 % 24);
}
