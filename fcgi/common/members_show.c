/*
 * members_show: GET /members: every configured member and every heartbeat, the frontends, and the log.
 *
 * What a member says of itself comes from its heartbeat; whether it agrees is this replica's own comparison with it, at the index
 * that it published. The list is answered whatever state this replica is in: it is there to find out.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "db/version.h"
#include "fcgi/common/exchange.h"
#include "fcgi/common/member_routes.h"
#include "fcgi/common/worker.h"

struct shown_member {
	const char *name;
	const struct configured_member *configured;   /* NULL: is not */
	const struct member *heartbeat;               /* NULL: there is none */
	bool is_self;
};

struct show {
	struct exchange *exchange;
	struct replica *replica;
	struct reader *reader;
	const struct cluster_config *cluster;
	struct node_view view;
	struct configured_member configured[MEMBERS_MAX];
	size_t configured_count;
	struct registered_frontend frontends[FRONTENDS_MAX];
	size_t frontend_count;
	struct roster_view roster;
	struct shown_member members[MEMBERS_MAX + ROLL_MAX];
	size_t count;
};

/* ---- one member ---------------------------------------------------------------------------------------- */

static void put_text(struct writer *out, const char *name, const char *value)
{
	writer_printf(out, "\"%s\":", name);
	writer_put_json_string(out, slice_of(value));
}

static void put_chain(struct writer *out, const uint8_t chain[CHAIN_BYTES])
{
	char hex[2 * CHAIN_BYTES + 1];
	sodium_bin2hex(hex, sizeof hex, chain, CHAIN_BYTES);
	writer_printf(out, ",\"chain\":\"%s\"", hex);
}

/* "true", "false", or "null": this replica is not there yet, or does not remember. */
static const char *agreement(const struct show *show, const struct member *heartbeat)
{
	struct reader_entry entry;
	if (heartbeat == NULL || heartbeat->applied == 0 || heartbeat->applied > reader_revision(show->reader) ||
	    reader_entry(show->reader, heartbeat->applied, &entry) != PYGMY_OK)
		return "null";
	return memcmp(entry.chain, heartbeat->chain, CHAIN_BYTES) == 0 ? "true" : "false";
}

/* In a word: what it is to the cluster. */
static const char *role_of(const struct show *show, const struct shown_member *member)
{
	if (member->configured == NULL)
		return "not configured";
	if (member->heartbeat != NULL)
		return "member";
	return show->roster.asked_at_ms == 0 ? "unknown" : "down";
}

/* Only what is known of it: a member that is down has neither index nor chain. */
static void put_position(struct writer *out, const struct show *show, const struct member *heartbeat)
{
	uint64_t end = show->view.end > show->view.applied ? show->view.end : show->view.applied;
	uint64_t lag = end > heartbeat->applied ? end - heartbeat->applied : 0;
	writer_printf(out, "\"durable\":%" PRIu64 ",\"index\":%" PRIu64 ",\"lag\":%" PRIu64 ",", heartbeat->durable, heartbeat->applied, lag);
}

/* Members come in alphabetical order. */
static void put_member(struct writer *out, const struct show *show, const struct shown_member *member)
{
	const struct member *heartbeat = member->heartbeat;
	writer_printf(out, "{\"agrees\":%s,", agreement(show, heartbeat));
	put_text(out, "catalog_url", member->configured != NULL ? member->configured->catalog_url : heartbeat->catalog_url);
	if (heartbeat != NULL)
		put_chain(out, heartbeat->chain);
	writer_printf(out, ",\"configured\":%s,", member->configured != NULL ? "true" : "false");
	if (heartbeat != NULL)
		put_position(out, show, heartbeat);
	writer_printf(out, "\"live\":%s,", heartbeat != NULL ? "true" : show->roster.asked_at_ms == 0 ? "null" : "false");
	put_text(out, "name", member->name);
	writer_put_literal(out, ",");
	put_text(out, "order_url", member->configured != NULL ? member->configured->order_url : "");
	if (heartbeat != NULL)
		writer_printf(out, ",\"phase\":\"%s\"", node_phase_code(heartbeat->phase));
	writer_printf(out, ",\"role\":\"%s\",\"self\":%s", role_of(show, member), member->is_self ? "true" : "false");
	if (heartbeat != NULL)
		writer_printf(out, ",\"since_ms\":%" PRId64 ",\"version\":\"%s\"", heartbeat->since_ms, heartbeat->version);
	writer_put_literal(out, "}");
}

/* ---- the frontends -------------------------------------------------------------------------------------- */

static void put_frontends(struct writer *out, const struct show *show)
{
	writer_put_literal(out, "\"frontends\":[");
	for (size_t i = 0; i < show->frontend_count; i++) {
		const struct registered_frontend *frontend = &show->frontends[i];
		writer_printf(out, "%s{\"fenced\":%s,", i > 0 ? "," : "", frontend->fenced ? "true" : "false");
		put_text(out, "name", frontend->name);
		writer_printf(out, ",\"since\":%" PRIu64 ",", frontend->since);
		put_text(out, "url", frontend->url);
		writer_put_literal(out, "}");
	}
	writer_put_literal(out, "],");
}

/* ---- the log ------------------------------------------------------------------------------------------- */

static void put_endpoints(struct writer *out, const struct roster_view *roster)
{
	writer_put_literal(out, "\"endpoints\":[");
	for (int i = 0; i < roster->endpoint_count; i++) {
		const struct roster_endpoint *endpoint = &roster->endpoints[i];
		writer_put_text(out, i > 0 ? ",{" : "{");
		if (endpoint->reachable)
			writer_printf(out, "\"db_bytes\":%" PRIu64 ",\"db_used_bytes\":%" PRIu64 ",\"leader\":%s,", endpoint->db_bytes,
				endpoint->db_used_bytes, endpoint->is_leader ? "true" : "false");
		writer_printf(out, "\"reachable\":%s,", endpoint->reachable ? "true" : "false");
		put_text(out, "url", endpoint->url);
		if (endpoint->reachable) {
			writer_put_literal(out, ",");
			put_text(out, "version", endpoint->version);
		}
		writer_put_literal(out, "}");
	}
	writer_put_literal(out, "],");
}

static void put_log(struct writer *out, const struct show *show)
{
	const struct node_view *view = &show->view;
	char id[LOG_ID_TEXT_LEN + 1];
	replica_log_id(show->replica, id);
	writer_put_literal(out, "{");
	if (show->cluster != NULL)
		put_frontends(out, show);
	writer_put_literal(out, "\"log\":{");
	if (show->cluster != NULL) {
		writer_printf(out, "\"base_index\":%" PRIu64 ",\"cluster_id\":\"%016" PRIx64 "\",\"create_revision\":%" PRIu64 ",", view->base_index,
			view->cluster_id, view->create_revision);
	}
	writer_printf(out, "\"end\":%" PRIu64 ",", view->end);
	put_endpoints(out, &show->roster);
	put_text(out, "id", id);
	writer_printf(out, ",\"kind\":\"%s\",\"quorum\":%s},", show->cluster != NULL ? "etcd" : "embedded", view->quorum ? "true" : "false");
}

/* ---- collecting ---------------------------------------------------------------------------------------- */

static const struct member *find_heartbeat(const struct roster_view *roster, const char *name)
{
	for (size_t i = 0; i < roster->count; i++)
		if (strcmp(roster->members[i].name, name) == 0)
			return &roster->members[i];
	return NULL;
}

static bool is_configured(const struct show *show, const char *name)
{
	for (size_t i = 0; i < show->configured_count; i++)
		if (strcmp(show->configured[i].name, name) == 0)
			return true;
	return false;
}

static void add(struct show *show, const char *name, const struct configured_member *configured, const struct member *heartbeat)
{
	bool is_self = show->cluster == NULL || strcmp(name, show->cluster->node) == 0;
	show->members[show->count++] = (struct shown_member){ name, configured, heartbeat, is_self };
}

static enum pygmy_error collect_cluster(struct show *show)
{
	node_state_view(replica_node_state(show->replica), &show->view);
	enum pygmy_error error = roster_look(&show->exchange->worker->roster, show->cluster, &show->roster);
	if (error == PYGMY_OK)
		error = reader_begin_as_is(show->replica, &show->reader);
	if (error == PYGMY_OK)
		error = reader_members(show->reader, show->configured, &show->configured_count);
	if (error == PYGMY_OK)
		error = reader_frontends(show->reader, show->frontends, &show->frontend_count);
	for (size_t i = 0; error == PYGMY_OK && i < show->configured_count; i++)
		add(show, show->configured[i].name, &show->configured[i], find_heartbeat(&show->roster, show->configured[i].name));
	for (size_t i = 0; error == PYGMY_OK && i < show->roster.count; i++)
		if (!is_configured(show, show->roster.members[i].name))
			add(show, show->roster.members[i].name, NULL, &show->roster.members[i]);
	return error;
}

/* The one member that a store on one machine is. */
static enum pygmy_error collect_embedded(struct show *show)
{
	const struct worker *worker = show->exchange->worker;
	struct member *self = &show->roster.members[show->roster.count++];
	struct reader_entry entry;
	enum pygmy_error error = reader_begin_as_is(show->replica, &show->reader);
	if (error != PYGMY_OK)
		return error;
	*self = (struct member){ .name = "A", .phase = replica_ready(show->replica, NULL) == PYGMY_OK ? NODE_READY : NODE_STORAGE_FAILED,
				 .applied = reader_revision(show->reader), .version = PYGMY_VERSION, .since_ms = worker->lifecycle.started_ms };
	self->durable = show->view.end = show->view.applied = self->applied;
	show->view.quorum = true;
	show->roster.asked_at_ms = 1;
	if (reader_entry(show->reader, self->applied, &entry) == PYGMY_OK)
		memcpy(self->chain, entry.chain, CHAIN_BYTES);
	snprintf(show->configured[0].name, sizeof show->configured[0].name, "%s", self->name);
	add(show, self->name, &show->configured[0], self);
	return PYGMY_OK;
}

void members_show(struct exchange *exchange)
{
	struct writer *out = &exchange->out;
	struct show *show = arena_take(&exchange->arena, sizeof *show);
	if (show == NULL) {
		exchange_fail(exchange, PYGMY_OUT_OF_MEMORY, NULL);
		return;
	}
	memset(show, 0, sizeof *show);
	show->exchange = exchange;
	show->replica = atomic_load_explicit(&exchange->worker->replica, memory_order_acquire);
	show->cluster = replica_cluster(show->replica);
	enum pygmy_error error = show->cluster != NULL ? collect_cluster(show) : collect_embedded(show);
	if (error == PYGMY_OK) {
		put_log(out, show);
		writer_put_literal(out, "\"members\":[");
		for (size_t i = 0; i < show->count; i++) {
			if (i > 0)
				writer_put_literal(out, ",");
			put_member(out, show, &show->members[i]);
		}
		writer_put_literal(out, "],");
		exchange_end_success(exchange, 200, SLICE_EMPTY, 0);
	} else {
		exchange_fail(exchange, error, NULL);
	}
	if (show->reader != NULL)
		reader_end(show->reader);
}
