/* comparison: see comparison.h. */
#include "db/comparison.h"

#include <stdio.h>

void comparison_init(struct comparison *comparison)
{
	memset(comparison, 0, sizeof *comparison);
}

void comparison_begin(struct comparison *comparison)
{
	for (int i = 0; i < comparison->peer_count; i++)
		comparison->peers[i].seen = false;
}

static struct comparison_peer *find_or_add(struct comparison *comparison, const char *name)
{
	for (int i = 0; i < comparison->peer_count; i++)
		if (strcmp(comparison->peers[i].name, name) == 0)
			return &comparison->peers[i];
	if (comparison->peer_count == COMPARISON_PEERS_MAX)
		return NULL;
	struct comparison_peer *peer = &comparison->peers[comparison->peer_count++];
	memset(peer, 0, sizeof *peer);
	snprintf(peer->name, sizeof peer->name, "%s", name);
	return peer;
}

/* Makes room for one more. Of the pairs that we have passed the newest is enough; of those ahead we will reach the nearest first. */
static void make_room(struct comparison_peer *peer, uint64_t applied)
{
	if (peer->pair_count < COMPARISON_PAIRS)
		return;
	if (peer->pairs[1].index <= applied)
		memmove(&peer->pairs[0], &peer->pairs[1], (COMPARISON_PAIRS - 1) * sizeof peer->pairs[0]);
	peer->pair_count--;
}

static void remember(struct comparison_peer *peer, const struct member *member, uint64_t applied)
{
	struct comparison_pair *last = peer->pair_count == 0 ? NULL : &peer->pairs[peer->pair_count - 1];
	if (last != NULL && last->index == member->applied && memcmp(last->chain, member->chain, CHAIN_BYTES) == 0)
		return;
	if (last != NULL && member->applied <= last->index)
		peer->pair_count = 0;
	make_room(peer, applied);
	struct comparison_pair *pair = &peer->pairs[peer->pair_count++];
	pair->index = member->applied;
	memcpy(pair->chain, member->chain, CHAIN_BYTES);
}

static bool is_sound(enum node_phase phase)
{
	return phase == NODE_CATCHING_UP || phase == NODE_READY || phase == NODE_IN_DOUBT;
}

void comparison_see(struct comparison *comparison, const struct member *member, bool is_configured, uint64_t applied)
{
	struct comparison_peer *peer = find_or_add(comparison, member->name);
	if (peer == NULL)
		return;
	peer->seen = true;
	peer->counts = is_configured && is_sound(member->phase);
	if (!peer->counts || peer->since_ms != member->since_ms || peer->era != member->era)
		peer->pair_count = 0;
	peer->since_ms = member->since_ms;
	peer->era = member->era;
	if (!peer->counts)
		return;
	if (member->applied > 0)
		remember(peer, member, applied);
	peer->agreement_count = member->agreement_count;
	memcpy(peer->agreements, member->agreements, member->agreement_count * sizeof peer->agreements[0]);
}

void comparison_end(struct comparison *comparison)
{
	int kept = 0;
	for (int i = 0; i < comparison->peer_count; i++)
		if (comparison->peers[i].seen)
			comparison->peers[kept++] = comparison->peers[i];
	comparison->peer_count = kept;
}

/* ---- the verdict ---------------------------------------------------------------------------------------- */

enum outcome { UNKNOWN, AGREES, DIFFERS };

struct compared {
	enum outcome outcome;
	uint64_t index;               /* the last one at which it agrees, or the first one at which it differs */
};

/* The newest pair that can be compared decides; who differs there may have done so before. */
static struct compared compare(const struct comparison_peer *peer, comparison_chain chain, void *context)
{
	struct compared compared = { UNKNOWN, 0 };
	uint8_t own[CHAIN_BYTES];
	for (int i = peer->pair_count - 1; i >= 0; i--) {
		const struct comparison_pair *pair = &peer->pairs[i];
		if (!chain(context, pair->index, own))
			continue;
		bool same = memcmp(own, pair->chain, CHAIN_BYTES) == 0;
		if (same && compared.outcome == DIFFERS)
			break;
		compared = (struct compared){ same ? AGREES : DIFFERS, pair->index };
		if (same)
			break;
	}
	return compared;
}

static bool is_counted(const struct comparison *comparison, const char *name)
{
	for (int i = 0; i < comparison->peer_count; i++)
		if (strcmp(comparison->peers[i].name, name) == 0)
			return comparison->peers[i].counts;
	return false;
}

/* How many hold together what peer holds at index: itself, and those with which it agrees there. */
static int count_together(const struct comparison *comparison, const struct comparison_peer *peer, uint64_t index)
{
	int together = 1;
	for (size_t i = 0; i < peer->agreement_count; i++)
		together += peer->agreements[i].index >= index && strcmp(peer->agreements[i].name, peer->name) != 0 &&
			    is_counted(comparison, peer->agreements[i].name);
	return together;
}

static void take_difference(const struct comparison *comparison, const struct comparison_peer *peer, const struct compared *compared,
			    struct comparison_result *result)
{
	int together = count_together(comparison, peer, compared->index);
	result->differ = together > result->differ ? together : result->differ;
	if (result->differs_at != 0 && result->differs_at <= compared->index)
		return;
	result->differs_at = compared->index;
	memcpy(result->differs_from, peer->name, sizeof peer->name);
}

struct comparison_result comparison_verdict(struct comparison *comparison, int configured, comparison_chain chain, void *context)
{
	struct comparison_result result = { .verdict = VERDICT_AGREES };
	for (int i = 0; i < comparison->peer_count; i++) {
		struct comparison_peer *peer = &comparison->peers[i];
		struct compared compared = compare(peer, chain, context);
		peer->agreed = compared.outcome == AGREES ? compared.index : 0;
		if (compared.outcome == DIFFERS)
			take_difference(comparison, peer, &compared, &result);
	}
	for (int i = 0; i < comparison->peer_count; i++)
		result.agree += comparison->peers[i].agreed > 0 && comparison->peers[i].agreed >= result.differs_at;
	result.verdict = verdict_of(configured, result.agree, result.differ);
	return result;
}

size_t comparison_agreements(const struct comparison *comparison, struct member_agreement out[MEMBERS_MAX])
{
	size_t count = 0;
	for (int i = 0; i < comparison->peer_count && count < MEMBERS_MAX; i++) {
		const struct comparison_peer *peer = &comparison->peers[i];
		if (peer->agreed == 0)
			continue;
		out[count].index = peer->agreed;
		memcpy(out[count++].name, peer->name, sizeof peer->name);
	}
	return count;
}
