/* sim_schedule: a schedule from its beginning to its end: a log begins, things happen, the world calms down, and everything must come right. */
#include "tests/simulation/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/memory_vfs.h"

#define CALM_AFTER_MS 9000
#define STEPS_MAX 200000
#define END_AFTER_MS 120000
#define SETTLE_MS 4000
#define PATIENCE_MS 6000              /* then a person looks */

/* ---- a log begins ------------------------------------------------------------------------------------ */

static void append(struct sim *sim, const struct command *commands, size_t count)
{
	etcd_append(sim, etcd_entry(sim, commands, count));
	judge_append(sim, &sim->etcd.values[sim->etcd.count - 1]);
}

static void append_genesis(struct sim *sim)
{
	struct command commands[1 + NODES_MAX];
	static const char *const names[NODES_MAX] = { "A", "B", "C", "D", "E" };
	commands[0] = (struct command){ .type = COMMAND_GENESIS, .request_key = SLICE_LITERAL("init/0/genesis"), .base_index = sim->base_index,
					.genesis = { sim->base_index, { (const char *)judge_chain(sim->base_index), CHAIN_BYTES } } };
	for (int i = 0; i < sim->nodes; i++) {
		commands[1 + i] = (struct command){ .type = COMMAND_MEMBER_SET, .request_key = slice_of(names[i]), .base_index = sim->base_index };
		commands[1 + i].member_set = (struct member_set_command){ slice_of(names[i]), SLICE_LITERAL("http://c"), SLICE_LITERAL("http://o") };
	}
	append(sim, commands, 1 + (size_t)sim->nodes);
}

static void append_catalogue(struct sim *sim)
{
	struct item items[4];
	for (int i = 0; i < 4; i++)
		items[i] = (struct item){ i + 1, SLICE_LITERAL("Title"), SLICE_LITERAL("topic"), 10, sim_random(sim, 2, 14) };
	struct command import = { .type = COMMAND_IMPORT, .request_key = SLICE_LITERAL("init/0/catalogue"), .base_index = sim->base_index,
				  .import = { false, false, 4, items } };
	append(sim, &import, 1);
}

/* ---- a schedule ------------------------------------------------------------------------------------- */

static const char *const templates[] = { "template-new", "template-restored" };

static void begin(struct sim *sim)
{
	static const int sizes[] = { 1, 3, 3, 3, 3, 3, 3, 5 };
	const char *template_path = templates[sim_chance(sim, 25) ? 1 : 0];
	sim->nodes = sizes[sim_random(sim, 0, 7)];
	etcd_init(sim);
	judge_begin(sim, template_path);
	append_genesis(sim);
	append_catalogue(sim);
	sim_trace(sim, "%d nodes, the log begins behind %llu", sim->nodes, (unsigned long long)sim->base_index);
	for (int i = 0; i < sim->nodes; i++) {
		struct node *node = &sim->node[i];
		*node = (struct node){ .number = i };
		snprintf(node->path, sizeof node->path, "node-%d.db", i);
		memory_file_copy(template_path, node->path);
		node_start(sim, node);
	}
	clients_start(sim);
	sim_schedule(sim, 500, (struct event){ .type = EVENT_WORLD });
}

/* Runs until `until`, or the condition holds. */
static void run_until(struct sim *sim, int64_t until, bool (*condition)(const struct sim *))
{
	for (int steps = 0; !sim->violated && sim->now < until && (condition == NULL || !condition(sim)); steps++) {
		if (steps == STEPS_MAX)
			sim_violation(sim, "it does not end");
		if (!sim_step(sim))
			return;
	}
}

static void run_calmly_until(struct sim *sim, bool (*condition)(const struct sim *))
{
	while (!sim->violated && !condition(sim) && sim->now < END_AFTER_MS) {
		run_until(sim, sim->now + PATIENCE_MS, condition);
		if (!sim->violated && !condition(sim))
			world_decides(sim);
	}
}

static bool all_are_well(const struct sim *sim)
{
	for (int i = 0; i < sim->nodes; i++)
		if (!node_serves(&sim->node[i]) || sim->node[i].flipped || sim->node[i].sequencer.applied_index != etcd_end(sim))
			return false;
	return true;
}

static bool all_were_asked(const struct sim *sim)
{
	return all_are_well(sim) && clients_are_done(sim);
}

/* Twice over everything: the first one may begin in the middle. */
static void audit_everything(struct sim *sim)
{
	struct command audit = { .type = COMMAND_AUDIT, .request_key = SLICE_LITERAL("audit/0/all"), .audit.rows = 1000 };
	append(sim, &audit, 1);
	append(sim, &audit, 1);
	sim->audited = etcd_end(sim);
	nodes_hear(sim, sim->etcd.count - 2);
}

/*
 * Somebody begins another log: one that continues where this one ended, as after a restore, which all take on; or one that knows nothing of
 * this one, which nobody may take on.
 */
static void begin_another_log(struct sim *sim)
{
	bool continues = sim_chance(sim, 50);
	uint64_t end = etcd_end(sim);
	uint8_t chain[CHAIN_BYTES];
	memcpy(chain, judge_chain(end), CHAIN_BYTES);
	sim_trace(sim, "another log begins, which %s", continues ? "continues this one" : "has nothing to do with this one");
	etcd_init(sim);
	struct command genesis = { .type = COMMAND_GENESIS, .request_key = SLICE_LITERAL("init/0/again"), .base_index = end };
	static const char nothing[CHAIN_BYTES];
	genesis.genesis = (struct genesis_command){ continues ? end : 0, { continues ? (const char *)chain : nothing, CHAIN_BYTES } };
	sim->base_index = end;
	if (continues)
		append(sim, &genesis, 1);
	else
		etcd_append(sim, etcd_entry(sim, &genesis, 1));
	for (int i = 0; i < sim->nodes; i++) {
		sim->node[i].watch = ++sim->watches;
		node_deliver(sim, &sim->node[i], &(struct event){ .number = sim->node[i].watch, .first = 0, .count = 1 });
		if (!sim->violated && sim->node[i].phase != (continues ? PHASE_FOLLOWING : PHASE_OTHER_LOG))
			sim_violation(sim, "node %d: the wrong log", i);
		if (!continues && applier_position(sim->node[i].applier)->index != end)
			sim_violation(sim, "node %d has applied something of another log", i);
	}
	if (continues)
		judge_end(sim);
}

static void run(struct sim *sim)
{
	begin(sim);
	run_until(sim, CALM_AFTER_MS, NULL);
	if (!sim->violated)
		world_calms(sim);
	run_calmly_until(sim, clients_are_done);
	if (!sim->violated)
		audit_everything(sim);
	run_until(sim, sim->now + SETTLE_MS, NULL);
	run_calmly_until(sim, all_were_asked);
	if (!sim->violated && !clients_are_done(sim))
		sim_violation(sim, "a request is never answered");
	if (!sim->violated)
		judge_end(sim);
	if (!sim->violated)
		begin_another_log(sim);
}

static void clean_up(struct sim *sim)
{
	for (int i = 0; i < sim->nodes; i++)
		node_close(&sim->node[i]);
	for (int i = 0; i < sim->nodes; i++) {
		char wal[NAME_BYTES + 4];
		snprintf(wal, sizeof wal, "%s-wal", sim->node[i].path);
		memory_file_remove(sim->node[i].path);
		memory_file_remove(wal);
	}
	for (size_t i = 0; i < sim->event_count; i++)
		if (sim->events[i].type == EVENT_SNAPSHOT)
			node_drop_snapshot(sim->events[i].number);
	arena_reset(&sim->arena);
}

bool sim_run_schedule(struct sim *sim, uint64_t seed, enum mutant mutant, bool tracing)
{
	struct arena arena = sim->arena;
	memset(sim, 0, offsetof(struct sim, events));
	sim->arena = arena;
	sim->random = seed;
	sim->mutant = mutant;
	sim->tracing = tracing;
	run(sim);
	clean_up(sim);
	return !sim->violated;
}

/* ---- templates -------------------------------------------------------------------------------------- */

/* A store that did something before, on one machine, as a backup would bring it. */
static enum pygmy_error fill_template(struct database *database, struct sim *sim)
{
	static const struct command commands[] = {
		{ .type = COMMAND_ITEM_CREATE, .request_key = { "t/0/1", 5 }, .item_create = { { 0, { "Old", 3 }, { "topic", 5 }, 10, 9 } } },
		{ .type = COMMAND_BUY, .request_key = { "t/0/2", 5 }, .buy = { 1, 2 } },
		{ .type = COMMAND_BUY, .request_key = { "t/0/3", 5 }, .buy = { 1, 20 } },
	};
	static struct result results[BATCH_MAX_COMMANDS];
	struct apply_position position;
	struct apply *apply;
	enum pygmy_error error = apply_create(database, &apply);
	if (error == PYGMY_OK)
		error = apply_read_position(apply, &position);
	for (size_t i = 0, count; error == PYGMY_OK && i < sizeof commands / sizeof commands[0]; i++)
		error = apply_entry(apply, &position, etcd_entry(sim, &commands[i], 1), &sim->arena, results, &count);
	apply_destroy(apply);
	return error;
}

static bool make_template(struct sim *sim, int which)
{
	struct database database;
	bool created;
	enum pygmy_error error = database_open(&database, templates[which], DATABASE_WRITE);
	if (error == PYGMY_OK)
		error = database_exec(&database, "BEGIN IMMEDIATE");
	if (error == PYGMY_OK)
		error = schema_ensure(&database, LOG_ID_NONE, &created);
	if (error == PYGMY_OK && which == 1)
		error = fill_template(&database, sim);
	if (error == PYGMY_OK)
		error = database_exec(&database, "COMMIT");
	database_close(&database);
	return error == PYGMY_OK;
}

bool sim_make_templates(struct sim *sim)
{
	return make_template(sim, 0) && make_template(sim, 1);
}
