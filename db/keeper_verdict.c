/*
 * keeper_verdict: from the others' chains to the objection against this replica, or its rebuilding.
 *
 * The follower alone says what the replica does (its phase); the keeper only objects to a replica that is ready otherwise.
 */
#include <inttypes.h>
#include <stdio.h>

#include "db/diagnostics.h"
#include "db/keeper_internal.h"
#include "db/monotonic.h"

static bool own_chain(void *context, uint64_t index, uint8_t chain[CHAIN_BYTES])
{
	struct reader_entry entry;
	if (reader_entry(context, index, &entry) != PYGMY_OK)
		return false;
	memcpy(chain, entry.chain, CHAIN_BYTES);
	return true;
}

static struct comparison_result compare(struct keeper *keeper, struct reader *reader)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	comparison_begin(&pulse->comparison);
	for (size_t i = 0; i < pulse->live_count; i++) {
		const struct member *member = &pulse->live[i];
		if (strcmp(member->name, keeper->config->node) == 0)
			continue;
		comparison_see(&pulse->comparison, member, keeper_is_configured(pulse->configured, pulse->configured_count, member->name),
			       reader_revision(reader));
	}
	comparison_end(&pulse->comparison);
	return comparison_verdict(&pulse->comparison, (int)pulse->configured_count, own_chain, reader);
}

static void object(struct keeper *keeper, enum node_phase objection)
{
	keeper->pulse.objection = objection;
	node_state_object(keeper->state, objection);
}

/* In doubt is who has waited for the others: what they published may be about what was a moment ago. */
static void take_doubt(struct keeper *keeper, const struct comparison_result *result)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	int64_t now_ms = monotonic_ms();
	if (pulse->doubt_since_ms == 0)
		pulse->doubt_since_ms = now_ms;
	if (pulse->objection == NODE_IN_DOUBT || now_ms - pulse->doubt_since_ms < KEEPER_DOUBT_MS)
		return;
	diagnose_error("keeper: this replica and that of %s differ since index %" PRIu64 " at the latest, and no majority says who is right; "
		"it does not serve until one does", result->differs_from, result->differs_at);
	object(keeper, NODE_IN_DOUBT);
}

static void take_divergence(struct keeper *keeper, const struct comparison_result *result)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	char why[160];
	int64_t now_ms = monotonic_ms();
	object(keeper, NODE_DIVERGED);
	if (pulse->rebuild_at_ms != 0 && now_ms < pulse->rebuild_at_ms)
		return;
	pulse->rebuild_at_ms = now_ms + KEEPER_REBUILD_MS;
	snprintf(why, sizeof why, "its state differs from that of %d of the %zu members, which agree with each other, since index %" PRIu64
		 " at the latest (%s)", result->differ, pulse->configured_count, result->differs_at, result->differs_from);
	keeper_say(keeper, "diverged", keeper->config->node, "%s", why);
	follower_rebuild(keeper->follower, why);
}

static void judge(struct keeper *keeper, const struct comparison_result *result)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	if (result->verdict != VERDICT_IN_DOUBT)
		pulse->doubt_since_ms = 0;
	if (result->verdict == VERDICT_IN_DOUBT) {
		take_doubt(keeper, result);
	} else if (result->verdict == VERDICT_DIVERGED) {
		take_divergence(keeper, result);
	} else {
		pulse->rebuild_at_ms = 0;
		object(keeper, NODE_READY);
	}
}

/* Only what is following can be compared: a replica that is being rebuilt, or has stopped, says so itself. */
static bool is_comparable(enum node_phase phase)
{
	return phase == NODE_CATCHING_UP || phase == NODE_READY || phase == NODE_IN_DOUBT || phase == NODE_DIVERGED ||
	       phase == NODE_NOT_A_MEMBER;
}

void keeper_judge(struct keeper *keeper)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	struct node_view view;
	struct reader *reader;
	node_state_view(keeper->state, &view);
	if (!is_comparable(view.phase) || !pulse->has_configured)
		return;
	if (!keeper_is_configured(pulse->configured, pulse->configured_count, keeper->config->node)) {
		object(keeper, NODE_NOT_A_MEMBER);
		return;
	}
	/* Without a list nothing new is known: what was said stays. */
	if (!pulse->has_list) {
		if (pulse->objection == NODE_NOT_A_MEMBER)
			object(keeper, NODE_READY);
		return;
	}
	if (!keeper_read(keeper, &reader))
		return;
	struct comparison_result result = compare(keeper, reader);
	reader_end(reader);
	judge(keeper, &result);
}
