/*
 * sim_client: clients that buy and change, one request after the other. Who gets no answer in time asks again with the same key, through any
 * node, for ever; and some ask again though they were answered.
 */
#include <stdio.h>

#include "tests/simulation/sim.h"

#define ANSWER_WAIT_MS 900
#define ITEMS 4

static struct command make_command(struct sim *sim)
{
	struct command command = { .type = COMMAND_BUY, .time_ms = 1700000000000 + sim->now };
	int64_t id = sim_random(sim, 1, ITEMS);
	switch (sim_random(sim, 0, 9)) {
	case 0:
		command.type = COMMAND_ITEM_UPDATE;
		command.item_update = (struct item_update_command){ .item_id = id, .has_delta = true, .delta = sim_random(sim, -3, 6) };
		break;
	case 1:
		command.type = COMMAND_ITEM_UPDATE;
		command.item_update = (struct item_update_command){ .item_id = id, .has_cost = true, .cost_minor = sim_random(sim, 0, 99) };
		break;
	case 2:
		command.type = COMMAND_ITEM_CREATE;
		command.item_create.item = (struct item){ 0, SLICE_LITERAL("New"), SLICE_LITERAL("topic"), 5, 3 };
		break;
	default:
		command.buy = (struct buy_command){ id, sim_random(sim, 1, 3) };
	}
	return command;
}

void clients_start(struct sim *sim)
{
	for (int i = 0; i < REQUESTS; i++) {
		struct request *request = &sim->requests[i];
		*request = (struct request){ .command = make_command(sim) };
		snprintf(request->key, sizeof request->key, "r/0/%d", i);
		request->command.request_key = slice_of(request->key);
	}
	for (int c = 0; c < CLIENTS; c++)
		sim_schedule(sim, sim_random(sim, 0, 2000), (struct event){ .type = EVENT_CLIENT, .number = c });
}

/* The request that the client is at, or -1. */
static int current_request(const struct sim *sim, int client)
{
	for (int i = 0; i < REQUESTS_PER_CLIENT; i++)
		if (!sim->requests[client * REQUESTS_PER_CLIENT + i].acknowledged)
			return client * REQUESTS_PER_CLIENT + i;
	return -1;
}

static void ask(struct sim *sim, int number)
{
	struct request *request = &sim->requests[number];
	struct node *node = &sim->node[sim_random(sim, 0, sim->nodes - 1)];
	request->attempts++;
	request->open = true;
	if (sim->mutant == MUTANT_NEW_KEY && request->attempts > 1) {
		snprintf(request->key, sizeof request->key, "r/%d/%d", request->attempts, number);
		request->command.request_key = slice_of(request->key);
	}
	if (node_serves(node))
		proposer_queue(sim, node, number);
	sim_schedule(sim, ANSWER_WAIT_MS, (struct event){ .type = EVENT_REQUEST_TIMEOUT, .number = number, .first = (size_t)request->attempts });
}

void client_acts(struct sim *sim, int client)
{
	int number = current_request(sim, client);
	if (number >= 0 && !sim->requests[number].open)
		ask(sim, number);
}

void client_times_out(struct sim *sim, const struct event *event)
{
	struct request *request = &sim->requests[event->number];
	if (!request->open || (int)event->first != request->attempts)
		return;
	sim_trace(sim, "request %d is sent again", event->number);
	ask(sim, event->number);
}

void client_is_answered(struct sim *sim, const struct node *node, int number, const struct result *result)
{
	struct request *request = &sim->requests[number];
	sim_trace(sim, "request %d is answered by node %d: %s, %lld", number, node->number, error_code(result->error), (long long)result->id);
	judge_answer(sim, node, number, result);
	request->open = false;
	if (!request->acknowledged) {
		request->acknowledged = true;
		request->answer = *result;
	}
	int client = number / REQUESTS_PER_CLIENT;
	if (sim_chance(sim, 15))
		ask(sim, number);
	sim_schedule(sim, sim_random(sim, 10, 2500), (struct event){ .type = EVENT_CLIENT, .number = client });
}

bool clients_are_done(const struct sim *sim)
{
	for (int i = 0; i < REQUESTS; i++)
		if (!sim->requests[i].acknowledged || sim->requests[i].open)
			return false;
	return true;
}
