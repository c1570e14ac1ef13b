/* sim_clock: chance, the virtual clock, and what happens when. */
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <stdio.h>

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

static struct event take_next(struct sim *sim)
{
	size_t next = 0;
	for (size_t i = 1; i < sim->event_count; i++) {
		const struct event *a = &sim->events[i], *b = &sim->events[next];
		if (a->at < b->at || (a->at == b->at && a->sequence < b->sequence))
			next = i;
	}
	struct event event = sim->events[next];
	sim->events[next] = sim->events[--sim->event_count];
	return event;
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

bool sim_step(struct sim *sim)
{
	if (sim->event_count == 0)
		return false;
	struct event event = take_next(sim);
	sim->now = event.at;
	handle(sim, &event);
	return true;
}
