/*
 * Fences as a whole, in virtual time: a log, replicas that lag or are cut off from it, a writer at each, and frontends with the real tables and the
 * real keys, which join, are pushed to, take leases, are fenced and join again. Messages are lost or late, links between a frontend and a
 * replica are cut one by one, fills are slow, frontends freeze, and are killed and started again. (What happens when a log is replaced by
 * another one: test_coherence_model.c.)
 *
 * Checked at the end of every read, at every frontend: it shows each write that was acknowledged before it began, and nothing older than what a read
 * at this frontend has shown that had ended before it began.
 *
 * Each rule has a switch that takes it out. With all rules no schedule may fail; without any one of them some schedule must.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/limits.h"
#include "db/slot.h"
#include "nginx/cache_key.h"

#define T_MS LEASE_DEFAULT_MS
#define PATIENCE_MS 500               /* PUSH_PATIENCE_MS of db/pusher.h */
#define RETRY_MS 60
#define REPLICAS 3
#define FRONTENDS 2
#define ITEMS 6
#define ENTRIES_MAX 2000
#define RING 24
#define CACHE_SIZE 256
#define EVENTS_MAX 4096
#define WAITS_MAX 256
#define SCHEDULE_MS 15000
#define SCHEDULES 2000
#define TRIES_WITHOUT 400             /* schedules in which a missing rule must show */

enum rule {
	ALL_RULES,
	REPEATED_ANSWERS_PUSH,        /* an answer that repeats an acknowledgement waits for the frontends as the first one does */
	FIRST_LEASE_SETS_FLOOR,       /* what a table has not been told of counts as changed */
	READS_T_BOUND,                /* the cache is used only until the lease's question was sent T ago */
	WAIT_AFTER_FENCE,             /* T from when the fence was seen */
	FENCED_GET_NO_LEASE,
	LEASES_ARE_STRICT,            /* a replica answers as of the log's end, or not at all */
	LIST_AS_OF_THE_WRITE,         /* whom a write waits for is read at its index or behind it, not before it was put */
	UNCONFIRMED_IS_WAITED_OUT,
	RULES
};

/* ---- the world -------------------------------------------------------------------------------------- */

struct registered {
	bool joined, fenced;
	uint64_t since;
};

struct entry {
	unsigned item;                /* ITEMS: no write */
	struct registered frontends[FRONTENDS];       /* behind this entry */
};

enum event_kind { APPLY, WRITE, ASK_AGAIN, TRY, PATIENCE, WAIT_ENDS, PUSH_ARRIVES, CONFIRM_ARRIVES, LEASE_TICK, ANSWER_MADE, ANSWER_ARRIVES, JOIN_ARRIVES,
	JOINED_ARRIVES, READ, FILL_READS, FILL_ENDS, RESTART, FREEZE, CUT_REPLICA, CUT_LINK };

struct event {
	enum event_kind kind;
	int64_t due_ms;
	int frontend;                 /* at which it happens; -1: elsewhere */
	unsigned start;               /* of the frontend it belongs to */
	unsigned peer, replica, item, wait, wait_serial;
	uint64_t revision;
	bool cached;
	struct coherence_question question;
	uint32_t era;                 /* in which a read began */
	uint64_t must_show, must_not_go_below, shows;
	char text[768];
};

/* An acknowledgement that is held back. */
struct wait {
	bool active, listed;
	unsigned serial, replica;
	uint64_t index, list_position;
	bool repeated;
	bool target[FRONTENDS], confirmed[FRONTENDS], was_fenced[FRONTENDS];
	uint64_t since[FRONTENDS];
	int64_t lapse_ms[FRONTENDS];
};

struct replica {
	uint64_t applied;
	int64_t cut_until_ms;         /* from the log */
	int64_t fence_seen_ms;
};

struct frontend {
	struct coherence_table *table;
	unsigned start;
	int64_t frozen_until_ms;
	int64_t cut_until_ms[REPLICAS];
	uint64_t seen[ITEMS];
	struct { char key[CACHE_KEY_MAX_BYTES + 1]; uint64_t shows; } cache[CACHE_SIZE];
};

static struct model {
	enum rule without;
	uint64_t random;
	int64_t now_ms;
	size_t event_count;
	struct event events[EVENTS_MAX];
	struct entry log[ENTRIES_MAX];
	uint64_t end;
	struct replica replicas[REPLICAS];
	struct frontend frontends[FRONTENDS];
	struct wait waits[WAITS_MAX];
	unsigned serial;
	uint64_t acknowledged[ITEMS];
	unsigned long reads, hits, violations, fences, returns, writes;
} m;

static uint64_t chance(uint64_t below)
{
	m.random ^= m.random << 13;
	m.random ^= m.random >> 7;
	m.random ^= m.random << 17;
	return m.random % below;
}

static bool rule(enum rule rule)
{
	return m.without != rule;
}

/* Mostly soon, sometimes later than a lease lasts. */
static int64_t delay_ms(void)
{
	return (int64_t)(chance(25) == 0 ? chance(2 * T_MS) : chance(40));
}

static struct event *plan(enum event_kind kind, int frontend, int64_t after_ms)
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

static bool is_cut(unsigned replica)
{
	return m.now_ms < m.replicas[replica].cut_until_ms;
}

static bool is_linked(int frontend, unsigned replica)
{
	return m.now_ms >= m.frontends[frontend].cut_until_ms[replica];
}

/* ---- the log and the replicas ------------------------------------------------------------------------- */

static struct entry *append(unsigned item)
{
	if (m.end + 1 >= ENTRIES_MAX)
		return NULL;
	m.log[m.end + 1] = m.log[m.end];
	m.log[++m.end].item = item;
	return &m.log[m.end];
}

static uint64_t changed_at(unsigned item, uint64_t position)
{
	while (position > 0 && m.log[position].item != item)
		position--;
	return position;
}

static void check_wait(struct wait *wait);
static void start_wait(struct wait *wait);

static void apply(unsigned r)
{
	struct replica *replica = &m.replicas[r];
	plan(APPLY, -1, 5 + (int64_t)chance(30))->replica = r;
	if (is_cut(r) || replica->applied == m.end || chance(4) == 0)
		return;
	uint64_t to = chance(3) == 0 ? replica->applied + 1 + chance(m.end - replica->applied) : m.end;
	for (; replica->applied < to; replica->applied++)
		for (int f = 0; f < FRONTENDS; f++)
			if (m.log[replica->applied + 1].frontends[f].fenced && m.log[replica->applied + 1].frontends[f].since == replica->applied + 1)
				replica->fence_seen_ms = m.now_ms;
	for (size_t i = 0; i < WAITS_MAX; i++) {
		struct wait *wait = &m.waits[i];
		if (!wait->active || wait->replica != r)
			continue;
		if (!wait->listed && wait->index <= replica->applied)
			start_wait(wait);
		else if (wait->listed)
			check_wait(wait);
	}
}

/* ---- writers ------------------------------------------------------------------------------------------ */

static struct wait *new_wait(unsigned replica, uint64_t index, bool repeated)
{
	for (size_t i = 0; i < WAITS_MAX; i++)
		if (!m.waits[i].active) {
			m.waits[i] = (struct wait){ .active = true, .serial = ++m.serial, .replica = replica, .index = index, .repeated = repeated };
			return &m.waits[i];
		}
	return NULL;
}

static void plan_of_wait(enum event_kind kind, const struct wait *wait, int64_t after_ms)
{
	struct event *event = plan(kind, -1, after_ms);
	event->wait = (unsigned)(wait - m.waits);
	event->wait_serial = wait->serial;
}

static struct wait *wait_of(const struct event *event)
{
	struct wait *wait = &m.waits[event->wait];
	return wait->active && wait->serial == event->wait_serial ? wait : NULL;
}

static void acknowledge(struct wait *wait)
{
	unsigned item = m.log[wait->index].item;
	if (m.acknowledged[item] < wait->index)
		m.acknowledged[item] = wait->index;
	wait->active = false;
	m.writes++;
}

static bool is_held_back(const struct wait *wait, int f)
{
	if (!wait->target[f] || wait->confirmed[f] || m.now_ms >= wait->lapse_ms[f])
		return false;
	return rule(WAIT_AFTER_FENCE) || !m.log[m.replicas[wait->replica].applied].frontends[f].fenced;
}

static void check_wait(struct wait *wait)
{
	for (int f = 0; f < FRONTENDS; f++)
		if (is_held_back(wait, f))
			return;
	acknowledge(wait);
}

/* The writer knows that its entry is committed, and whom it has to wait for. */
static void start_wait(struct wait *wait)
{
	const struct replica *replica = &m.replicas[wait->replica];
	const struct registered *list = m.log[rule(LIST_AS_OF_THE_WRITE) ? replica->applied : wait->list_position].frontends;
	wait->listed = true;
	if (wait->repeated && !rule(REPEATED_ANSWERS_PUSH)) {
		acknowledge(wait);
		return;
	}
	for (int f = 0; f < FRONTENDS; f++) {
		int64_t since_ms = list[f].fenced && replica->fence_seen_ms < m.now_ms ? replica->fence_seen_ms : m.now_ms;
		wait->target[f] = list[f].joined;
		wait->was_fenced[f] = list[f].fenced;
		wait->since[f] = list[f].since;
		wait->lapse_ms[f] = since_ms + T_MS;
		if (is_held_back(wait, f))
			plan_of_wait(WAIT_ENDS, wait, wait->lapse_ms[f] - m.now_ms);
	}
	plan_of_wait(TRY, wait, 0);
	plan_of_wait(PATIENCE, wait, PATIENCE_MS);
}

static void write_begins(void)
{
	unsigned replica = (unsigned)chance(REPLICAS);
	uint64_t list_position = m.replicas[replica].applied;
	if (is_cut(replica) || append((unsigned)chance(ITEMS)) == NULL)
		return;
	struct wait *wait = new_wait(replica, m.end, false);
	if (wait != NULL)
		wait->list_position = list_position;
	/* A client that lost patience asks again, elsewhere, under the same key. */
	if (chance(3) == 0)
		plan(ASK_AGAIN, -1, delay_ms())->revision = m.end;
}

static void ask_again(uint64_t index)
{
	unsigned replica = (unsigned)chance(REPLICAS);
	if (is_cut(replica))
		return;
	struct wait *wait = new_wait(replica, index, true);
	if (wait == NULL)
		return;
	wait->list_position = m.replicas[replica].applied;
	if (m.replicas[replica].applied >= index)
		start_wait(wait);
}

static void try_to_push(struct wait *wait)
{
	bool again = false;
	for (int f = 0; f < FRONTENDS && wait->active; f++) {
		if (!is_held_back(wait, f))
			continue;
		again = true;
		if (!is_linked(f, wait->replica) || chance(3) == 0)
			continue;
		struct event *push = plan(PUSH_ARRIVES, f, delay_ms());
		push->wait = (unsigned)(wait - m.waits);
		push->wait_serial = wait->serial;
		push->item = m.log[wait->index].item;
		push->revision = wait->index;
		push->replica = wait->replica;
	}
	if (again && !rule(UNCONFIRMED_IS_WAITED_OUT))
		acknowledge(wait);
	else if (again)
		plan_of_wait(TRY, wait, RETRY_MS);
	else
		check_wait(wait);
}

/* Who has not confirmed by now is fenced, if it is still the one that this writer knows. */
static void lose_patience(const struct wait *wait)
{
	for (int f = 0; f < FRONTENDS; f++) {
		const struct registered *now = &m.log[m.end].frontends[f];
		if (!is_held_back(wait, f) || wait->was_fenced[f] || is_cut(wait->replica) || now->fenced || now->since != wait->since[f])
			continue;
		struct entry *entry = append(ITEMS);
		if (entry == NULL)
			return;
		entry->frontends[f].fenced = true;
		entry->frontends[f].since = m.end;
		m.fences++;
	}
}

static void push_arrives(const struct event *push)
{
	char text[128];
	int len = snprintf(text, sizeof text, "pygmy-changes 1 %016" PRIx64 " push %" PRIu64 "\n%" PRIu64 " %" PRIu32 "\n", UINT64_C(0x5eed),
		push->revision, push->revision, slot_of_item((int64_t)push->item + 1));
	if (push->start != m.frontends[push->frontend].start)
		return;                               /* the connection is broken */
	assert_int_equal(coherence_table_push(m.frontends[push->frontend].table, (struct slice){ text, (size_t)len }), COHERENCE_DONE);
	if (!is_linked(push->frontend, push->replica) || chance(5) == 0)
		return;
	struct event *confirm = plan(CONFIRM_ARRIVES, -1, delay_ms());
	confirm->wait = push->wait;
	confirm->wait_serial = push->wait_serial;
	confirm->peer = (unsigned)push->frontend;
}

/* ---- leases and joins --------------------------------------------------------------------------------- */

static void join(int f)
{
	if (!coherence_table_claim_join(m.frontends[f].table, m.now_ms))
		return;
	struct event *event = plan(JOIN_ARRIVES, -1, delay_ms());
	event->replica = (unsigned)chance(REPLICAS);
	event->peer = (unsigned)f;
	event->start = m.frontends[f].start;
}

static void join_arrives(const struct event *event)
{
	int f = (int)event->peer;
	if (is_cut(event->replica) || !is_linked(f, event->replica))
		return;
	bool returns = m.log[m.end].frontends[f].fenced;
	struct entry *entry = append(ITEMS);
	if (entry == NULL)
		return;
	entry->frontends[f] = (struct registered){ .joined = true, .since = m.end };
	m.returns += returns;
	struct event *answer = plan(JOINED_ARRIVES, f, delay_ms());
	answer->start = event->start;
	answer->revision = m.end;
}

static void ask(int f)
{
	struct coherence_question question;
	coherence_table_ask(m.frontends[f].table, m.now_ms, &question);
	if (question.joined == 0) {
		join(f);
		return;
	}
	struct event *event = plan(ANSWER_MADE, -1, delay_ms());
	event->replica = (unsigned)chance(REPLICAS);
	event->peer = (unsigned)f;
	event->start = m.frontends[f].start;
	event->question = question;
}

static void answer_is_made(const struct event *asked)
{
	const struct coherence_question *question = &asked->question;
	int f = (int)asked->peer;
	bool strict = rule(LEASES_ARE_STRICT);
	if ((strict && is_cut(asked->replica)) || !is_linked(f, asked->replica))
		return;
	uint64_t position = strict ? m.end : m.replicas[asked->replica].applied;
	const struct registered *registered = &m.log[position].frontends[f];
	bool counts = registered->joined && !registered->fenced && registered->since == question->joined;
	bool known = question->has_position && question->since <= position && position - question->since <= RING;
	const char *kind = !counts && rule(FENCED_GET_NO_LEASE) ? "fenced" : known ? "delta" : "reset";
	struct event *answer = plan(ANSWER_ARRIVES, f, delay_ms());
	answer->start = asked->start;
	answer->question = *question;
	/* Without a floor: as if nothing had ever changed. */
	uint64_t said = kind[0] == 'r' && !rule(FIRST_LEASE_SETS_FLOOR) ? (question->has_position ? question->since : 1) : position;
	size_t len = (size_t)snprintf(answer->text, sizeof answer->text, "pygmy-changes 1 %016" PRIx64 " %s %" PRIu64 "\n", UINT64_C(0x5eed), kind, said);
	for (uint64_t i = question->since + 1; kind[0] == 'd' && i <= position; i++)
		if (m.log[i].item < ITEMS)
			len += (size_t)snprintf(answer->text + len, sizeof answer->text - len, "%" PRIu64 " %" PRIu32 "\n", i,
				slot_of_item((int64_t)m.log[i].item + 1));
	assert_true(len < sizeof answer->text);
}

static void answer_arrives(const struct event *answer)
{
	int f = answer->frontend;
	if (answer->start != m.frontends[f].start)
		return;
	enum coherence_outcome outcome = coherence_table_answer(m.frontends[f].table, &answer->question, slice_of(answer->text));
	if (outcome == COHERENCE_ASK_AGAIN)
		ask(f);
	else if (outcome == COHERENCE_FENCED)
		join(f);
}

static void joined_arrives(const struct event *answer)
{
	int f = answer->frontend;
	if (answer->start != m.frontends[f].start)
		return;
	coherence_table_joined(m.frontends[f].table, m.now_ms, answer->revision);
	ask(f);
}

/* ---- readers ------------------------------------------------------------------------------------------ */

static uint32_t era_of(const struct frontend *frontend)
{
	struct coherence_status status;
	coherence_table_status(frontend->table, m.now_ms, T_MS, &status);
	return status.era;
}

static void read_ends(const struct event *read, uint64_t shows)
{
	struct frontend *frontend = &m.frontends[read->frontend];
	m.reads++;
	if (shows < read->must_show || shows < read->must_not_go_below)
		m.violations++;
	/* A frontend that has just started, and knows of no log yet, raises nothing. */
	if (frontend->seen[read->item] < shows && read->era == era_of(frontend))
		frontend->seen[read->item] = shows;
}

/* By slot and revision alone: a place must not depend on the table's random nonce, or seeds would repeat nothing. */
static unsigned cache_place(const char *key)
{
	return slot_of_resource((struct slice){ key, strcspn(key, "#/") }) % CACHE_SIZE;
}

static void read_begins(int f)
{
	struct frontend *frontend = &m.frontends[f];
	unsigned item = (unsigned)chance(ITEMS);
	char args[16];
	struct slice slice = { args, (size_t)snprintf(args, sizeof args, "id=%u", item + 1) };
	struct event *read = plan(FILL_READS, -1, delay_ms());
	read->frontend = f;
	read->start = frontend->start;
	read->item = item;
	read->era = era_of(frontend);
	read->replica = (unsigned)chance(REPLICAS);
	read->must_show = m.acknowledged[item];
	read->must_not_go_below = frontend->seen[item];
	int64_t lease_ms = rule(READS_T_BOUND) ? T_MS : INT64_C(1) << 40;
	size_t len = cache_key_write(frontend->table, CACHE_ROUTE_LOOKUP, slice, m.now_ms, lease_ms, read->text);
	read->cached = len > 0;
	if (len == 0)
		len = cache_key_write_tag(frontend->table, CACHE_ROUTE_LOOKUP, slice, read->text);
	read->text[len] = '\0';
	if (!read->cached)
		return;
	read->revision = strtoull(strchr(read->text, '@') + 1, NULL, 10);
	unsigned place = cache_place(read->text);
	if (strcmp(frontend->cache[place].key, read->text) == 0) {
		m.hits++;
		read_ends(read, frontend->cache[place].shows);
		m.event_count--;
	}
}

/* A replica answers: as of the log's end when it is asked for the newest, else it may lag, but never behind what it is asked for. */
static void fill_reads(const struct event *read)
{
	const struct replica *replica = &m.replicas[read->replica];
	if (!is_linked(read->frontend, read->replica) || (!read->cached && is_cut(read->replica)))
		return;
	uint64_t position = read->cached ? replica->applied : m.end;
	if (read->cached && read->revision > position)
		return;                               /* behind: 503 */
	struct event *end = plan(FILL_ENDS, read->frontend, delay_ms());
	int64_t due_ms = end->due_ms;
	*end = *read;
	end->kind = FILL_ENDS;
	end->due_ms = due_ms;
	end->shows = changed_at(read->item, position);
}

static void fill_ends(const struct event *read)
{
	struct frontend *frontend = &m.frontends[read->frontend];
	char changed[24];
	if (read->start != frontend->start)
		return;                               /* it is gone, and so is its client */
	snprintf(changed, sizeof changed, "%" PRIu64, read->shows);
	(void)cache_key_raise(frontend->table, slice_of(read->text), slice_of(changed));
	if (read->cached) {
		unsigned place = cache_place(read->text);
		memcpy(frontend->cache[place].key, read->text, CACHE_KEY_MAX_BYTES);
		frontend->cache[place].shows = read->shows;
	}
	read_ends(read, read->shows);
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

static void confirm_arrives(const struct event *event)
{
	struct wait *wait = wait_of(event);
	if (wait == NULL)
		return;
	wait->confirmed[event->peer] = true;
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

static void run_schedule(uint64_t seed, enum rule without)
{
	static struct event event;
	memset(&m, 0, sizeof m);
	m.without = without;
	m.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
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

static void test_no_schedule_fails(void **state)
{
	(void)state;
	unsigned long reads = 0, hits = 0, fences = 0, returns = 0, writes = 0;
	for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
		run_schedule(seed, ALL_RULES);
		if (m.violations > 0)
			fail_msg("seed %" PRIu64 ": %lu stale reads of %lu", seed, m.violations, m.reads);
		reads += m.reads;
		hits += m.hits;
		fences += m.fences;
		returns += m.returns;
		writes += m.writes;
	}
	print_message("%d schedules: %lu reads, %lu hits, %lu acknowledged writes, %lu fences, %lu returns\n", SCHEDULES, reads, hits, writes, fences,
		returns);
	/* Schedules in which nothing happens would prove little. */
	assert_true(hits > reads / 10 && fences > SCHEDULES && returns > SCHEDULES && writes > 10 * SCHEDULES);
}

static void test_every_rule_is_needed(void **state)
{
	(void)state;
	for (enum rule without = ALL_RULES + 1; without < RULES; without++) {
		uint64_t seed = 1;
		while (seed <= TRIES_WITHOUT && (run_schedule(seed, without), m.violations == 0))
			seed++;
		if (seed > TRIES_WITHOUT)
			fail_msg("no schedule fails without rule %d", without);
		print_message("without rule %d: seed %" PRIu64 " fails\n", without, seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_schedule_fails),
		cmocka_unit_test(test_every_rule_is_needed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
