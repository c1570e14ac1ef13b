/* sim_node: a replica and the one who follows the log for it. The rules are those of follower*.c; the database is the real one. */
#include <stdio.h>
#include <string.h>

#include "tests/simulation/memory_vfs.h"
#include "tests/simulation/sim.h"

bool node_serves(const struct node *node)
{
	return node->up && node->phase == PHASE_FOLLOWING && node->applier != NULL;
}

/* ---- starting and ending ---------------------------------------------------------------------------- */

static void read_position(struct node *node)
{
	const struct applier_log *log = applier_log(node->applier);
	node->sequencer = (struct sequencer){ .cluster_id = log->cluster_id,
					      .create_revision = log->create_revision,
					      .base_index = log->base_index,
					      .applied_index = applier_position(node->applier)->index,
					      .mod_revision = log->mod_revision };
}

void node_close(struct node *node)
{
	if (node->applier != NULL)        /* a killed process makes no checkpoint when its last connection closes */
		sqlite3_db_config(applier_database(node->applier)->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	recorded_close(node->recorded);
	sqlite3_finalize(node->chain_query);
	node->chain_query = NULL;
	applier_close(node->applier);
	node->recorded = NULL;
	node->applier = NULL;
}

static bool open_database(struct sim *sim, struct node *node)
{
	enum pygmy_error error = applier_open(node->path, NULL, &node->applier);
	if (error != PYGMY_OK)
		sim_violation(sim, "node %d can't open its database: %s", node->number, error_text(error));
	return error == PYGMY_OK;
}

void node_start(struct sim *sim, struct node *node)
{
	node->up = true;
	node->life++;
	node->phase = PHASE_FOLLOWING;
	node->queued = 0;
	node->batch.active = false;
	node->watch = 0;
	node->behind_since = 0;
	if (node->applier == NULL && !open_database(sim, node))
		return;
	read_position(node);
	sim_trace(sim, "node %d starts at %llu", node->number, (unsigned long long)node->sequencer.applied_index);
	node_open_watch(sim, node);
	sim_schedule(sim, sim_random(sim, 0, 500), (struct event){ .type = EVENT_KEEPER, .node = node->number, .life = node->life });
}

void node_kill(struct sim *sim, struct node *node)
{
	sim_trace(sim, "node %d is killed", node->number);
	node->up = false;
	node->life++;
	node->durable = 0;
	node_close(node);
}

/* ---- the watch -------------------------------------------------------------------------------------- */

static void schedule_delivery(struct sim *sim, const struct node *node, int64_t delay, size_t first, size_t count)
{
	sim_schedule(sim, delay, (struct event){ .type = EVENT_DELIVER, .node = node->number, .life = node->life, .number = node->watch,
						 .first = first, .count = count });
}

/* Lost, repeated, reordered: each delivery has a delay of its own. */
static void send_to(struct sim *sim, const struct node *node, size_t first, size_t count, int64_t delay)
{
	if (node->cut_off || sim_fault(sim, 6))
		return;
	int64_t more = sim_fault(sim, 15) ? sim_random(sim, 10, 400) : 0;
	schedule_delivery(sim, node, delay + more, first, count);
	if (sim_fault(sim, 6))
		schedule_delivery(sim, node, delay + sim_random(sim, 0, 1500), first, count);
}

void nodes_hear(struct sim *sim, size_t first)
{
	for (int i = 0; i < sim->nodes; i++)
		if (sim->node[i].up && sim->node[i].watch != 0)
			send_to(sim, &sim->node[i], first, sim->etcd.count - first, sim_random(sim, 1, 8));
}

void node_open_watch(struct sim *sim, struct node *node)
{
	uint64_t from = node->sequencer.mod_revision + 1;
	node->watch = ++sim->watches;
	if (node->cut_off)
		return;
	if (from < sim->etcd.compact_revision) {
		sim_trace(sim, "node %d is behind the compaction", node->number);
		node_seek_snapshot(sim, node);
		return;
	}
	int64_t delay = sim_random(sim, 1, 10);
	for (size_t first = etcd_first_since(sim, from); first < sim->etcd.count;) {
		size_t left = sim->etcd.count - first, count = (size_t)sim_random(sim, 1, GROUP_MAX);
		count = count < left ? count : left;
		send_to(sim, node, first, count, delay);
		delay += sim_random(sim, 0, 3);
		first += count;
	}
}

/* ---- applying --------------------------------------------------------------------------------------- */

/* What the rules that were taken out let through is forged into what the applier expects: it has rules of its own. */
static struct etcd_value forge(const struct node *node, struct etcd_value value)
{
	value.position.cluster_id = node->sequencer.cluster_id;
	value.position.create_revision = node->sequencer.create_revision;
	value.position.version = node->sequencer.applied_index - node->sequencer.base_index + 1;
	value.position.mod_revision = node->sequencer.mod_revision + 1;
	return value;
}

static bool is_local_failure(enum pygmy_error error)
{
	return error == PYGMY_STORAGE_CORRUPT || error == PYGMY_STORAGE_FAILED || error == PYGMY_INTERNAL;
}

static bool apply_values(struct sim *sim, struct node *node, const struct etcd_value *values, size_t count)
{
	enum pygmy_error error = count == 0 ? PYGMY_OK : applier_apply(node->applier, values, count, NULL, NULL);
	if (error == PYGMY_OTHER_LOG && applier_position(node->applier)->index == 0) {
		node_seek_snapshot(sim, node);       /* a new database, and a log that continues an older one */
		return false;
	}
	if (error != PYGMY_OK && node->flipped && is_local_failure(error)) {
		sim_trace(sim, "node %d fails: %s", node->number, error_text(error));
		node_seek_snapshot(sim, node);
		return false;
	}
	if (error != PYGMY_OK) {
		sim_violation(sim, "node %d can't apply: %s", node->number, error_text(error));
		return false;
	}
	for (size_t i = 0; i < count; i++)
		sequencer_advance(&node->sequencer, &values[i].position);
	if (count > 0 && node->sequencer.applied_index != applier_position(node->applier)->index)
		sim_violation(sim, "node %d: sequencer and applier disagree", node->number);
	judge_node(sim, node);
	proposer_applied(sim, node);
	return !sim->violated;
}

/* Reads what is missing before values[behind], backwards, as far as WALK_MAX. */
static bool close_gap(struct sim *sim, struct node *node, const struct etcd_value *behind)
{
	uint64_t missing = sequencer_index(&node->sequencer, &behind->position) - node->sequencer.applied_index - 1;
	struct etcd_value values[WALK_MAX];
	uint64_t revision = behind->position.mod_revision - 1;
	if (missing > WALK_MAX || node->cut_off || sim_fault(sim, 10)) {
		node_open_watch(sim, node);
		return false;
	}
	for (uint64_t i = missing; i > 0; i--) {
		const struct etcd_value *value = etcd_value_at(sim, revision);
		if (value == NULL) {
			node_seek_snapshot(sim, node);
			return false;
		}
		values[i - 1] = *value;
		revision = value->position.mod_revision - 1;
	}
	sim_trace(sim, "node %d walks back over %llu values", node->number, (unsigned long long)missing);
	return apply_values(sim, node, values, (size_t)missing);
}

/* Another log than the database's is taken on only if it begins where the database ends. */
static void meet_other_log(struct sim *sim, struct node *node, const struct etcd_value *value)
{
	enum pygmy_error error = applier_apply(node->applier, value, 1, NULL, NULL);
	if (error == PYGMY_OTHER_LOG) {
		sim_trace(sim, "node %d meets another log", node->number);
		node->phase = PHASE_OTHER_LOG;
		node->watch = 0;
	} else if (error == PYGMY_OK) {
		sim_trace(sim, "node %d takes another log on", node->number);
		read_position(node);
		judge_node(sim, node);
		node_open_watch(sim, node);
	} else {
		sim_violation(sim, "node %d can't look at another log: %s", node->number, error_text(error));
	}
}

#define SEQUENCE_LET_THROUGH 100      /* by a rule that was taken out */

static int judge_value(const struct sim *sim, const struct node *node, const struct sequencer *ahead, const struct etcd_value *value)
{
	enum sequence sequence = sequencer_judge(ahead, &value->position);
	bool lets_through = node->sequencer.cluster_id != 0 && ((sim->mutant == MUTANT_GAPS && sequence == SEQUENCE_GAP) ||
								(sim->mutant == MUTANT_REPEATS && sequence == SEQUENCE_KNOWN) ||
								(sim->mutant == MUTANT_ANY_LOG && sequence == SEQUENCE_OTHER_LOG));
	return lets_through ? SEQUENCE_LET_THROUGH : (int)sequence;
}

void node_deliver(struct sim *sim, struct node *node, const struct event *event)
{
	struct etcd_value group[GROUP_MAX];
	size_t grouped = 0;
	struct sequencer ahead = node->sequencer;
	if (event->number != node->watch || node->cut_off || node->phase == PHASE_NEEDS_SNAPSHOT || node->phase == PHASE_OTHER_LOG)
		return;
	for (size_t i = event->first; i < event->first + event->count && i < sim->etcd.count; i++) {
		struct etcd_value value = sim->etcd.values[i];
		int sequence = judge_value(sim, node, &ahead, &value);
		if (sequence == SEQUENCE_KNOWN)
			continue;
		if (sequence == SEQUENCE_NEXT && grouped < GROUP_MAX) {
			sequencer_advance(&ahead, &value.position);
			group[grouped++] = value;
			continue;
		}
		if (!apply_values(sim, node, group, grouped))
			return;
		grouped = 0;
		if (sequence == SEQUENCE_GAP && !close_gap(sim, node, &value))
			return;
		if (sequence == SEQUENCE_IMPOSSIBLE) {
			sim_violation(sim, "node %d takes a value of its own log for an impossible one", node->number);
			return;
		}
		if (sequence == SEQUENCE_OTHER_LOG) {
			meet_other_log(sim, node, &value);
			return;
		}
		if (sequence == SEQUENCE_LET_THROUGH)
			value = forge(node, value);
		if (!apply_values(sim, node, &value, 1))
			return;
		ahead = node->sequencer;
	}
	apply_values(sim, node, group, grouped);
}

/* ---- snapshots -------------------------------------------------------------------------------------- */

/* One that is well, and has all that is not in the log any more. */
static const struct node *find_source(struct sim *sim, const struct node *node)
{
	int offset = (int)sim_random(sim, 0, sim->nodes - 1);
	for (int i = 0; i < sim->nodes; i++) {
		const struct node *source = &sim->node[(i + offset) % sim->nodes];
		if (source != node && node_serves(source) && !source->cut_off && !source->flipped &&
		    source->sequencer.mod_revision + 1 >= sim->etcd.compact_revision && source->sequencer.cluster_id != 0)
			return source;
	}
	return NULL;
}

/* Is tried again by the keeper's next tick when it comes to nothing. */
void node_seek_snapshot(struct sim *sim, struct node *node)
{
	char path[NAME_BYTES], wal[NAME_BYTES + 4], copy_wal[NAME_BYTES + 4];
	node->phase = PHASE_NEEDS_SNAPSHOT;
	node->watch = 0;
	const struct node *source = node->cut_off ? NULL : find_source(sim, node);
	if (source == NULL || sim_fault(sim, 20))
		return;
	int number = ++sim->snapshots;
	snprintf(path, sizeof path, "snapshot-%d", number);
	snprintf(wal, sizeof wal, "%s-wal", source->path);
	snprintf(copy_wal, sizeof copy_wal, "%s-wal", path);
	/* The copy is taken now, and arrives when the source may have gone on. */
	sqlite3_wal_checkpoint_v2(applier_database(source->applier)->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	memory_file_copy(source->path, path);
	sim_trace(sim, "node %d asks node %d for a snapshot of %llu", node->number, source->number,
		  (unsigned long long)source->sequencer.applied_index);
	sim_schedule(sim, sim_random(sim, 5, 800),
		     (struct event){ .type = EVENT_SNAPSHOT, .node = node->number, .life = node->life, .number = number });
}

void node_drop_snapshot(int number)
{
	char path[NAME_BYTES];
	snprintf(path, sizeof path, "snapshot-%d", number);
	memory_file_remove(path);
}

static void install(struct sim *sim, struct node *node, const char *path)
{
	enum pygmy_error error = applier_install(node->applier, path);
	if (error != PYGMY_OK) {
		sim_violation(sim, "node %d can't install a snapshot: %s", node->number, error_text(error));
		return;
	}
	read_position(node);
	node->flipped = false;
	node->durable = 0;            /* until the next checkpoint the power can bring back what was there before */
	node->phase = PHASE_FOLLOWING;
	node->batch.active = false;
	sim_trace(sim, "node %d has installed a snapshot of %llu", node->number, (unsigned long long)node->sequencer.applied_index);
	judge_node(sim, node);
	node_open_watch(sim, node);
}

void node_snapshot_arrives(struct sim *sim, struct node *node, const struct event *event)
{
	char path[NAME_BYTES];
	snprintf(path, sizeof path, "snapshot-%d", event->number);
	if (node->up && node->life == event->life && node->phase == PHASE_NEEDS_SNAPSHOT)
		install(sim, node, path);
	memory_file_remove(path);
}
