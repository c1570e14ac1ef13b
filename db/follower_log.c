/*
 * follower_log: whether the log in etcd is the one that the database belongs to.
 *
 * Another log must never look like one that is "already applied". There are two ways for a database to become that of a log: it is new, or
 * the log's first entry (its genesis) continues exactly the position at which the database stands: so a restored backup goes on.
 * Everything else is for a person to decide.
 */
#include "db/follower_internal.h"

#include "db/monotonic.h"

static enum step wait_in_phase(struct follower *follower, enum node_phase phase)
{
	node_state_set_phase(follower->state, phase);
	follower_say(follower, node_phase_text(phase), NULL);
	return STEP_PAUSE;
}

static bool is_new(const struct follower *follower)
{
	return follower->sequencer.cluster_id == 0 && follower->sequencer.applied_index == 0;
}

/* A new database does not know the beginning of a log whose beginning is gone, or that continues a backup: a peer does. */
static enum step refuse_or_load(struct follower *follower)
{
	return is_new(follower) ? STEP_BEHIND : wait_in_phase(follower, NODE_OTHER_LOG);
}

static enum step adopt(struct follower *follower)
{
	struct etcd_value genesis;
	arena_reset(&follower->arena);
	enum etcd_outcome outcome = etcd_log_read(follower->etcd, CLUSTER_LOG_KEY, follower->log.create_revision,
						  monotonic_ms() + FOLLOWER_ETCD_MS, &follower->arena, &genesis);
	if (outcome == ETCD_COMPACTED)
		return refuse_or_load(follower);
	if (outcome != ETCD_OK) {
		follower_say(follower, "the log's first entry can't be read", etcd_last_error(follower->etcd));
		return STEP_PAUSE;
	}
	enum pygmy_error error = applier_apply(follower->store.applier, &genesis, 1, NULL, NULL);
	if (error == PYGMY_OTHER_LOG)
		return refuse_or_load(follower);
	if (error != PYGMY_OK)
		return store_fails(follower, error);
	/* Opened again, it is one of this log. */
	store_close(follower);
	return STEP_AGAIN;
}

/* Complete, also by the work of the process that followed before: the keeper's objections do not change that. */
static bool is_serving(const struct follower *follower)
{
	struct node_view view;
	node_state_view(follower->state, &view);
	bool is_ready = view.phase == NODE_READY || view.phase == NODE_IN_DOUBT || view.phase == NODE_DIVERGED || view.phase == NODE_NOT_A_MEMBER;
	return is_ready && view.complete_at_ms != 0;
}

enum step log_find(struct follower *follower)
{
	enum etcd_outcome outcome = etcd_log_position(follower->etcd, CLUSTER_LOG_KEY, monotonic_ms() + FOLLOWER_ETCD_MS, &follower->log);
	if (outcome != ETCD_OK) {
		follower_say(follower, "etcd does not say where the log ends", etcd_last_error(follower->etcd));
		return STEP_PAUSE;
	}
	if (follower->log.version == 0)
		return wait_in_phase(follower, NODE_NO_LOG);
	if (follower->sequencer.cluster_id != follower->log.cluster_id || follower->sequencer.create_revision != follower->log.create_revision)
		return adopt(follower);
	enum sequence sequence = sequencer_judge(&follower->sequencer, &follower->log);
	uint64_t end = sequencer_index(&follower->sequencer, &follower->log), applied = follower->sequencer.applied_index;
	/* The same log, but shorter than what was applied of it, or with something else in that place. */
	if (sequence == SEQUENCE_OTHER_LOG || sequence == SEQUENCE_IMPOSSIBLE || end < applied)
		return wait_in_phase(follower, NODE_OTHER_LOG);
	if (end == applied)
		follower->store.failed = false;
	if (!follower->store.failed && !is_serving(follower))
		node_state_set_phase(follower->state, NODE_CATCHING_UP);
	return STEP_GO_ON;
}
