/*
 * sim_judge: the one who knows what is true: a replica that applies every entry at the moment at which it is put, and that nothing happens to.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/sim.h"

#define JUDGE_PATH "judge.db"

static struct applier *judge;
static uint8_t chains[VALUES_MAX + 1][CHAIN_BYTES];     /* behind base_index + i */
static uint64_t base;

bool judge_open(void)
{
	return applier_open(JUDGE_PATH, NULL, &judge) == PYGMY_OK;
}

void judge_close(void)
{
	applier_close(judge);
	judge = NULL;
}

const uint8_t *judge_chain(uint64_t index)
{
	return chains[index - base];
}

void judge_begin(struct sim *sim, const char *template_path)
{
	if (applier_install(judge, template_path) != PYGMY_OK)
		sim_violation(sim, "the judge can't begin");
	sqlite3_wal_checkpoint_v2(applier_database(judge)->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	base = sim->base_index = applier_position(judge)->index;
	memcpy(chains[0], applier_position(judge)->chain, CHAIN_BYTES);
}

/* ---- what an entry decides --------------------------------------------------------------------------- */

struct verdicts {
	struct sim *sim;
	int requests[BATCH_MAX_COMMANDS];     /* -1: none of the clients' */
	size_t count;
};

static void read_requests(struct verdicts *verdicts, struct slice entry)
{
	struct slice body = { entry.ptr + ENTRY_HEAD_BYTES, entry.len - ENTRY_HEAD_BYTES };
	struct command command;
	struct arena arena;
	arena_init(&arena, (size_t)1024 * 1024);
	verdicts->count = 0;
	while (body.len > 0 && command_decode(&body, &arena, &command) == COMMAND_OK) {
		const char *slash = memrchr(command.request_key.ptr, '/', command.request_key.len);
		bool is_request = command.request_key.ptr[0] == 'r' && slash != NULL;
		verdicts->requests[verdicts->count++] = is_request ? (int)strtol(slash + 1, NULL, 10) : -1;
	}
	arena_close(&arena);
}

static bool same_result(const struct result *a, const struct result *b)
{
	bool same = a->error == b->error && a->revision == b->revision && a->id == b->id && a->quantity == b->quantity &&
		    a->slot_count == b->slot_count;
	return same && (a->slot_count == SLOTS_ALL_CHANGED || memcmp(a->slots, b->slots, a->slot_count * sizeof a->slots[0]) == 0);
}

static void note_decisions(void *context, uint64_t index, const struct result *results, size_t count)
{
	struct verdicts *verdicts = context;
	struct sim *sim = verdicts->sim;
	(void)index;
	for (size_t i = 0; i < count && i < verdicts->count; i++) {
		if (verdicts->requests[i] < 0)
			continue;
		struct request *request = &sim->requests[verdicts->requests[i]];
		if (!results[i].repeated && results[i].error == PYGMY_OK && request->command.type == COMMAND_BUY && ++request->orders > 1)
			sim_violation(sim, "request %d made two orders", verdicts->requests[i]);
		if (!request->decided)
			request->truth = results[i];
		else if (!same_result(&request->truth, &results[i]))
			sim_violation(sim, "request %d was decided twice", verdicts->requests[i]);
		request->decided = true;
	}
}

void judge_append(struct sim *sim, const struct etcd_value *value)
{
	struct verdicts verdicts = { .sim = sim };
	read_requests(&verdicts, value->bytes);
	enum pygmy_error error = applier_apply(judge, value, 1, note_decisions, &verdicts);
	if (error != PYGMY_OK)
		sim_violation(sim, "the judge can't apply: %s", error_text(error));
	memcpy(chains[applier_position(judge)->index - base], applier_position(judge)->chain, CHAIN_BYTES);
}

/* ---- what must hold ---------------------------------------------------------------------------------- */

/* A flipped bit can get lost as well: with a cut of the power. An audit of everything tells. */
static bool was_cured(const struct sim *sim, const struct apply_position *position)
{
	return sim->audited > 0 && position->index >= sim->audited && position->index <= applier_position(judge)->index &&
	       memcmp(position->chain, judge_chain(position->index), CHAIN_BYTES) == 0;
}

void judge_node(struct sim *sim, struct node *node)
{
	const struct apply_position *position = applier_position(node->applier);
	if (was_cured(sim, position))
		node->flipped = false;
	if (node->flipped || position->index < base)
		return;
	if (position->index > applier_position(judge)->index)
		sim_violation(sim, "node %d is at %llu, behind the log's end", node->number, (unsigned long long)position->index);
	else if (memcmp(position->chain, judge_chain(position->index), CHAIN_BYTES) != 0)
		sim_violation(sim, "node %d has another chain hash at %llu", node->number, (unsigned long long)position->index);
}

/* The first number that the statement gives. */
static int64_t step_number(sqlite3_stmt *statement)
{
	int64_t value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
	sqlite3_reset(statement);
	return value;
}

static int64_t number_of(struct database *database, const char *sql)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL) != SQLITE_OK)
		return -1;
	int64_t value = step_number(statement);
	sqlite3_finalize(statement);
	return value;
}

static void check_books(struct sim *sim, struct database *database, int number)
{
	static const char *const none[] = {
		"SELECT count(*) FROM items WHERE count < 0 OR supplied <> count + sold",
		"SELECT count(*) FROM items WHERE sold <> (SELECT coalesce(sum(quantity), 0) FROM orders WHERE item_id = items.id)",
		"SELECT count(*) - count(DISTINCT request_key) FROM orders",
		"SELECT count(*) - coalesce(max(id), 0) FROM orders",
		"SELECT count(*) FROM orders JOIN results USING (request_key)",
	};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		if (number_of(database, none[i]) != 0)
			sim_violation(sim, "node %d: not 0: %s", number, none[i]);
}

/* With an index, each order is there once, under the number that the client was told. */
static void check_orders(struct sim *sim, struct database *database, uint64_t index, int number)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(database->handle, "SELECT id FROM orders WHERE request_key = ?1", -1, &statement, NULL) != SQLITE_OK) {
		sim_violation(sim, "node %d can't be asked", number);
		return;
	}
	for (int i = 0; i < REQUESTS; i++) {
		const struct request *request = &sim->requests[i];
		if (!request->acknowledged || request->command.type != COMMAND_BUY || request->truth.error != PYGMY_OK ||
		    request->truth.revision > index)
			continue;
		bind_text(statement, 1, slice_of(request->key));
		if (step_number(statement) != request->truth.id)
			sim_violation(sim, "node %d has not the order of request %d", number, i);
	}
	sqlite3_finalize(statement);
}

void judge_books(struct sim *sim, const struct node *node)
{
	if (!node->up || node->applier == NULL || node->flipped)
		return;
	check_books(sim, applier_database(node->applier), node->number);
	check_orders(sim, applier_database(node->applier), applier_position(node->applier)->index, node->number);
}

void judge_answer(struct sim *sim, const struct node *node, int number, const struct result *result)
{
	const struct request *request = &sim->requests[number];
	if (node->flipped)            /* for as long as nobody knows, it may say what is not true */
		return;
	if (!request->decided)
		sim_violation(sim, "request %d was acknowledged, and is in no entry", number);
	else if (!same_result(&request->truth, result))
		sim_violation(sim, "request %d was answered with something that was not decided", number);
}

/* ---- the end ----------------------------------------------------------------------------------------- */

static void hash_table(crypto_generichash_state *state, struct database *database, const char *sql)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL) != SQLITE_OK)
		return;
	while (sqlite3_step(statement) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(statement); i++) {
			const void *bytes = sqlite3_column_blob(statement, i);
			int head[2] = { sqlite3_column_type(statement, i), sqlite3_column_bytes(statement, i) };
			crypto_generichash_update(state, (const unsigned char *)head, sizeof head);
			crypto_generichash_update(state, bytes, (unsigned long long)head[1]);
		}
	sqlite3_finalize(statement);
}

static void hash_content(struct database *database, uint8_t out[CHAIN_BYTES])
{
	static const char *const tables[] = { "SELECT * FROM items ORDER BY 1", "SELECT * FROM orders ORDER BY 1", "SELECT * FROM results ORDER BY 1",
					      "SELECT * FROM slots ORDER BY 1", "SELECT * FROM members ORDER BY 1", "SELECT * FROM store",
					      "SELECT * FROM log" };
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, CHAIN_BYTES);
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		hash_table(&state, database, tables[i]);
	crypto_generichash_final(&state, out, CHAIN_BYTES);
}

void judge_end(struct sim *sim)
{
	uint8_t truth[CHAIN_BYTES], content[CHAIN_BYTES];
	hash_content(applier_database(judge), truth);
	check_books(sim, applier_database(judge), -1);
	check_orders(sim, applier_database(judge), UINT64_MAX, -1);
	for (int i = 0; i < sim->nodes && !sim->violated; i++) {
		const struct node *node = &sim->node[i];
		if (!node_serves(node) || applier_position(node->applier)->index != etcd_end(sim)) {
			sim_violation(sim, "node %d did not come back", node->number);
			return;
		}
		hash_content(applier_database(node->applier), content);
		if (memcmp(content, truth, CHAIN_BYTES) != 0)
			sim_violation(sim, "node %d has another content at the end", node->number);
	}
}
