/*
 * sim_world: what happens to the nodes: they are killed, lose power, are cut off, lose their disk, get a bit flipped; and at the end another log
 * stands in etcd. Damage stays within what the cluster is made for (sim.h).
 */
#include <stdio.h>

#include "tests/simulation/memory_vfs.h"
#include "tests/simulation/sim.h"

static struct node *any_node(struct sim *sim)
{
	return &sim->node[sim_random(sim, 0, sim->nodes - 1)];
}

static void start_later(struct sim *sim, const struct node *node)
{
	sim_schedule(sim, sim_random(sim, 50, 3000), (struct event){ .type = EVENT_START, .node = node->number, .life = node->life });
}

/* Of what was not checkpointed, any beginning is left. */
static void cut_power(struct sim *sim, struct node *node)
{
	char wal[NAME_BYTES + 4];
	if (!node->up)
		return;
	node_kill(sim, node);
	node->flipped = node->flipped_on_disk;
	snprintf(wal, sizeof wal, "%s-wal", node->path);
	size_t size = memory_file_size(wal);
	memory_file_truncate(wal, sim_chance(sim, 50) ? 0 : (size_t)sim_random(sim, 0, (int64_t)size));
	sim_trace(sim, "node %d lost power: %zu of %zu bytes are left", node->number, memory_file_size(wal), size);
	start_later(sim, node);
}

static bool may_damage(const struct sim *sim, const struct node *node)
{
	int damaged = 0;
	for (int i = 0; i < sim->nodes; i++)
		damaged += sim->node[i].flipped || sim->node[i].flipped_on_disk || sim->node[i].lost_disk ? 1 : 0;
	return !node->flipped && !node->flipped_on_disk && !node->lost_disk && damaged < sim->nodes - sim_majority(sim);
}

void world_wipe(struct sim *sim, struct node *node)
{
	char path[NAME_BYTES + 4];
	if (node->up)
		node_kill(sim, node);
	memory_file_remove(node->path);
	snprintf(path, sizeof path, "%s-wal", node->path);
	memory_file_remove(path);
	node->lost_disk = true;
	node->flipped = node->flipped_on_disk = false;
	sim_trace(sim, "node %d lost its disk", node->number);
	start_later(sim, node);
}

static void flip(struct sim *sim, struct node *node)
{
	static const char *const changes[] = {
		"UPDATE items SET title = title || '!' WHERE id = %d", "UPDATE items SET topic = 'other' WHERE id = %d",
		"UPDATE items SET cost_minor = cost_minor + 64 WHERE id = %d", "UPDATE items SET count = count + 1, supplied = supplied + 1 WHERE id = %d",
		"UPDATE items SET count = count + 2 WHERE id = %d", "UPDATE items SET sold = sold + 8 WHERE id = %d",
		"UPDATE items SET deleted = 1 WHERE id = %d", "UPDATE orders SET quantity = quantity + 1 WHERE id = %d",
		"UPDATE orders SET payload_hash = zeroblob(16) WHERE id = %d", "UPDATE orders SET created_ms = 1 WHERE id = %d",
	};
	char sql[200];
	if (!node->up || node->applier == NULL)
		return;
	sqlite3 *handle = applier_database(node->applier)->handle;
	snprintf(sql, sizeof sql, changes[sim_random(sim, 0, (int64_t)(sizeof changes / sizeof changes[0]) - 1)], (int)sim_random(sim, 1, 4));
	sqlite3_exec(handle, "PRAGMA ignore_check_constraints = ON", NULL, NULL, NULL);
	node->flipped = sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK && sqlite3_changes(handle) > 0;
	sqlite3_exec(handle, "PRAGMA ignore_check_constraints = OFF", NULL, NULL, NULL);
	node->flipped_on_disk = node->flipped;
	if (node->flipped)
		sim_trace(sim, "node %d: %s", node->number, sql);
}

void world_acts(struct sim *sim)
{
	struct node *node = any_node(sim);
	if (sim->calm)
		return;
	sim_schedule(sim, sim_random(sim, 100, 900), (struct event){ .type = EVENT_WORLD });
	int64_t what = sim_random(sim, 0, 99);
	if (what < 22) {
		if (node->up) {
			node_kill(sim, node);
			start_later(sim, node);
		}
	} else if (what < 34) {
		cut_power(sim, node);
	} else if (what < 39) {
		for (int i = 0; i < sim->nodes; i++)
			cut_power(sim, &sim->node[i]);
	} else if (what < 52) {
		node->cut_off = true;
		sim_trace(sim, "node %d is cut off", node->number);
		sim_schedule(sim, sim_random(sim, 300, 4000), (struct event){ .type = EVENT_REJOIN, .node = node->number });
	} else if (what < 60 && may_damage(sim, node)) {
		world_wipe(sim, node);
	} else if (what < 72 && may_damage(sim, node)) {
		flip(sim, node);
	} else if (what < 80) {
		judge_books(sim, node);
	}
}

void world_decides(struct sim *sim)
{
	const struct node *stuck = NULL;
	struct node *wrong = NULL;
	for (int i = 0; i < sim->nodes; i++) {
		struct node *node = &sim->node[i];
		stuck = node->up && node->phase == PHASE_NEEDS_SNAPSHOT && !node->flipped ? node : stuck;
		wrong = node->up && node->phase == PHASE_IN_DOUBT && node->flipped ? node : wrong;
	}
	if (stuck == NULL || wrong == NULL)
		return;
	sim_trace(sim, "a person decides that node %d is wrong", wrong->number);
	sim->persons++;
	world_wipe(sim, wrong);
}

void world_calms(struct sim *sim)
{
	sim_trace(sim, "the world calms down");
	sim->calm = true;
	for (int i = 0; i < sim->nodes; i++) {
		struct node *node = &sim->node[i];
		if (node->cut_off && node->up)
			sim_schedule(sim, 0, (struct event){ .type = EVENT_REJOIN, .node = node->number });
		if (!node->up)
			sim_schedule(sim, sim_random(sim, 0, 500), (struct event){ .type = EVENT_START, .node = node->number, .life = node->life });
	}
}
