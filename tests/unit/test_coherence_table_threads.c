/*
 * coherence_table under many threads: writers that push some of their changes, renewers that ask and answer late, and readers.
 *
 * Time is a counter that every commit advances, and the log is an array, so what a reader may rely on is checked exactly: a
 * lease from a question sent at time t means that each slot shows its changes up to t; a confirmed push that its change shows.
 * Sometimes the log is replaced by another one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db/monotonic.h"
#include "nginx/coherence_table.h"

#define SLOTS 256
#define COMMITS_MAX 20000
#define CHECKS_PER_LOG 200                            /* at least, and for LOG_MS */
#define LOG_MS 250
#define LIMIT_MS 20000
#define LOGS_MAX 4
#define TEXT_MAX (64 + COMMITS_MAX * 24)
#define FOREVER_MS INT64_C(1000000000)

struct log {
	uint64_t id;
	_Atomic uint64_t position;
	uint32_t slots[COMMITS_MAX + 1];              /* of each revision, 1.. */
	_Atomic uint64_t confirmed[SLOTS];            /* the newest revision of each slot whose push was confirmed */
};

static struct coherence_table *table;
static struct log logs[LOGS_MAX];
static _Atomic unsigned current;
static pthread_mutex_t commit_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool stop;
static _Atomic uint64_t reads, audits, violations;

/* Commits to the current log, or picks an older commit of it when it is full. Returns the log, sets slot and revision. */
static struct log *commit(unsigned *random, uint32_t *slot, uint64_t *revision)
{
	*slot = (uint32_t)rand_r(random) % SLOTS;
	pthread_mutex_lock(&commit_lock);
	struct log *log = &logs[atomic_load(&current)];
	if (log->position < COMMITS_MAX) {
		*revision = log->position + 1;
		log->slots[*revision] = *slot;
		atomic_store(&log->position, *revision);
	} else {
		*revision = 1 + (uint64_t)rand_r(random) % COMMITS_MAX;
		*slot = log->slots[*revision];
	}
	pthread_mutex_unlock(&commit_lock);
	return log;
}

static void raise_to(_Atomic uint64_t *at, uint64_t value)
{
	uint64_t seen = atomic_load(at);
	while (seen < value && !atomic_compare_exchange_weak(at, &seen, value)) {
	}
}

static void *write_on(void *seed)
{
	unsigned random = (unsigned)(uintptr_t)seed;
	const struct timespec pace = { 0, 10000 };        /* commits spread over the log's time, not all at its start */
	while (!stop) {
		uint64_t revision;
		uint32_t slot;
		nanosleep(&pace, NULL);
		struct log *log = commit(&random, &slot, &revision);
		if (rand_r(&random) % 8 != 0)
			continue;                     /* this push is lost */
		char text[128];
		int len = snprintf(text, sizeof text, "pygmy-changes 1 %016" PRIx64 " push %" PRIu64 "\n%" PRIu64 " %" PRIu32 "\n", log->id,
			revision, revision, slot);
		if (coherence_table_push(table, (struct slice){ text, (size_t)len }) == COHERENCE_DONE)
			raise_to(&log->confirmed[slot], revision);
	}
	return NULL;
}

static size_t make_answer(const struct coherence_question *question, char *text)
{
	struct log *log = &logs[atomic_load(&current)];
	uint64_t position = log->position;
	char id[LOG_ID_HEX_LEN + 1];

	snprintf(id, sizeof id, "%016" PRIx64, log->id);
	bool delta = strcmp(id, question->log_id) == 0 && question->since <= position;
	size_t len = (size_t)snprintf(text, TEXT_MAX, "pygmy-changes 1 %s %s %" PRIu64 "\n", id, delta ? "delta" : "reset", position);
	for (uint64_t i = question->since + 1; delta && i <= position; i++)
		len += (size_t)snprintf(text + len, TEXT_MAX - len, "%" PRIu64 " %" PRIu32 "\n", i, log->slots[i]);
	return len;
}

/* The clock of the leases stands still at 1, so that all of them last. */
static void *renew_on(void *seed)
{
	unsigned random = (unsigned)(uintptr_t)seed;
	char *text = malloc(TEXT_MAX);
	if (text == NULL)
		abort();
	while (!stop) {
		struct coherence_question question;
		coherence_table_ask(table, 1, &question);
		size_t len = make_answer(&question, text);
		for (int i = rand_r(&random) % 10; i > 0; i--)
			sched_yield();
		coherence_table_answer(table, &question, (struct slice){ text, len });
	}
	free(text);
	return NULL;
}

/* What was confirmed before the look must be seen by it, as long as the log is still the one that the table follows. */
static void *read_on(void *seed)
{
	unsigned random = (unsigned)(uintptr_t)seed;
	uint64_t last[SLOTS] = { 0 };
	uint32_t last_era = 0;

	while (!stop) {
		uint32_t slot = (uint32_t)rand_r(&random) % SLOTS;
		unsigned before = atomic_load(&current);
		uint64_t confirmed = atomic_load(&logs[before].confirmed[slot]);
		struct coherence_status status;
		struct coherence_view view;
		coherence_table_view(table, slot, 2, FOREVER_MS, &view);
		coherence_table_status(table, 2, FOREVER_MS, &status);
		if (!view.leased || status.era != view.era || strtoull(status.log_id, NULL, 16) != logs[before].id)
			continue;
		atomic_fetch_add(&reads, 1);
		if (view.era < last_era || view.revision < confirmed)
			atomic_fetch_add(&violations, 1);
		if (view.era == last_era && view.revision < last[slot])
			atomic_fetch_add(&violations, 1);
		if (view.era != last_era)
			memset(last, 0, sizeof last);
		last[slot] = view.revision;
		last_era = view.era;
	}
	return NULL;
}

/* Everything up to the position that the table names must be in the slots: checked against the log itself. */
static void *audit_on(void *unused)
{
	(void)unused;
	uint64_t newest[SLOTS] = { 0 };
	uint64_t known = 0;
	unsigned known_log = 0;

	while (!stop) {
		struct coherence_question question;
		struct coherence_view views[SLOTS];
		unsigned at = atomic_load(&current);
		coherence_table_ask(table, 1, &question);
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			coherence_table_view(table, slot, 2, FOREVER_MS, &views[slot]);
		if (!question.has_position || strtoull(question.log_id, NULL, 16) != logs[at].id)
			continue;
		if (at != known_log)
			memset(newest, 0, sizeof newest);
		for (known = at == known_log ? known : 0; known < question.since; known++)
			newest[logs[at].slots[known + 1]] = known + 1;
		known_log = at;
		atomic_fetch_add(&audits, 1);
		for (uint32_t slot = 0; slot < SLOTS && known == question.since; slot++) {
			if (views[slot].leased && views[slot].era == question.era && views[slot].revision < newest[slot])
				atomic_fetch_add(&violations, 1);
		}
	}
	return NULL;
}

static bool checked_enough(unsigned log_count)
{
	return reads >= (uint64_t)CHECKS_PER_LOG * log_count && audits >= (uint64_t)CHECKS_PER_LOG * log_count;
}

/* Lets the threads work on each log, then replaces it. */
static void play_logs(void)
{
	for (unsigned i = 1; i <= LOGS_MAX; i++) {
		int64_t began_ms = monotonic_ms();
		int64_t passed_ms;
		do {
			sched_yield();
			passed_ms = monotonic_ms() - began_ms;
		} while (passed_ms < LOG_MS || (!checked_enough(i) && passed_ms < LIMIT_MS));
		pthread_mutex_lock(&commit_lock);
		if (i < LOGS_MAX)
			atomic_store(&current, i);
		pthread_mutex_unlock(&commit_lock);
	}
	stop = true;
}

static void test_nothing_is_missed(void **state)
{
	(void)state;
	void *(*const roles[])(void *) = { write_on, write_on, write_on, renew_on, renew_on, read_on, read_on, read_on, audit_on };
	enum { THREADS = sizeof roles / sizeof roles[0] };
	pthread_t threads[THREADS];

	table = coherence_table_create();
	assert_non_null(table);
	for (unsigned i = 0; i < LOGS_MAX; i++)
		logs[i].id = 0xabc0 + i;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, roles[i], (void *)(uintptr_t)(i + 1)), 0);
	play_logs();
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(checked_enough(LOGS_MAX));
	assert_int_equal(violations, 0);
	coherence_table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_nothing_is_missed) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
