/*
 * follower_stream: follows the log's key, and makes of what arrives the sequence that it must be.
 *
 * Nothing that arrives is believed: a stream may lose, repeat and reorder, end without a word, or stay open and be silent. Each value is
 * judged by its version; what is missing is read one by one, backwards from the value behind the gap; a stream that contradicts
 * what was applied, or that the keeper finds to be behind, is opened again at the next endpoint. What arrives together is applied together.
 */
#include "db/follower_internal.h"

#include "db/limits.h"
#include "db/monotonic.h"

#define LOOK_MS 250                   /* orders and files are looked at so often */
#define FILE_CHECK_MS 1000

/* Values that are next, until they are applied in one transaction. */
struct group {
	struct sequencer ahead;       /* behind them */
	struct etcd_value values[APPLY_GROUP_ENTRIES];
	size_t count, bytes;
};

static void group_begin(struct group *group, const struct follower *follower)
{
	group->ahead = follower->sequencer;
	group->count = group->bytes = 0;
}

static enum step group_apply(struct group *group, struct follower *follower)
{
	enum step step = store_apply(follower, group->values, group->count);
	group_begin(group, follower);
	return step;
}

static enum step group_add(struct group *group, struct follower *follower, const struct etcd_value *value)
{
	enum step step = STEP_GO_ON;
	if (group->count == APPLY_GROUP_ENTRIES || (group->count > 0 && group->bytes + value->bytes.len > APPLY_GROUP_BYTES))
		step = group_apply(group, follower);
	if (step != STEP_GO_ON)
		return step;
	group->values[group->count++] = *value;
	group->bytes += value->bytes.len;
	sequencer_advance(&group->ahead, &value->position);
	return STEP_GO_ON;
}

/* ---- gaps -------------------------------------------------------------------------------------------------- */

static void leave_endpoint(struct follower *follower)
{
	follower->endpoint = (follower->endpoint + 1) % etcd_endpoint_count(follower->etcd);
}

/* Reads the `missing` values before the one at behind, newest first. Memory is the follower's arena. */
static enum step walk_back(struct follower *follower, const struct etcd_position *behind, size_t missing, struct etcd_value *values)
{
	const struct sequencer *sequencer = &follower->sequencer;
	uint64_t revision = behind->mod_revision - 1, index = sequencer_index(sequencer, behind) - 1;
	for (size_t i = 0; i < missing; i++, index--) {
		struct etcd_value *value = &values[i];
		if (follower_must_leave(follower))
			return STEP_AGAIN;
		enum etcd_outcome outcome = etcd_log_read(follower->etcd, CLUSTER_LOG_KEY, revision, monotonic_ms() + FOLLOWER_ETCD_MS,
							  &follower->arena, value);
		if (outcome == ETCD_COMPACTED)
			return STEP_AGAIN;
		if (outcome != ETCD_OK) {
			follower_say(follower, "a missing value of the log can't be read", etcd_last_error(follower->etcd));
			return STEP_PAUSE;
		}
		if (value->position.create_revision != sequencer->create_revision || sequencer_index(sequencer, &value->position) != index)
			return STEP_AGAIN;
		revision = value->position.mod_revision - 1;
	}
	return STEP_GO_ON;
}

/* Everything between what is applied and the value at behind. When that is too much, the watch is opened again instead. */
static enum step close_gap(struct follower *follower, const struct etcd_position *behind)
{
	struct etcd_value values[WALK_BACK_MAX];
	uint64_t missing = sequencer_index(&follower->sequencer, behind) - follower->sequencer.applied_index - 1;
	if (missing > WALK_BACK_MAX) {
		leave_endpoint(follower);
		return STEP_AGAIN;
	}
	arena_reset(&follower->arena);
	enum step step = walk_back(follower, behind, (size_t)missing, values);
	struct group group;
	group_begin(&group, follower);
	for (size_t i = (size_t)missing; step == STEP_GO_ON && i > 0; i--)
		step = group_add(&group, follower, &values[i - 1]);
	return step == STEP_GO_ON ? group_apply(&group, follower) : step;
}

/* ---- events ------------------------------------------------------------------------------------------------ */

static enum step take_event(struct group *group, struct follower *follower, const struct etcd_event *event)
{
	struct etcd_value value = { event->position, event->value };
	/* A deleted key: what holds now is found out by asking. */
	enum sequence sequence = event->is_delete ? SEQUENCE_OTHER_LOG : sequencer_judge(&group->ahead, &event->position);
	enum step step = STEP_GO_ON;
	if (sequence == SEQUENCE_GAP) {
		step = group_apply(group, follower);
		if (step == STEP_GO_ON)
			step = close_gap(follower, &event->position);
		group_begin(group, follower);
		if (step == STEP_GO_ON)
			sequence = sequencer_judge(&group->ahead, &event->position);
	}
	if (step != STEP_GO_ON || sequence == SEQUENCE_KNOWN)
		return step;
	if (sequence == SEQUENCE_NEXT)
		return group_add(group, follower, &value);
	step = group_apply(group, follower);
	follower_say(follower, "the watch delivers what can't be; it is opened at the next endpoint", NULL);
	leave_endpoint(follower);
	return step == STEP_GO_ON ? STEP_PAUSE : step;
}

static enum step take_events(struct follower *follower, const struct etcd_event *events, size_t count)
{
	struct group group;
	enum step step = STEP_GO_ON;
	group_begin(&group, follower);
	for (size_t i = 0; step == STEP_GO_ON && i < count; i++)
		step = take_event(&group, follower, &events[i]);
	if (step == STEP_GO_ON)
		step = group_apply(&group, follower);
	if (step == STEP_GO_ON)
		follower_is_well(follower);
	return step;
}

/* ---- the stream -------------------------------------------------------------------------------------------- */

static enum step look_around(struct follower *follower)
{
	if (atomic_load(&follower->stopping) || atomic_load(&follower->rebuild))
		return STEP_AGAIN;
	if (atomic_exchange(&follower->drop_watch, false)) {
		follower_say(follower, "the watch is behind; it is opened at the next endpoint", NULL);
		leave_endpoint(follower);
		return STEP_AGAIN;
	}
	atomic_store(&follower->durable, checkpointer_durable(follower->store.checkpointer));
	if (monotonic_ms() < follower->checked_ms + FILE_CHECK_MS)
		return STEP_GO_ON;
	store_check_file(follower);
	return follower->store.applier == NULL || follower_must_leave(follower) ? STEP_AGAIN : STEP_GO_ON;
}

static void open_watch(struct follower *follower)
{
	const struct sequencer *sequencer = &follower->sequencer;
	atomic_store(&follower->drop_watch, false);
	etcd_watch_open(follower->watch, etcd_endpoint(follower->etcd, follower->endpoint), CLUSTER_LOG_KEY, sequencer->mod_revision + 1);
}

/*
 * What little is missing up to where the log was just found to end is read at once: a watch that has lost the last values would bring them
 * only with the next one. What can't be read so is left to the watch.
 */
static enum step catch_up(struct follower *follower)
{
	struct etcd_position behind = follower->log;
	uint64_t end = sequencer_index(&follower->sequencer, &follower->log), applied = follower->sequencer.applied_index;
	if (end <= applied || end - applied > WALK_BACK_MAX)
		return STEP_GO_ON;
	behind.version++;
	behind.mod_revision++;
	enum step step = close_gap(follower, &behind);
	return step == STEP_AGAIN ? STEP_GO_ON : step;
}

enum step stream(struct follower *follower)
{
	struct etcd_event events[ETCD_WATCH_EVENTS_MAX];
	size_t count;
	uint64_t compact_revision;
	enum step step = catch_up(follower);
	if (step != STEP_GO_ON)
		return step;
	open_watch(follower);
	while ((step = look_around(follower)) == STEP_GO_ON) {
		switch (etcd_watch_next(follower->watch, monotonic_ms() + LOOK_MS, events, &count, &compact_revision)) {
		case ETCD_WATCH_EVENTS:
			step = take_events(follower, events, count);
			break;
		case ETCD_WATCH_TIMEOUT:
			follower_is_well(follower);
			break;
		case ETCD_WATCH_COMPACTED:
			return STEP_BEHIND;
		case ETCD_WATCH_BROKEN:
			follower_say(follower, "the watch broke", etcd_watch_error(follower->watch));
			leave_endpoint(follower);
			return STEP_PAUSE;
		}
		if (step != STEP_GO_ON)
			return step;
	}
	return step;
}
