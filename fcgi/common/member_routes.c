/* member_routes: the table, and the changes of the list of members. See member_routes.h. */
#include "fcgi/common/member_routes.h"

#include "db/member.h"
#include "db/member_change.h"
#include "fcgi/common/write.h"
#include "fcgi/common/worker.h"

enum { SET_CATALOG_URL, SET_ORDER_URL, SET_FIELDS };

static const struct body_field set_fields[SET_FIELDS] = {
	[SET_CATALOG_URL] = { .name = "catalog_url", .type = BODY_TEXT, .required = true, .max = NODE_URL_MAX_BYTES },
	[SET_ORDER_URL] = { .name = "order_url", .type = BODY_TEXT, .required = true, .max = NODE_URL_MAX_BYTES },
};

static bool check_name(const struct exchange *exchange, struct slice *name, struct refusal *refusal)
{
	struct replica *replica = atomic_load_explicit(&exchange->worker->replica, memory_order_acquire);
	*name = exchange->request.path_id;
	if (replica_cluster(replica) == NULL)
		return refuse(refusal, PYGMY_NOT_A_CLUSTER, NULL);
	return node_name_is_valid(*name) ||
	       refuse(refusal, PYGMY_INVALID_PARAMETER, "A member's name has 1 to %d letters, digits and hyphens.", NODE_NAME_MAX_BYTES);
}

static bool check_url(const char *field, struct slice url, struct refusal *refusal)
{
	return node_url_is_valid(url) ||
	       refuse(refusal, PYGMY_INVALID_FIELD, "The field %s must be like http://127.0.1.1:8011, with a port and nothing behind it.", field);
}

static bool read_set(const struct exchange *exchange, struct member_set_command *set, struct refusal *refusal)
{
	struct body_value values[SET_FIELDS];
	if (!check_name(exchange, &set->name, refusal) || !body_read(exchange->document, "", set_fields, SET_FIELDS, values, refusal))
		return false;
	set->catalog_url = values[SET_CATALOG_URL].text;
	set->order_url = values[SET_ORDER_URL].text;
	return check_url("catalog_url", set->catalog_url, refusal) && check_url("order_url", set->order_url, refusal);
}

static void propose(struct exchange *exchange, struct command *command, const char *done)
{
	struct result result;
	if (!write_prepare(exchange, KEY_SCOPE_MEMBER, false, command))
		return;
	struct replica *replica = atomic_load_explicit(&exchange->worker->replica, memory_order_acquire);
	int64_t deadline_ms = exchange->started_us / 1000 + MEMBER_CHANGE_MS;
	enum pygmy_error error = member_change(replica_cluster(replica), command, replica_node_state(replica), deadline_ms, &result);
	if (error == PYGMY_OK) {
		exchange->answer.revision = result.revision;
		exchange->answer.has_revision = true;
		error = result.error;
	}
	if (error != PYGMY_OK) {
		write_fail(exchange, error);
		return;
	}
	struct slice name = exchange->request.path_id;
	writer_put_literal(&exchange->out, "{\"member\":{},");
	exchange_end_success(exchange, 200, arena_printf(&exchange->arena, "member %.*s %s", (int)name.len, name.ptr, done), 0);
}

static void member_set(struct exchange *exchange)
{
	struct command command = { .type = COMMAND_MEMBER_SET };
	struct refusal refusal;
	if (read_set(exchange, &command.member_set, &refusal))
		propose(exchange, &command, "is in the list");
	else
		exchange_refuse(exchange, &refusal);
}

static void member_remove(struct exchange *exchange)
{
	struct command command = { .type = COMMAND_MEMBER_REMOVE };
	struct refusal refusal;
	if (check_name(exchange, &command.member_remove.name, &refusal))
		propose(exchange, &command, "is not in the list any more");
	else
		exchange_refuse(exchange, &refusal);
}

const struct route member_routes[] = {
	{ .method = METHOD_GET, .pattern = "/members", .handler = members_show, .needs_replica = true },
	{ .method = METHOD_PUT, .pattern = "/members/{name}", .handler = member_set, .role = AUTH_ADMIN, .body_max_bytes = BODY_MAX_BYTES,
		.body_required = true, .needs_replica = true },
	{ .method = METHOD_DELETE, .pattern = "/members/{name}", .handler = member_remove, .role = AUTH_ADMIN, .needs_replica = true },
};
const size_t member_route_count = sizeof member_routes / sizeof member_routes[0];
