/*
 * sim_keeper: what a node does from time to time: it asks where the log ends, publishes how far it is, compares the others' chain hashes with
 * its own, compacts the log behind what a majority has durably, and asks for audits. The verdict and the majority are the real ones.
 */
#include <string.h>

#include "db/compaction.h"
#include "db/verdict.h"
#include "tests/simulation/sim.h"

#define TICK_MS 500
#define LEASE_MS 3000
#define MARGIN_ENTRIES 2

void keeper_checkpoint(struct sim *sim, struct node *node)
{
	if (!node->up || node->applier == NULL)
		return;
	sqlite3_wal_checkpoint_v2(applier_database(node->applier)->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	node->durable = node->sequencer.applied_index;
	node->flipped_on_disk = node->flipped;
	if (!node->flipped && node->durable >= node->claimed)
		node->lost_disk = false;
	sim_trace(sim, "node %d is durable up to %llu", node->number, (unsigned long long)node->durable);
}

static void publish(struct sim *sim, struct node *node)
{
	struct heartbeat *heartbeat = &node->published;
	/* What is durable of a replica that may be wrong is worth nothing. */
	uint64_t durable = node->phase == PHASE_FOLLOWING ? node->durable : 0;
	*heartbeat = (struct heartbeat){ .known = true, .at = sim->now, .applied = node->sequencer.applied_index, .durable = durable };
	if (sim->mutant == MUTANT_FALSE_DURABLE)
		heartbeat->durable = heartbeat->applied;
	if (heartbeat->durable > node->claimed)
		node->claimed = heartbeat->durable;
	memcpy(heartbeat->chain, applier_position(node->applier)->chain, CHAIN_BYTES);
}

static bool is_known(const struct sim *sim, const struct node *node)
{
	return node->published.known && sim->now - node->published.at < LEASE_MS;
}

/* The chain hash that the node's own database remembers behind index. */
static bool chain_at(struct node *node, uint64_t index, uint8_t chain[CHAIN_BYTES])
{
	static const char sql[] = "SELECT chain FROM changes WHERE ring = ?1 AND revision = ?2";
	sqlite3 *handle = applier_database(node->applier)->handle;
	if (node->chain_query == NULL && sqlite3_prepare_v2(handle, sql, -1, &node->chain_query, NULL) != SQLITE_OK)
		return false;
	bind_int(node->chain_query, 1, (int64_t)(index % CHANGES_RING_ENTRIES));
	bind_int(node->chain_query, 2, (int64_t)index);
	bool found = sqlite3_step(node->chain_query) == SQLITE_ROW && sqlite3_column_bytes(node->chain_query, 0) == CHAIN_BYTES;
	if (found)
		memcpy(chain, sqlite3_column_blob(node->chain_query, 0), CHAIN_BYTES);
	sqlite3_reset(node->chain_query);
	return found;
}

static void compare(struct sim *sim, struct node *node)
{
	int agree = 0, differ = 0;
	uint8_t chain[CHAIN_BYTES];
	for (int i = 0; i < sim->nodes; i++) {
		const struct node *other = &sim->node[i];
		if (other == node || !is_known(sim, other) || !chain_at(node, other->published.applied, chain))
			continue;
		bool same = memcmp(chain, other->published.chain, CHAIN_BYTES) == 0;
		agree += same ? 1 : 0;
		differ += same ? 0 : 1;
	}
	enum verdict verdict = verdict_of(sim->nodes, agree, differ);
	if (sim->mutant == MUTANT_NO_VERDICT)
		return;
	if (verdict == VERDICT_DIVERGED) {
		sim_trace(sim, "node %d has diverged", node->number);
		if (!node->flipped)
			sim_violation(sim, "node %d is right, and was found to be wrong", node->number);
		node_seek_snapshot(sim, node);
	} else {
		enum phase phase = verdict == VERDICT_IN_DOUBT ? PHASE_IN_DOUBT : PHASE_FOLLOWING;
		if (phase != node->phase)
			sim_trace(sim, "node %d is %s", node->number, phase == PHASE_IN_DOUBT ? "in doubt" : "well");
		node->phase = phase;
	}
}

static void compact(struct sim *sim)
{
	uint64_t durable[NODES_MAX];
	size_t count = 0;
	for (int i = 0; i < sim->nodes; i++)
		if (is_known(sim, &sim->node[i]))
			durable[count++] = sim->node[i].published.durable;
	uint64_t index = compaction_majority_durable(durable, count, (size_t)sim->nodes);
	index = index > MARGIN_ENTRIES ? index - MARGIN_ENTRIES : 0;
	if (sim->mutant == MUTANT_COMPACT_ALL)
		index = etcd_end(sim);
	uint64_t before = sim->etcd.compact_revision;
	etcd_compact_to(sim, index);
	if (sim->etcd.compact_revision != before)
		sim_trace(sim, "the log is compacted up to %llu", (unsigned long long)index);
}

/* A linearizable read: a watch that is behind for long is opened again. */
static void look_at_the_end(struct sim *sim, struct node *node)
{
	if (node->sequencer.applied_index >= etcd_end(sim) && node->sequencer.cluster_id != 0) {
		node->behind_since = 0;
	} else if (node->behind_since == 0) {
		node->behind_since = sim->now;
	} else if (sim->now - node->behind_since > TICK_MS) {
		sim_trace(sim, "node %d is behind", node->number);
		node->behind_since = 0;
		node_open_watch(sim, node);
	}
}

void keeper_tick(struct sim *sim, struct node *node)
{
	sim_schedule(sim, TICK_MS, (struct event){ .type = EVENT_KEEPER, .node = node->number, .life = node->life });
	if (node->cut_off || node->phase == PHASE_OTHER_LOG)
		return;
	if (node->phase == PHASE_NEEDS_SNAPSHOT) {
		node_seek_snapshot(sim, node);
		return;
	}
	look_at_the_end(sim, node);
	compare(sim, node);
	if (node->phase == PHASE_NEEDS_SNAPSHOT)
		node->published.known = false;
	else if (!sim_fault(sim, 15))
		publish(sim, node);
	if (sim_chance(sim, 30))
		compact(sim);
	if (sim_chance(sim, 20))
		keeper_checkpoint(sim, node);
	if (sim_chance(sim, 8) && node_serves(node))
		proposer_queue(sim, node, -1);
}
