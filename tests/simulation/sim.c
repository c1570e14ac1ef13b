/*
 * sim: the clock, the events, and the schedules; see sim.h.
 *
 *	sim                          SIM_SCHEDULES (3000) schedules, and the rules taken out one by one; prints TAP
 *	SIM_SEED=n [SIM_MUTANT=m]    this schedule alone, with everything that happens in it
 */
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/diagnostics.h"
#include "tests/simulation/memory_vfs.h"

#define CALM_AFTER_MS 9000
#define STEPS_MAX 200000
#define END_AFTER_MS 120000
#define SETTLE_MS 4000
#define PATIENCE_MS 6000              /* then a person looks */
#define MUTANT_SCHEDULES 400          /* within these each mutant must be found */

static const char *const mutant_names[MUTANT_COUNT] = {
	"none", "a retry gets a new key", "gaps are not closed", "values are applied again", "puts count as done before they are answered",
	"the log is compacted up to its end", "what is applied counts as durable", "replicas that differ go on", "the log's identity is not looked at",
};

/* ---- chance, trace, violations ---------------------------------------------------------------------- */

void sim_trace(const struct sim *sim, const char *format, ...)
{
	if (!sim->tracing)
		return;
	va_list args;
	va_start(args, format);
	printf("# %6" PRId64 " ms  ", sim->now);
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

void sim_violation(struct sim *sim, const char *format, ...)
{
	if (sim->violated)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(sim->violation, sizeof sim->violation, format, args);
	va_end(args);
	sim->violated = true;
	sim_trace(sim, "VIOLATION: %s", sim->violation);
}

/* splitmix64 (Steele, Lea, Flood) */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int64_t sim_random(struct sim *sim, int64_t min, int64_t max)
{
	return min + (int64_t)(next_random(&sim->random) % ((uint64_t)(max - min) + 1));
}

bool sim_chance(struct sim *sim, int percent)
{
	return sim_random(sim, 0, 99) < percent;
}

bool sim_fault(struct sim *sim, int percent)
{
	return sim_chance(sim, percent) && !sim->calm;
}

int sim_majority(const struct sim *sim)
{
	return sim->nodes / 2 + 1;
}

/* ---- events ----------------------------------------------------------------------------------------- */

void sim_schedule(struct sim *sim, int64_t delay, struct event event)
{
	if (sim->event_count == EVENTS_MAX) {
		sim_violation(sim, "too much happens at once");
		return;
	}
	event.at = sim->now + delay;
	event.sequence = sim->event_sequence++;
	sim->events[sim->event_count++] = event;
}

bool sim_next_event(struct sim *sim, struct event *out)
{
	size_t next = 0;
	if (sim->event_count == 0)
		return false;
	for (size_t i = 1; i < sim->event_count; i++) {
		const struct event *a = &sim->events[i], *b = &sim->events[next];
		if (a->at < b->at || (a->at == b->at && a->sequence < b->sequence))
			next = i;
	}
	*out = sim->events[next];
	sim->events[next] = sim->events[--sim->event_count];
	sim->now = out->at;
	return true;
}

static void rejoin(struct sim *sim, struct node *node)
{
	node->cut_off = false;
	sim_trace(sim, "node %d is not cut off any more", node->number);
	if (node->up && node->phase != PHASE_NEEDS_SNAPSHOT && node->phase != PHASE_OTHER_LOG)
		node_open_watch(sim, node);
}

/* What concerns a node in the life in which it was sent. */
static void handle_node_event(struct sim *sim, struct node *node, const struct event *event)
{
	switch (event->type) {
	case EVENT_PROPOSE:
		proposer_propose(sim, node);
		return;
	case EVENT_ANSWER:
		proposer_answer(sim, node, event);
		return;
	case EVENT_BATCH_TIMEOUT:
		proposer_timeout(sim, node, event);
		return;
	case EVENT_DELIVER:
		node_deliver(sim, node, event);
		return;
	case EVENT_KEEPER:
		keeper_tick(sim, node);
		return;
	case EVENT_START:
		node_start(sim, node);
		return;
	default:
		return;
	}
}

static void handle(struct sim *sim, const struct event *event)
{
	struct node *node = &sim->node[event->node];
	switch (event->type) {
	case EVENT_CLIENT:
		client_acts(sim, event->number);
		return;
	case EVENT_REQUEST_TIMEOUT:
		client_times_out(sim, event);
		return;
	case EVENT_PUT:
		proposer_put(sim, event);
		return;
	case EVENT_WORLD:
		world_acts(sim);
		return;
	case EVENT_REJOIN:
		rejoin(sim, node);
		return;
	case EVENT_SNAPSHOT:
		node_snapshot_arrives(sim, node, event);
		return;
	default:
		if (event->life == node->life)
			handle_node_event(sim, node, event);
	}
}

/* ---- entries ---------------------------------------------------------------------------------------- */

struct slice sim_entry(struct sim *sim, const struct command *commands, size_t count)
{
	struct slice parts[BATCH_MAX_COMMANDS];
	size_t len = 0;
	for (size_t i = 0; i < count; i++) {
		parts[i] = command_encode(&commands[i], &sim->arena);
		len += parts[i].len;
	}
	char *entry = arena_take(&sim->arena, ENTRY_HEAD_BYTES + len), *at = entry + ENTRY_HEAD_BYTES;
	if (entry == NULL)
		abort();
	for (size_t i = 0; i < count; i++) {
		memcpy(at, parts[i].ptr, parts[i].len);
		at += parts[i].len;
	}
	entry_seal((struct slice){ entry + ENTRY_HEAD_BYTES, len }, entry);
	return (struct slice){ entry, ENTRY_HEAD_BYTES + len };
}

static void append(struct sim *sim, const struct command *commands, size_t count)
{
	etcd_append(sim, sim_entry(sim, commands, count));
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
	struct event event;
	for (int steps = 0; !sim->violated && sim->now < until && (condition == NULL || !condition(sim)); steps++) {
		if (steps == STEPS_MAX)
			sim_violation(sim, "it does not end");
		if (!sim_next_event(sim, &event))
			return;
		handle(sim, &event);
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
		etcd_append(sim, sim_entry(sim, &genesis, 1));
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

/* Returns whether everything held. *sim is left with the violation. */
static bool run_schedule(struct sim *sim, uint64_t seed, enum mutant mutant, bool tracing)
{
	struct arena arena = sim->arena;
	memset(sim, 0, offsetof(struct sim, events));
	sim->event_count = 0;
	sim->event_sequence = 0;
	sim->violated = false;
	sim->persons = 0;
	sim->arena = arena;
	sim->seed = sim->random = seed;
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
		error = apply_entry(apply, &position, sim_entry(sim, &commands[i], 1), &sim->arena, results, &count);
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

/* ---- all of them ------------------------------------------------------------------------------------ */

static void report(struct sim *sim, uint64_t seed, enum mutant mutant)
{
	printf("# violated by the schedule SIM_SEED=%" PRIu64 ": %s\n", seed, sim->violation);
	if (mutant == MUTANT_NONE)
		run_schedule(sim, seed, mutant, true);
}

static bool test_schedules(struct sim *sim, uint64_t first_seed, int schedules, int *persons)
{
	for (int i = 0; i < schedules; i++) {
		bool held = run_schedule(sim, first_seed + (uint64_t)i, MUTANT_NONE, false);
		*persons += sim->persons > 0 ? 1 : 0;
		if (held)
			continue;
		report(sim, first_seed + (uint64_t)i, MUTANT_NONE);
		return false;
	}
	return true;
}

/* How many schedules it took to find out that a rule is missing; 0: it was not found. */
static int test_mutant(struct sim *sim, uint64_t first_seed, enum mutant mutant)
{
	for (int i = 0; i < MUTANT_SCHEDULES; i++) {
		if (run_schedule(sim, first_seed + (uint64_t)i, mutant, false))
			continue;
		report(sim, first_seed + (uint64_t)i, mutant);
		return i + 1;
	}
	return 0;
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static int run_all(struct sim *sim)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t seed = number_from_environment("SIM_FIRST_SEED", (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec);
	int schedules = (int)number_from_environment("SIM_SCHEDULES", 3000), failed = 0;
	printf("1..%d\n", MUTANT_COUNT);
	printf("# SIM_FIRST_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	int persons = 0;
	bool held = test_schedules(sim, seed, schedules, &persons);
	printf("# in %d schedules a person had to decide\n", persons);
	printf("%s 1 - %d schedules\n", held ? "ok" : "not ok", schedules);
	failed += held ? 0 : 1;
	for (int mutant = 1; mutant < MUTANT_COUNT; mutant++) {
		int found = test_mutant(sim, seed, (enum mutant)mutant);
		printf("%s %d - found within %d schedules: %s\n", found > 0 ? "ok" : "not ok", mutant + 1, found > 0 ? found : MUTANT_SCHEDULES,
		       mutant_names[mutant]);
		fflush(stdout);
		failed += found > 0 ? 0 : 1;
	}
	return failed;
}

int main(void)
{
	static struct sim sim;
	diagnostics_init("simulation", DIAGNOSTICS_ERROR + 1);
	arena_init(&sim.arena, (size_t)64 * 1024 * 1024);
	if (sodium_init() < 0 || !memory_vfs_register() || !make_template(&sim, 0) || !make_template(&sim, 1) || !judge_open()) {
		printf("Bail out! The simulation can't begin.\n");
		return 1;
	}
	const char *seed = getenv("SIM_SEED");
	int failed = 0;
	if (seed == NULL)
		failed = run_all(&sim);
	else
		failed = run_schedule(&sim, strtoull(seed, NULL, 10), (enum mutant)number_from_environment("SIM_MUTANT", 0), true) ? 0 : 1;
	judge_close();
	memory_files_clear();
	arena_close(&sim.arena);
	return failed == 0 ? 0 : 1;
}
