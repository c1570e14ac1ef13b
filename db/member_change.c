/* member_change: see member_change.h. Changes of this kind are rare: each makes its own connections. */
#include "db/member_change.h"

#include <stdlib.h>

#include "db/diagnostics.h"
#include "db/entry.h"
#include "db/etcd.h"
#include "db/limits.h"
#include "db/monotonic.h"
#include "db/recorded.h"

#define ARENA_BYTES ((size_t)256 * 1024)
#define LOOK_MS 200                   /* of the time, for what follows the put */

static bool is_following(const struct node_view *view)
{
	return view->create_revision != 0 && view->applied > 0 &&
	       (view->phase == NODE_READY || view->phase == NODE_IN_DOUBT || view->phase == NODE_NOT_A_MEMBER);
}

static struct slice make_entry(const struct command *command, uint64_t base_index, struct arena *arena)
{
	struct command based = *command;
	based.base_index = base_index;
	struct slice body = command_encode(&based, arena);
	char *entry = body.ptr == NULL ? NULL : arena_take(arena, ENTRY_HEAD_BYTES + body.len);
	if (entry == NULL)
		return SLICE_EMPTY;
	entry_seal(body, entry);
	memcpy(entry + ENTRY_HEAD_BYTES, body.ptr, body.len);
	return (struct slice){ entry, ENTRY_HEAD_BYTES + body.len };
}

static enum pygmy_error read_result(const char *db_path, struct slice entry, uint64_t index, struct arena *arena, struct result *out)
{
	struct recorded *recorded;
	size_t count = 0;
	struct result *results = arena_take(arena, BATCH_MAX_COMMANDS * sizeof *results);
	if (results == NULL)
		return PYGMY_OUT_OF_MEMORY;
	enum pygmy_error error = recorded_open(db_path, &recorded);
	if (error != PYGMY_OK)
		return error;
	error = recorded_results(recorded, entry, index, arena, results, &count);
	recorded_close(recorded);
	if (error == PYGMY_OK && count == 1)
		*out = results[0];
	return error == PYGMY_OK && count != 1 ? PYGMY_INTERNAL : error;
}

static enum pygmy_error error_of(enum etcd_outcome outcome)
{
	switch (outcome) {
	case ETCD_OK:
		return PYGMY_OK;
	case ETCD_UNKNOWN:
		return PYGMY_OUTCOME_UNKNOWN;
	case ETCD_UNREACHABLE:
		return PYGMY_NO_QUORUM;
	case ETCD_NO_SPACE:
		return PYGMY_LOG_FULL;
	case ETCD_COMPARE_FAILED:
		return PYGMY_OTHER_LOG;
	default:
		return PYGMY_INTERNAL;
	}
}

static enum pygmy_error change(const struct cluster_config *config, struct slice entry, const struct node_view *view, struct node_state *state,
			       int64_t deadline_ms, struct arena *arena, struct result *out)
{
	struct etcd *etcd;
	struct etcd_position position;
	if (!etcd_create(config->etcd, &config->tls, &etcd))
		return PYGMY_INTERNAL;
	enum etcd_outcome outcome = etcd_log_append(etcd, CLUSTER_LOG_KEY, view->create_revision, entry, deadline_ms - LOOK_MS, &position);
	if (outcome != ETCD_OK)
		diagnose_warning("the list of members was not changed: %s (%s)", etcd_outcome_text(outcome), etcd_last_error(etcd));
	etcd_destroy(etcd);
	if (outcome != ETCD_OK)
		return error_of(outcome);
	uint64_t index = view->base_index + position.version;
	if (!node_state_wait_applied(state, index, deadline_ms) || read_result(config->db_path, entry, index, arena, out) != PYGMY_OK)
		return PYGMY_OUTCOME_UNKNOWN;
	return PYGMY_OK;
}

enum pygmy_error member_change(const struct cluster_config *config, const struct command *command, struct node_state *state,
			       int64_t deadline_ms, struct result *out)
{
	struct node_view view;
	struct arena arena;
	node_state_view(state, &view);
	if (!is_following(&view))
		return PYGMY_NOT_READY;
	if (!view.quorum)
		return PYGMY_NO_QUORUM;
	arena_init(&arena, ARENA_BYTES);
	struct slice entry = make_entry(command, view.applied, &arena);
	enum pygmy_error error = entry.ptr == NULL ? PYGMY_OUT_OF_MEMORY : change(config, entry, &view, state, deadline_ms, &arena, out);
	arena_close(&arena);
	return error;
}
