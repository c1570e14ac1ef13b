/* fence_schedule: events in virtual time, the faults among them, and who plays them; see fence.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model/fence.h"

struct fence_model m;

uint64_t chance(uint64_t below)
{
	return chance_below(&m.chance, below);
}

bool rule(enum rule rule)
{
	return m.without != rule;
}

/* Mostly soon, sometimes later than a lease lasts. */
int64_t delay_ms(void)
{
	return (int64_t)(chance(25) == 0 ? chance(2 * T_MS) : chance(40));
}

struct event *plan(enum event_kind kind, int frontend, int64_t after_ms)
{
	if (m.event_count == EVENTS_MAX)
		abort();
	struct event *event = &m.events[m.event_count++];
	memset(event, 0, offsetof(struct event, text));
	event->kind = kind;
	event->due_ms = m.now_ms + after_ms;
	event->frontend = frontend;
	event->start = frontend < 0 ? 0 : m.frontends[frontend].start;
	return event;
}

bool is_cut(unsigned replica)
{
	return m.now_ms < m.replicas[replica].cut_until_ms;
}

bool is_linked(int frontend, unsigned replica)
{
	return m.now_ms >= m.frontends[frontend].cut_until_ms[replica];
}

/* ---- faults ------------------------------------------------------------------------------------------- */

static void start_frontend(int f)
{
	struct frontend *frontend = &m.frontends[f];
	if (frontend->table != NULL)
		coherence_table_destroy(frontend->table);
	frontend->table = coherence_table_create();
	assert_non_null(frontend->table);
	frontend->start++;
	frontend->frozen_until_ms = 0;
	plan(LEASE_TICK, f, 1);
}

static int64_t trouble_ms(void)
{
	return (int64_t)chance(3 * T_MS / 2);
}

static int any_frontend(void)
{
	return (int)chance(FRONTENDS);
}

/* ---- schedules ---------------------------------------------------------------------------------------- */

static struct event *again(enum event_kind kind, int frontend, unsigned every_ms)
{
	return plan(kind, frontend, 1 + (int64_t)chance(2 * every_ms));
}

static void play_of_wait(const struct event *event)
{
	struct wait *wait = wait_of(event);
	if (wait == NULL)
		return;
	if (event->kind == TRY)
		try_to_push(wait);
	else if (event->kind == PATIENCE)
		lose_patience(wait);
	else
		check_wait(wait);
}

static void play(struct event *event)
{
	int f = event->frontend;
	switch (event->kind) {
	case APPLY: apply(event->replica); break;
	case WRITE: again(WRITE, -1, 60); write_begins(); break;
	case ASK_AGAIN: ask_again(event->revision); break;
	case TRY:
	case PATIENCE:
	case WAIT_ENDS: play_of_wait(event); break;
	case PUSH_ARRIVES: push_arrives(event); break;
	case CONFIRM_ARRIVES: confirm_arrives(event); break;
	case LEASE_TICK:
		if (event->start == m.frontends[f].start) {
			plan(LEASE_TICK, f, LEASE_RENEW_MS);
			ask(f);
		}
		break;
	case ANSWER_MADE: answer_is_made(event); break;
	case ANSWER_ARRIVES: answer_arrives(event); break;
	case JOIN_ARRIVES: join_arrives(event); break;
	case JOINED_ARRIVES: joined_arrives(event); break;
	case READ: again(READ, f, 12); read_begins(f); break;
	case FILL_READS: fill_reads(event); break;
	case FILL_ENDS: fill_ends(event); break;
	case RESTART: again(RESTART, -1, 5000); start_frontend(any_frontend()); break;
	case FREEZE: again(FREEZE, -1, 3000); m.frontends[any_frontend()].frozen_until_ms = m.now_ms + trouble_ms(); break;
	case CUT_REPLICA: again(CUT_REPLICA, -1, 3000); m.replicas[chance(REPLICAS)].cut_until_ms = m.now_ms + trouble_ms(); break;
	case CUT_LINK: again(CUT_LINK, -1, 1500); m.frontends[any_frontend()].cut_until_ms[chance(REPLICAS)] = m.now_ms + trouble_ms(); break;
	}
}

static size_t find_next(void)
{
	size_t next = 0;
	for (size_t i = 1; i < m.event_count; i++)
		if (m.events[i].due_ms < m.events[next].due_ms)
			next = i;
	return next;
}

/* What would happen at a frontend that is frozen happens when it goes on; what is on its way to a replica does not wait. */
static bool is_frozen(const struct event *event)
{
	return event->frontend >= 0 && event->kind != FILL_READS && m.frontends[event->frontend].frozen_until_ms > m.now_ms;
}

void fence_run_schedule(uint64_t seed, enum rule without)
{
	static struct event event;
	memset(&m, 0, sizeof m);
	m.without = without;
	chance_seed(&m.chance, seed);
	m.now_ms = 1;
	m.log[0].item = ITEMS;
	for (int f = 0; f < FRONTENDS; f++) {
		start_frontend(f);
		again(READ, f, 12);
	}
	for (unsigned r = 0; r < REPLICAS; r++)
		plan(APPLY, -1, 1)->replica = r;
	again(WRITE, -1, 60);
	again(RESTART, -1, 5000);
	again(FREEZE, -1, 3000);
	again(CUT_REPLICA, -1, 3000);
	again(CUT_LINK, -1, 1500);
	while (m.now_ms < SCHEDULE_MS) {
		size_t next = find_next();
		m.now_ms = m.events[next].due_ms > m.now_ms ? m.events[next].due_ms : m.now_ms;
		if (is_frozen(&m.events[next])) {
			m.events[next].due_ms = m.frontends[m.events[next].frontend].frozen_until_ms;
			continue;
		}
		event = m.events[next];
		m.events[next] = m.events[--m.event_count];
		play(&event);
	}
	for (int f = 0; f < FRONTENDS; f++)
		coherence_table_destroy(m.frontends[f].table);
}
