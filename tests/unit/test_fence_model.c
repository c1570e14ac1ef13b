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
 *
 * The parts: model/fence_log.c, fence_writer.c, fence_frontend.c, fence_reader.c and fence_schedule.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>

#include "tests/unit/model/fence.h"

#define SCHEDULES 2000
#define TRIES_WITHOUT 2000            /* schedules in which a missing rule must show */

static void test_no_schedule_fails(void **state)
{
	(void)state;
	unsigned long reads = 0, hits = 0, fences = 0, returns = 0, writes = 0;
	for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
		fence_run_schedule(seed, ALL_RULES);
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
		while (seed <= TRIES_WITHOUT && (fence_run_schedule(seed, without), m.violations == 0))
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
