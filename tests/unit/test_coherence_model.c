/*
 * The coherence protocol as a whole, in virtual time: writers that push and wait, a frontend with the real table and the real
 * keys, leases, slow and lagging fills, lost and late messages, restarts of nginx, and logs that are replaced by another one.
 *
 * Checked at the end of every read: it shows each write that was acknowledged before it began (or a newer state), and nothing
 * older than what a read that had ended before it began has shown (of the same log).
 *
 * Each rule of the protocol has a switch that takes it out of the model. With all rules no schedule may fail; without any one of
 * them some schedule must: else the rule, or this test, is not needed. Schedules come from seeds; a failure names its seed.
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

#include "db/slot.h"
#include "nginx/cache_key.h"
#include "tests/unit/model/chance.h"

#define T_MS 200
#define RENEW_MS 25
#define ITEMS 12
#define COMMITS_MAX 4000
#define RING 12                   /* so many commits a delta reaches back */
#define CACHE_SIZE 512
#define EVENTS_MAX 512
#define SCHEDULE_MS 6000
#define SCHEDULES 150

enum rule {
	ALL_RULES,
	WRITERS_WAIT,             /* an unconfirmed push is waited out for T after the commit */
	LEASE_IS_CHECKED,
	LEASE_COUNTS_FROM_SENDING,
	TOO_OLD_IS_A_RESET,
	OTHER_LOGS_ARE_TAKEN_IN,  /* a push of another log ends the era */
	KEYS_NAME_THE_ERA,
	FILLS_ASK_FOR_THE_REVISION,
	ANSWERS_RAISE_THE_SLOT,
	LATE_ANSWERS_MAKE_DOUBT,  /* one to a read that began in an era that has passed */
	REPEATED_ANSWERS_WAIT,    /* an answer that repeats an acknowledgement waits for the push as the first one does */
	RULES
};

struct state {
	unsigned log;             /* which one, counted */
	uint64_t revision;        /* of the item's last change in it */
};

enum event_kind { NOTHING, PUSH_ARRIVES, WAIT_ENDS, LEASE_TICK, ANSWER_MADE, ANSWER_ARRIVES, FILL_READS, FILL_ENDS, WRITE, READ, RESTART,
	LOG_CHANGE };

struct event {
	enum event_kind kind;
	int64_t due_ms;
	unsigned nginx;           /* the start of nginx it belongs to */
	unsigned log, item;
	uint64_t revision;
	bool cached;              /* a read's: it may be stored */
	uint32_t era;             /* in which a read began */
	struct coherence_question question;
	struct state must_show, must_not_go_below, shows;
	char text[2048];          /* an answer, or a read's key or tag */
};

static struct model {
	enum rule without;
	struct chance chance;
	int64_t now_ms;
	struct event events[EVENTS_MAX];
	struct coherence_table *table;
	unsigned nginx, log;
	uint64_t position;
	unsigned commits[COMMITS_MAX];                /* of the current log, which item each changed (ITEMS: all); [0] is not used */
	struct state acknowledged[ITEMS], seen[ITEMS];
	struct { char key[CACHE_KEY_MAX_BYTES + 1]; struct state shows; } cache[CACHE_SIZE];
	unsigned long reads, hits, violations;
} m;

static uint64_t chance(uint64_t below)
{
	return chance_below(&m.chance, below);
}

static bool rule(enum rule rule)
{
	return m.without != rule;
}

/* Mostly soon, sometimes later than a lease lasts. */
static int64_t delay_ms(void)
{
	return (int64_t)(chance(10) == 0 ? chance(2 * T_MS) : chance(12));
}

static struct event *plan(enum event_kind kind, int64_t after_ms)
{
	for (size_t i = 0; i < EVENTS_MAX; i++) {
		if (m.events[i].kind == NOTHING) {
			m.events[i] = (struct event){ .kind = kind, .due_ms = m.now_ms + after_ms, .nginx = m.nginx, .log = m.log };
			return &m.events[i];
		}
	}
	abort();
}

static bool older(struct state a, struct state b)
{
	return a.log < b.log || (a.log == b.log && a.revision < b.revision);
}

static uint64_t log_id(unsigned log)
{
	return 0x5eed00 + log;
}

/* The item at a position of the current log. */
static struct state state_at(unsigned item, uint64_t position)
{
	uint64_t revision = position;
	while (revision > 0 && m.commits[revision] != item && m.commits[revision] != ITEMS)
		revision--;
	return (struct state){ m.log, revision };
}

/* ---- writers -------------------------------------------------------------------------------- */

static void acknowledge(const struct event *write)
{
	struct state state = { write->log, write->revision };
	for (unsigned item = 0; item < ITEMS; item++) {
		if ((write->item == item || write->item == ITEMS) && write->log == m.log && older(m.acknowledged[item], state))
			m.acknowledged[item] = state;
	}
}

static void push_arrives(const struct event *push)
{
	char text[256];
	int len = snprintf(text, sizeof text, "pygmy-changes 1 %016" PRIx64 " %s %" PRIu64 "\n", log_id(push->log),
		push->item == ITEMS ? "reset" : "push", push->revision);
	if (push->item < ITEMS)
		len += snprintf(text + len, sizeof text - (size_t)len, "%" PRIu64 " %" PRIu32 "\n", push->revision,
			slot_of_item((int64_t)push->item + 1));
	struct coherence_status status;
	coherence_table_status(m.table, m.now_ms, T_MS, &status);
	bool other = status.era != 0 && strtoull(status.log_id, NULL, 16) != log_id(push->log);
	if (!(other && !rule(OTHER_LOGS_ARE_TAKEN_IN)))
		assert_int_equal(coherence_table_push(m.table, (struct slice){ text, (size_t)len }), COHERENCE_DONE);
	acknowledge(push);
}

static void write_begins(void)
{
	if (m.position + 1 >= COMMITS_MAX)
		return;
	unsigned item = chance(100) == 0 ? ITEMS : (unsigned)chance(ITEMS);
	m.commits[++m.position] = item;

	bool arrives = chance(2) != 0;                /* else the push is lost */
	struct event *event = plan(arrives ? PUSH_ARRIVES : WAIT_ENDS, arrives ? delay_ms() : rule(WRITERS_WAIT) ? T_MS : 0);
	event->item = item;
	event->revision = m.position;
	/* Who asks again under the same key is told so, too, when the first answer is still held back. After T the wait is over anyway. */
	struct event *answer = plan(WAIT_ENDS, rule(REPEATED_ANSWERS_WAIT) ? T_MS : 1);
	answer->item = item;
	answer->revision = m.position;
}

/* ---- leases --------------------------------------------------------------------------------- */

static void lease_tick(void)
{
	/* Sometimes nobody gets through for longer than a lease lasts. */
	plan(LEASE_TICK, chance(12) == 0 ? (int64_t)chance(4 * T_MS) : RENEW_MS);
	if (chance(8) == 0)
		return;
	struct event *question = plan(ANSWER_MADE, delay_ms());
	coherence_table_ask(m.table, m.now_ms, &question->question);
}

static void answer_is_made(const struct event *asked)
{
	const struct coherence_question *question = &asked->question;
	char id[LOG_ID_HEX_LEN + 1];
	snprintf(id, sizeof id, "%016" PRIx64, log_id(m.log));
	bool known = strcmp(id, question->log_id) == 0 && question->since <= m.position;
	bool too_old = known && m.position - question->since > RING && rule(TOO_OLD_IS_A_RESET);

	struct event *answer = plan(ANSWER_ARRIVES, delay_ms());
	answer->nginx = asked->nginx;
	answer->question = *question;
	size_t len = (size_t)snprintf(answer->text, sizeof answer->text, "pygmy-changes 1 %s %s %" PRIu64 "\n", id,
		known && !too_old ? "delta" : "reset", m.position);
	uint64_t from = m.position > RING ? m.position - RING : 0;
	for (uint64_t i = from > question->since ? from : question->since; known && !too_old && i < m.position; i++) {
		len += (size_t)snprintf(answer->text + len, sizeof answer->text - len, "%" PRIu64, i + 1);
		for (unsigned item = 0; item < ITEMS; item++) {
			if (m.commits[i + 1] == item || m.commits[i + 1] == ITEMS)
				len += (size_t)snprintf(answer->text + len, sizeof answer->text - len, " %" PRIu32, slot_of_item((int64_t)item + 1));
		}
		len += (size_t)snprintf(answer->text + len, sizeof answer->text - len, "\n");
	}
	assert_true(len < sizeof answer->text);
}

static void answer_arrives(struct event *answer)
{
	if (answer->nginx != m.nginx)
		return;
	if (!rule(LEASE_COUNTS_FROM_SENDING))
		answer->question.sent_at_ms = m.now_ms;
	if (coherence_table_answer(m.table, &answer->question, slice_of(answer->text)) == COHERENCE_ASK_AGAIN) {
		struct event *question = plan(ANSWER_MADE, delay_ms());
		coherence_table_ask(m.table, m.now_ms, &question->question);
	}
}

/* ---- readers -------------------------------------------------------------------------------- */

static uint32_t era_now(void)
{
	struct coherence_status status;
	coherence_table_status(m.table, m.now_ms, T_MS, &status);
	return status.era;
}

static void read_ends(const struct event *read, struct state shows)
{
	m.reads++;
	bool back = shows.log == read->must_not_go_below.log && older(shows, read->must_not_go_below);
	if (older(shows, read->must_show) || back)
		m.violations++;
	if (older(m.seen[read->item], shows))
		m.seen[read->item] = shows;
}

/* By slot and revision alone: a place must not depend on the table's random nonce, or seeds would repeat nothing. */
static unsigned cache_place(const char *key)
{
	return slot_of_resource((struct slice){ key, strcspn(key, "#/") }) % CACHE_SIZE;
}

static void read_begins(void)
{
	char args[16];
	unsigned item = (unsigned)chance(ITEMS);
	struct slice slice = { args, (size_t)snprintf(args, sizeof args, "id=%u", item + 1) };
	struct event *read = plan(FILL_READS, delay_ms());
	read->item = item;
	read->era = era_now();
	read->must_show = m.acknowledged[item];
	read->must_not_go_below = m.seen[item];

	int64_t lease_ms = rule(LEASE_IS_CHECKED) ? T_MS : INT64_C(1) << 40;
	size_t len = cache_key_write(m.table, CACHE_ROUTE_LOOKUP, slice, m.now_ms, lease_ms, read->text);
	read->cached = len > 0;
	if (len == 0)
		len = cache_key_write_tag(m.table, CACHE_ROUTE_LOOKUP, slice, read->text);
	read->text[len] = '\0';
	if (read->cached) {
		read->revision = strtoull(strchr(read->text, '@') + 1, NULL, 10);
		char *era = strchr(read->text, '#');
		if (!rule(KEYS_NAME_THE_ERA))
			memmove(era, strchr(era, '/'), strlen(strchr(era, '/')) + 1);
		unsigned place = cache_place(read->text);
		if (strcmp(m.cache[place].key, read->text) == 0) {
			m.hits++;
			read_ends(read, m.cache[place].shows);
			read->kind = NOTHING;
		}
	}
}

/* A worker answers: as of now when it is asked for the newest, else it may lag, but never behind the revision it is asked for. */
static void fill_reads(struct event *read)
{
	uint64_t position = m.position;
	if (read->cached) {
		if (read->revision > position)
			return;                       /* behind: 503 */
		uint64_t least = rule(FILLS_ASK_FOR_THE_REVISION) ? read->revision : 0;
		uint64_t lag = chance(3) == 0 ? chance(6) : 0;
		position = lag > position - least ? least : position - lag;
	}
	struct event *end = plan(FILL_ENDS, delay_ms());
	unsigned nginx = read->nginx;
	int64_t due_ms = end->due_ms;
	*end = *read;
	end->kind = FILL_ENDS;
	end->due_ms = due_ms;
	end->nginx = nginx;
	end->shows = state_at(read->item, position);
}

static void fill_ends(const struct event *read)
{
	char changed[24];
	if (read->nginx != m.nginx)
		return;                               /* its nginx is gone, and so is its client */
	snprintf(changed, sizeof changed, "%" PRIu64, read->shows.revision);
	if (rule(read->era != era_now() ? LATE_ANSWERS_MAKE_DOUBT : ANSWERS_RAISE_THE_SLOT) && rule(KEYS_NAME_THE_ERA))
		assert_true(cache_key_raise(m.table, slice_of(read->text), slice_of(changed), m.now_ms));
	if (read->cached) {
		unsigned place = cache_place(read->text);
		memcpy(m.cache[place].key, read->text, CACHE_KEY_MAX_BYTES);
		m.cache[place].shows = read->shows;
	}
	read_ends(read, read->shows);
}

/* ---- faults --------------------------------------------------------------------------------- */

static void restart_nginx(void)
{
	coherence_table_destroy(m.table);
	m.table = coherence_table_create();
	assert_non_null(m.table);
	m.nginx++;
}

static void change_log(void)
{
	m.log++;
	m.position = chance(20);
	for (uint64_t i = 1; i <= m.position; i++)
		m.commits[i] = (unsigned)chance(ITEMS);
}

/* ---- schedules ------------------------------------------------------------------------------ */

static void again(enum event_kind kind, unsigned every_ms)
{
	plan(kind, 1 + (int64_t)chance(2 * every_ms));
}

static void play(struct event *event)
{
	switch (event->kind) {
	case PUSH_ARRIVES: push_arrives(event); break;
	case WAIT_ENDS: acknowledge(event); break;
	case LEASE_TICK: lease_tick(); break;
	case ANSWER_MADE: answer_is_made(event); break;
	case ANSWER_ARRIVES: answer_arrives(event); break;
	case FILL_READS: fill_reads(event); break;
	case FILL_ENDS: fill_ends(event); break;
	case WRITE: again(WRITE, 10); write_begins(); break;
	case READ: again(READ, 1); read_begins(); break;
	case RESTART: again(RESTART, 1500); restart_nginx(); break;
	case LOG_CHANGE: again(LOG_CHANGE, 1500); change_log(); break;
	case NOTHING: break;
	}
}

static void run_schedule(uint64_t seed, enum rule without)
{
	memset(&m, 0, sizeof m);
	m.without = without;
	chance_seed(&m.chance, seed);
	m.now_ms = 1;
	m.table = coherence_table_create();
	assert_non_null(m.table);
	plan(LEASE_TICK, 0);
	again(WRITE, 10);
	again(READ, 1);
	again(RESTART, 1500);
	again(LOG_CHANGE, 1500);
	while (m.now_ms < SCHEDULE_MS) {
		struct event *next = NULL;
		for (size_t i = 0; i < EVENTS_MAX; i++) {
			if (m.events[i].kind != NOTHING && (next == NULL || m.events[i].due_ms < next->due_ms))
				next = &m.events[i];
		}
		struct event event = *next;
		next->kind = NOTHING;
		m.now_ms = event.due_ms;
		play(&event);
	}
	coherence_table_destroy(m.table);
}

static void test_no_schedule_fails(void **state)
{
	(void)state;
	unsigned long reads = 0, hits = 0;
	for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
		run_schedule(seed, ALL_RULES);
		if (m.violations > 0)
			fail_msg("seed %" PRIu64 ": %lu stale reads of %lu", seed, m.violations, m.reads);
		reads += m.reads;
		hits += m.hits;
	}
	/* Schedules in which the cache is never used would prove little. */
	assert_true(hits > reads / 10);
}

static void test_every_rule_is_needed(void **state)
{
	(void)state;
	for (enum rule without = ALL_RULES + 1; without < RULES; without++) {
		unsigned failed = 0;
		for (uint64_t seed = 1; seed <= SCHEDULES && failed == 0; seed++) {
			run_schedule(seed, without);
			failed += m.violations > 0;
		}
		if (failed == 0)
			fail_msg("no schedule fails without rule %d", without);
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
