/* frontend_routes: see frontend_routes.h. */
#include "fcgi/common/frontend_routes.h"

#include <inttypes.h>
#include <stdio.h>

#include "db/fencer.h"
#include "db/frontends.h"
#include "db/member.h"
#include "db/member_change.h"
#include "db/monotonic.h"
#include "db/reach.h"
#include "fcgi/common/write.h"
#include "fcgi/common/worker.h"

enum { JOIN_NAME, JOIN_URL, JOIN_FIELDS };

static const struct body_field join_fields[JOIN_FIELDS] = {
	[JOIN_NAME] = { .name = "name", .type = BODY_TEXT, .required = true, .max = NODE_NAME_MAX_BYTES },
	[JOIN_URL] = { .name = "url", .type = BODY_TEXT, .required = true, .max = NODE_URL_MAX_BYTES },
};

static struct replica *replica_of(const struct exchange *exchange)
{
	return atomic_load_explicit(&exchange->worker->replica, memory_order_acquire);
}

static bool check_name(const struct exchange *exchange, struct slice name, struct refusal *refusal)
{
	if (replica_cluster(replica_of(exchange)) == NULL)
		return refuse(refusal, PYGMY_NOT_A_CLUSTER, NULL);
	return node_name_is_valid(name) ||
	       refuse(refusal, PYGMY_INVALID_PARAMETER, "A frontend's name has 1 to %d letters, digits and hyphens.", NODE_NAME_MAX_BYTES);
}

/* Brings the command into the log. Errors: member_change's, and the decision. */
static enum pygmy_error propose(struct exchange *exchange, const struct command *command, struct result *result)
{
	struct replica *replica = replica_of(exchange);
	int64_t deadline_ms = exchange->started_us / 1000 + MEMBER_CHANGE_MS;
	enum pygmy_error error = member_change(replica_cluster(replica), command, replica_node_state(replica), deadline_ms, result);
	if (error != PYGMY_OK)
		return error;
	exchange->answer.revision = result->revision;
	exchange->answer.has_revision = true;
	return result->error;
}

/* ---- joining ------------------------------------------------------------------------------------------ */

static bool read_join(const struct exchange *exchange, struct frontend_join_command *join, struct refusal *refusal)
{
	struct body_value values[JOIN_FIELDS];
	if (!body_read(exchange->document, "", join_fields, JOIN_FIELDS, values, refusal))
		return false;
	join->name = values[JOIN_NAME].text;
	join->url = values[JOIN_URL].text;
	return check_name(exchange, join->name, refusal) &&
	       (node_url_is_valid(join->url) ||
		refuse(refusal, PYGMY_INVALID_FIELD, "The field url must be like http://127.0.0.1:8019, with a port and nothing behind it."));
}

/* A copy of text, NUL-terminated. */
static const char *copy_text(struct exchange *exchange, struct slice text)
{
	char *copy = arena_take(&exchange->arena, text.len + 1);
	if (copy != NULL) {
		memcpy(copy, text.ptr, text.len);
		copy[text.len] = '\0';
	}
	return copy;
}

/* Who comes back must be reached by all nodes that are there. (When this can't be found out, it is let in.) */
static bool may_return(struct exchange *exchange, const struct frontend_join_command *join, struct refusal *refusal)
{
	struct replica *replica = replica_of(exchange);
	struct configured_member *members = arena_take(&exchange->arena, MEMBERS_MAX * sizeof *members);
	const char *url = copy_text(exchange, join->url);
	struct frontend_list list;
	struct reader *reader;
	char who[NODE_NAME_MAX_BYTES + 1];
	size_t count = 0;
	bool returns = false;
	if (members == NULL || url == NULL || reader_begin_as_is(replica, &reader) != PYGMY_OK)
		return true;
	if (frontends_read(reader, replica_node_state(replica), &list) == PYGMY_OK && reader_members(reader, members, &count) == PYGMY_OK)
		for (size_t i = 0; i < list.count; i++)
			returns = returns || (slice_equal(join->name, slice_of(list.items[i].name)) && list.items[i].fenced);
	reader_end(reader);
	if (!returns || reach_from_all(replica_cluster(replica), members, count, url, who) != PYGMY_FRONTEND_UNREACHABLE)
		return true;
	return refuse(refusal, PYGMY_FRONTEND_UNREACHABLE, "Node %s can't reach the frontend at %s.", who, url);
}

static bool read_reach(const struct exchange *exchange, struct slice *url, struct refusal *refusal)
{
	static const struct body_field fields[] = { { .name = "url", .type = BODY_TEXT, .required = true, .max = NODE_URL_MAX_BYTES } };
	struct body_value value;
	if (!body_read(exchange->document, "", fields, 1, &value, refusal))
		return false;
	*url = value.text;
	if (replica_cluster(replica_of(exchange)) == NULL)
		return refuse(refusal, PYGMY_NOT_A_CLUSTER, NULL);
	return node_url_is_valid(value.text) || refuse(refusal, PYGMY_INVALID_FIELD, "The field url must be like http://127.0.0.1:8019.");
}

/* Another node wants to know whether this one reaches a frontend. */
static void frontend_reach(struct exchange *exchange)
{
	struct refusal refusal;
	struct slice url;
	if (!read_reach(exchange, &url, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	const char *text = copy_text(exchange, url);
	enum pygmy_error error = text == NULL ? PYGMY_OUT_OF_MEMORY : reach_frontend(replica_cluster(replica_of(exchange)), text);
	if (error != PYGMY_OK) {
		exchange_fail(exchange, error, NULL);
		return;
	}
	exchange->answer.content_type = "text/plain; charset=utf-8";
	exchange->answer.status = 200;
}

static void frontend_join(struct exchange *exchange)
{
	struct command command = { .type = COMMAND_FRONTEND_JOIN };
	struct refusal refusal;
	struct result result;
	if (!read_join(exchange, &command.frontend_join, &refusal) || !may_return(exchange, &command.frontend_join, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	if (!write_prepare(exchange, KEY_SCOPE_FRONTEND, false, &command))
		return;
	enum pygmy_error error = propose(exchange, &command, &result);
	if (error != PYGMY_OK) {
		write_fail(exchange, error);
		return;
	}
	writer_printf(&exchange->out, "%" PRIu64 "\n", result.revision);
	exchange->answer.content_type = "text/plain; charset=utf-8";
	exchange->answer.status = 200;
}

/* ---- leaving ------------------------------------------------------------------------------------------ */

enum { LEAVE_NAME, LEAVE_SINCE, LEAVE_FIELDS };

static const struct body_field leave_fields[LEAVE_FIELDS] = {
	[LEAVE_NAME] = { .name = "name", .type = BODY_TEXT, .required = true, .max = NODE_NAME_MAX_BYTES },
	[LEAVE_SINCE] = { .name = "since", .type = BODY_INT, .required = true, .min = 1, .max = INT64_MAX },
};

/*
 * It is fenced, as if it were silent, but goes on confirming pushes: so no write waits for it, neither now nor when it has stopped.
 * It may stop when the lease of before the fence has lapsed. One that is fenced already, or has joined again, is told so (409).
 */
static void frontend_leave(struct exchange *exchange)
{
	char key[SCOPED_KEY_MAX_BYTES + 1], name[NODE_NAME_MAX_BYTES + 1];
	struct body_value values[LEAVE_FIELDS];
	struct refusal refusal;
	struct command command;
	struct result result;
	if (!body_read(exchange->document, "", leave_fields, LEAVE_FIELDS, values, &refusal) || !check_name(exchange, values[LEAVE_NAME].text, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	snprintf(name, sizeof name, "%.*s", (int)values[LEAVE_NAME].text.len, values[LEAVE_NAME].text.ptr);
	fencer_make_command(name, (uint64_t)values[LEAVE_SINCE].number, key, &command);
	enum pygmy_error error = propose(exchange, &command, &result);
	if (error != PYGMY_OK) {
		write_fail(exchange, error);
		return;
	}
	writer_put_literal(&exchange->out, "{\"frontend\":{},");
	exchange_end_success(exchange, 200, arena_printf(&exchange->arena, "frontend %s does not count any more", name), 0);
}

/* ---- forgetting --------------------------------------------------------------------------------------- */

static enum pygmy_error look_up(struct exchange *exchange, struct frontend_list *list, const struct registered_frontend **out)
{
	struct replica *replica = replica_of(exchange);
	struct reader *reader;
	enum pygmy_error error = reader_begin_as_is(replica, &reader);
	*out = NULL;
	if (error != PYGMY_OK)
		return error;
	error = frontends_read(reader, replica_node_state(replica), list);
	reader_end(reader);
	for (size_t i = 0; error == PYGMY_OK && i < list->count; i++)
		if (slice_equal(exchange->request.path_id, slice_of(list->items[i].name)))
			*out = &list->items[i];
	return error == PYGMY_OK && *out == NULL ? PYGMY_FRONTEND_NOT_FOUND : error;
}

/*
 * Whoever is not in the list any more, no write waits for; so it leaves the list when the lease that it may have had at its fence has lapsed.
 * A request that comes before that is told to come again.
 */
static enum pygmy_error make_ready_to_leave(struct exchange *exchange)
{
	char key[SCOPED_KEY_MAX_BYTES + 1];
	struct frontend_list list;
	const struct registered_frontend *frontend;
	struct command command;
	struct result result;
	enum pygmy_error error = look_up(exchange, &list, &frontend);
	if (error == PYGMY_OK && !frontend->fenced) {
		fencer_make_command(frontend->name, frontend->since, key, &command);
		error = propose(exchange, &command, &result);
		return error == PYGMY_OK ? PYGMY_FENCE_IS_NEW : error;
	}
	int64_t lapse_ms = list.fence_seen_ms + replica_cluster(replica_of(exchange))->lease_ms;
	return error == PYGMY_OK && monotonic_ms() <= lapse_ms ? PYGMY_FENCE_IS_NEW : error;
}

static void frontend_forget(struct exchange *exchange)
{
	struct command command = { .type = COMMAND_FRONTEND_LEAVE, .frontend_leave.name = exchange->request.path_id };
	struct slice name = exchange->request.path_id;
	struct refusal refusal;
	struct result result;
	if (!check_name(exchange, name, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	if (!write_prepare(exchange, KEY_SCOPE_FRONTEND, false, &command))
		return;
	enum pygmy_error error = make_ready_to_leave(exchange);
	if (error == PYGMY_OK)
		error = propose(exchange, &command, &result);
	if (error != PYGMY_OK) {
		write_fail(exchange, error);
		return;
	}
	writer_put_literal(&exchange->out, "{\"frontend\":{},");
	exchange_end_success(exchange, 200, arena_printf(&exchange->arena, "frontend %.*s is forgotten", (int)name.len, name.ptr), 0);
}

const struct route frontend_routes[] = {
	{ .method = METHOD_POST, .pattern = "/coherence/join", .handler = frontend_join, .body_max_bytes = BODY_MAX_BYTES, .body_required = true,
		.is_private = true, .needs_replica = true },
	{ .method = METHOD_POST, .pattern = "/coherence/reach", .handler = frontend_reach, .body_max_bytes = BODY_MAX_BYTES, .body_required = true,
		.is_private = true, .needs_replica = true },
	{ .method = METHOD_POST, .pattern = "/coherence/leave", .handler = frontend_leave, .body_max_bytes = BODY_MAX_BYTES, .body_required = true,
		.is_private = true, .needs_replica = true },
	{ .method = METHOD_DELETE, .pattern = "/frontends/{name}", .handler = frontend_forget, .role = AUTH_ADMIN, .needs_replica = true },
};
const size_t frontend_route_count = sizeof frontend_routes / sizeof frontend_routes[0];
