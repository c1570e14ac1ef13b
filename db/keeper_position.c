/*
 * keeper_position: where the log ends, asked every T/4 by a linearizable read: what makes reads fresh, tells whether there is a quorum,
 * and whether the follower's watch can be trusted.
 *
 * Endpoints take turns. One that does not answer costs one short attempt, and is then asked seldom; so with a majority within reach a
 * good answer comes within T, however the others hang.
 */
#include "db/keeper_internal.h"
#include "db/monotonic.h"

#define ATTEMPT_MIN_MS 50

static int64_t attempt_ms(int lease_ms)
{
	int64_t quarter_ms = lease_ms / 4;
	if (quarter_ms < ATTEMPT_MIN_MS)
		return ATTEMPT_MIN_MS;
	return quarter_ms < ETCD_ATTEMPT_MS ? quarter_ms : ETCD_ATTEMPT_MS;
}

/*
 * After a failure the one that answered last, if it was not that; else the next one that did not fail lately. Of those that did one is
 * tried again per T, when its time has come. If all did, the one that did so first.
 */
static int choose_endpoint(struct keeper *keeper, int64_t now_ms)
{
	struct keeper_position *position = &keeper->position;
	int count = etcd_endpoint_count(position->etcd);
	int best = position->next % count;
	if (position->asked != 0 && position->answered >= 0 && (position->asked & 1u << position->answered) == 0)
		return position->answered;
	for (int i = 0; i < count; i++) {
		int number = (position->next + i) % count;
		int64_t retry_at_ms = position->retry_at_ms[number];
		if (retry_at_ms == 0)
			return number;
		if (retry_at_ms <= now_ms && position->retry_ms <= now_ms) {
			position->retry_ms = now_ms + keeper->config->lease_ms;
			return number;
		}
		if (retry_at_ms < position->retry_at_ms[best])
			best = number;
	}
	return best;
}

/* ---- the watch ----------------------------------------------------------------------------------------- */

static bool is_following(enum node_phase phase)
{
	return phase == NODE_CATCHING_UP || phase == NODE_READY || phase == NODE_IN_DOUBT || phase == NODE_NOT_A_MEMBER;
}

/*
 * Of what was missing the follower must have got at least half, or, when that is much, a good deal while the log does not grow away from
 * it: one that catches up is left alone.
 */
static bool is_too_slow(const struct keeper_position *position, const struct node_view *view)
{
	uint64_t missing = position->mark - position->mark_applied, got = view->applied - position->mark_applied;
	return 2 * got < missing && (got < KEEPER_PROGRESS_ENTRIES || view->end - view->applied >= missing);
}

/* Within T/2 the follower must reach the end that was known, or come near enough. */
static void check_watch(struct keeper *keeper, int64_t now_ms)
{
	struct keeper_position *position = &keeper->position;
	struct node_view view;
	node_state_view(keeper->state, &view);
	bool moved = position->mark <= view.applied || position->mark_applied > view.applied || !is_following(view.phase);
	if (!moved && now_ms - position->mark_at_ms < keeper->config->lease_ms / 2)
		return;
	if (!moved && is_too_slow(position, &view))
		follower_drop_watch(keeper->follower);
	position->mark = view.end;
	position->mark_applied = view.applied;
	position->mark_at_ms = now_ms;
}

/* ---- the quorum ---------------------------------------------------------------------------------------- */

static void take_failure(struct keeper *keeper, int endpoint, int64_t now_ms)
{
	struct keeper_position *position = &keeper->position;
	int64_t silence_ms = now_ms - position->answered_at_ms, lease_ms = keeper->config->lease_ms;
	unsigned all = (1u << etcd_endpoint_count(position->etcd)) - 1;
	position->retry_at_ms[endpoint] = now_ms + 2 * lease_ms;
	position->asked |= 1u << endpoint;
	if (silence_ms < lease_ms / 2 || (position->asked != all && silence_ms < lease_ms))
		return;
	node_state_set_quorum(keeper->state, false);
	if (!position->lost)
		keeper_say(keeper, "quorum lost", keeper->config->node, "seen by this node; last answer %lld ms ago: %s", (long long)silence_ms,
			   etcd_last_error(position->etcd));
	position->lost = true;
}

static void take_answer(struct keeper *keeper, int endpoint, const struct etcd_position *log, int64_t sent_at_ms)
{
	struct keeper_position *position = &keeper->position;
	struct node_view view;
	position->retry_at_ms[endpoint] = 0;
	position->asked = 0;
	position->answered = endpoint;
	position->answered_at_ms = sent_at_ms;
	node_state_set_quorum(keeper->state, true);
	if (position->lost)
		keeper_say(keeper, "quorum back", keeper->config->node, "seen by this node");
	position->lost = false;
	node_state_view(keeper->state, &view);
	/* Of another log than the replica's no end can be told: the follower sees that for itself. */
	if (log->version > 0 && log->cluster_id == view.cluster_id && log->create_revision == view.create_revision)
		node_state_set_end(keeper->state, view.base_index + log->version, sent_at_ms);
}

int64_t keeper_position_step(struct keeper *keeper)
{
	struct keeper_position *position = &keeper->position;
	struct etcd_position log;
	int64_t lease_ms = keeper->config->lease_ms, sent_at_ms = monotonic_ms();
	int endpoint = choose_endpoint(keeper, sent_at_ms);
	position->next = endpoint + 1;
	etcd_prefer(position->etcd, endpoint);
	enum etcd_outcome outcome = etcd_log_position(position->etcd, CLUSTER_LOG_KEY, sent_at_ms + attempt_ms((int)lease_ms), &log);
	if (outcome == ETCD_OK)
		take_answer(keeper, endpoint, &log, sent_at_ms);
	else
		take_failure(keeper, endpoint, monotonic_ms());
	check_watch(keeper, monotonic_ms());
	return sent_at_ms + (outcome == ETCD_OK ? lease_ms / 4 : lease_ms / 16);
}
