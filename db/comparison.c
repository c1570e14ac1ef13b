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
	if (!peer->counts)
		peer->pair_count = 0;
	else if (member->applied > 0)
		remember(peer, member, applied);
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

/* By the newest pair that can be compared. */
static enum outcome compare(const struct comparison_peer *peer, comparison_chain chain, void *context, uint64_t *index)
{
	uint8_t own[CHAIN_BYTES];
	for (int i = peer->pair_count - 1; i >= 0; i--)
		if (chain(context, peer->pairs[i].index, own)) {
			*index = peer->pairs[i].index;
			return memcmp(own, peer->pairs[i].chain, CHAIN_BYTES) == 0 ? AGREES : DIFFERS;
		}
	return UNKNOWN;
}

struct comparison_result comparison_verdict(const struct comparison *comparison, int configured, comparison_chain chain, void *context)
{
	struct comparison_result result = { .verdict = VERDICT_AGREES };
	enum outcome outcomes[COMPARISON_PEERS_MAX];
	uint64_t indexes[COMPARISON_PEERS_MAX];
	for (int i = 0; i < comparison->peer_count; i++) {
		const struct comparison_peer *peer = &comparison->peers[i];
		outcomes[i] = peer->counts ? compare(peer, chain, context, &indexes[i]) : UNKNOWN;
		if (outcomes[i] == DIFFERS) {
			result.differ++;
			if (result.differs_at == 0 || indexes[i] < result.differs_at) {
				result.differs_at = indexes[i];
				memcpy(result.differs_from, peer->name, sizeof peer->name);
			}
		}
	}
	for (int i = 0; i < comparison->peer_count; i++) {
		bool agrees = outcomes[i] == AGREES && indexes[i] >= result.differs_at;
		result.agree += agrees;
		result.open += comparison->peers[i].counts && !agrees && outcomes[i] != DIFFERS;
	}
	result.verdict = verdict_of(configured, result.agree, result.differ);
	return result;
}
