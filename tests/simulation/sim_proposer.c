/*
 * sim_proposer: a node's way of proposing: a batch is put into etcd, again when nobody answers, and answered from the records of the node's
 * own database once that has applied it. Puts get lost, or happen and are not answered, or happen long after everybody has given up.
 */
#include <string.h>

#include "tests/simulation/sim.h"

#define ANSWER_WAIT_MS 400
#define TRIES_MAX 3

void proposer_queue(struct sim *sim, struct node *node, int request)
{
	if (node->queued == QUEUE_MAX)
		return;
	node->queue[node->queued++] = request;
	sim_schedule(sim, sim_random(sim, 0, 3), (struct event){ .type = EVENT_PROPOSE, .node = node->number, .life = node->life });
}

static void send_put(struct sim *sim, struct node *node)
{
	struct batch *batch = &node->batch;
	struct event event = { .type = EVENT_PUT, .node = node->number, .life = node->life, .number = batch->number, .bytes = batch->bytes,
			       .count = batch->count };
	batch->tries++;
	if (!node->cut_off && !sim_fault(sim, 8))
		sim_schedule(sim, sim_fault(sim, 6) ? sim_random(sim, 300, 3000) : sim_random(sim, 1, 5), event);
	event.type = EVENT_BATCH_TIMEOUT;
	sim_schedule(sim, ANSWER_WAIT_MS, event);
}

void proposer_propose(struct sim *sim, struct node *node)
{
	struct command commands[BATCH_COMMANDS];
	struct batch *batch = &node->batch;
	if (batch->active || node->queued == 0 || !node_serves(node))
		return;
	*batch = (struct batch){ .active = true, .number = ++sim->batches };
	size_t take = node->queued < BATCH_COMMANDS ? node->queued : BATCH_COMMANDS;
	for (size_t i = 0; i < take; i++) {
		int request = node->queue[i];
		if (request >= 0)
			commands[i] = sim->requests[request].command;
		else
			commands[i] = (struct command){ .type = COMMAND_AUDIT, .request_key = SLICE_LITERAL("audit/0/a"), .audit.rows = 3 };
		commands[i].base_index = node->sequencer.applied_index;
		batch->requests[batch->count++] = request;
	}
	node->queued -= take;
	memmove(node->queue, node->queue + take, node->queued * sizeof node->queue[0]);
	batch->bytes = etcd_entry(sim, commands, batch->count);
	send_put(sim, node);
}

/* At etcd. The node may be dead by now, or have given up: the put happens all the same. */
void proposer_put(struct sim *sim, const struct event *event)
{
	struct node *node = &sim->node[event->node];
	const struct batch *batch = &node->batch;
	bool is_current = node->life == event->life && batch->active && batch->number == event->number;
	uint64_t index = etcd_append(sim, event->bytes);
	sim_trace(sim, "entry %llu by node %d%s", (unsigned long long)index, node->number, is_current ? "" : ", which has given it up");
	judge_append(sim, &sim->etcd.values[sim->etcd.count - 1]);
	nodes_hear(sim, sim->etcd.count - 1);
	if (!is_current || node->cut_off || sim_fault(sim, 10))
		return;
	sim_schedule(sim, sim_random(sim, 1, 5), (struct event){ .type = EVENT_ANSWER, .node = node->number, .life = node->life,
								 .number = event->number, .first = (size_t)index });
}

static bool is_current(const struct node *node, const struct event *event)
{
	return node->batch.active && node->batch.number == event->number;
}

static void end_batch(struct sim *sim, struct node *node)
{
	node->batch.active = false;
	if (node->queued > 0)
		sim_schedule(sim, 1, (struct event){ .type = EVENT_PROPOSE, .node = node->number, .life = node->life });
}

void proposer_answer(struct sim *sim, struct node *node, const struct event *event)
{
	if (!is_current(node, event) || node->batch.index != 0)
		return;
	node->batch.index = event->first;
	proposer_applied(sim, node);
}

void proposer_timeout(struct sim *sim, struct node *node, const struct event *event)
{
	if (!is_current(node, event))
		return;
	if (node->batch.index == 0 && node->batch.tries < TRIES_MAX) {
		sim_trace(sim, "node %d puts batch %d again", node->number, node->batch.number);
		send_put(sim, node);
		return;
	}
	for (size_t i = 0; sim->mutant == MUTANT_EARLY_ANSWER && i < node->batch.count; i++)
		if (node->batch.requests[i] >= 0)
			client_is_answered(sim, node, node->batch.requests[i], &(struct result){ .error = PYGMY_OK });
	end_batch(sim, node);
}

/* Without a record, whatever the reason, the outcome is not known, and nobody is answered. */
void proposer_applied(struct sim *sim, struct node *node)
{
	struct result results[BATCH_COMMANDS];
	struct batch *batch = &node->batch;
	size_t count = 0;
	if (!batch->active || batch->index == 0 || node->sequencer.applied_index < batch->index || node->phase != PHASE_FOLLOWING)
		return;
	if (node->recorded == NULL && recorded_open(node->path, &node->recorded) != PYGMY_OK) {
		sim_violation(sim, "node %d can't open its records", node->number);
		return;
	}
	struct arena arena;
	arena_init(&arena, (size_t)1024 * 1024);
	enum pygmy_error error = recorded_results(node->recorded, batch->bytes, batch->index, &arena, results, &count);
	arena_close(&arena);
	if (error != PYGMY_OK && !node->flipped)
		sim_violation(sim, "node %d has no record of entry %llu: %s", node->number, (unsigned long long)batch->index, error_text(error));
	for (size_t i = 0; error == PYGMY_OK && i < count; i++)
		if (batch->requests[i] >= 0)
			client_is_answered(sim, node, batch->requests[i], &results[i]);
	end_batch(sim, node);
}
