/* admission: a burst is served, a queue that stands is refused what waited too long, and it is over when the queue is short again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/limits.h"
#include "fcgi/common/admission.h"

#define LIMIT_MS 400
#define NOW_MS 1000000

/* Requests that all waited for waited_ms, one each 10 ms. Returns how many were refused. */
static int offer(struct admission *admission, int64_t *now_ms, int64_t for_ms, int64_t waited_ms)
{
	int refused = 0;
	for (int64_t end_ms = *now_ms + for_ms; *now_ms < end_ms; *now_ms += 10)
		refused += admission_admits(admission, *now_ms, waited_ms, LIMIT_MS) ? 0 : 1;
	return refused;
}

static void test_a_burst_is_served(void **state)
{
	struct admission admission = { 0 };
	int64_t now_ms = NOW_MS;
	(void)state;
	for (int burst = 0; burst < 5; burst++) {
		assert_int_equal(offer(&admission, &now_ms, ADMISSION_INTERVAL_MS - 10, 5 * LIMIT_MS), 0);
		assert_int_equal(offer(&admission, &now_ms, 10, 0), 0);
	}
}

static void test_a_queue_that_stands_is_refused_what_waited_too_long(void **state)
{
	struct admission admission = { 0 };
	int64_t now_ms = NOW_MS;
	(void)state;
	assert_int_equal(offer(&admission, &now_ms, ADMISSION_INTERVAL_MS, LIMIT_MS + 1), 0);
	assert_false(admission_admits(&admission, now_ms, LIMIT_MS + 1, LIMIT_MS));
	assert_true(admission_admits(&admission, now_ms, LIMIT_MS, LIMIT_MS));
	assert_int_equal(offer(&admission, &now_ms, 1000, LIMIT_MS + 1), 100);
	/* Who waits less, but not little, does not end it. */
	assert_int_equal(offer(&admission, &now_ms, 1000, LIMIT_MS / 2 + 1), 0);
	assert_false(admission_admits(&admission, now_ms, LIMIT_MS + 1, LIMIT_MS));
}

static void test_it_is_over_when_somebody_waited_little_and_known_again_sooner(void **state)
{
	struct admission admission = { 0 };
	int64_t now_ms = NOW_MS;
	(void)state;
	offer(&admission, &now_ms, ADMISSION_INTERVAL_MS + 100, LIMIT_MS + 1);
	assert_true(admission_admits(&admission, now_ms, LIMIT_MS / 2, LIMIT_MS));
	assert_int_equal(offer(&admission, &now_ms, ADMISSION_INTERVAL_AGAIN_MS, LIMIT_MS + 1), 0);
	assert_false(admission_admits(&admission, now_ms, LIMIT_MS + 1, LIMIT_MS));
	/* Not for ever. */
	offer(&admission, &now_ms, ADMISSION_MEMORY_MS, 0);
	assert_int_equal(offer(&admission, &now_ms, ADMISSION_INTERVAL_MS, LIMIT_MS + 1), 0);
	assert_false(admission_admits(&admission, now_ms, LIMIT_MS + 1, LIMIT_MS));
}

static void test_who_waited_for_a_worker_that_did_not_run_is_served(void **state)
{
	struct admission admission = { 0 };
	int64_t now_ms = NOW_MS;
	(void)state;
	assert_true(admission_admits(&admission, now_ms, LIMIT_MS + 1, LIMIT_MS));
	now_ms += 3000;
	for (int i = 0; i < 100; i++)
		assert_true(admission_admits(&admission, now_ms, 3000, LIMIT_MS));
}

static void test_who_waited_while_all_threads_were_busy_stood_in_a_queue(void **state)
{
	struct admission admission = { 0 };
	int64_t now_ms = NOW_MS;
	(void)state;
	/* Each request takes longer than the interval: what tells work from silence is that one ends. */
	assert_true(admission_admits(&admission, now_ms, LIMIT_MS + 1, LIMIT_MS));
	now_ms += 3 * ADMISSION_INTERVAL_MS;
	admission_end(&admission, now_ms);
	assert_false(admission_admits(&admission, now_ms, LIMIT_MS + 1, LIMIT_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_burst_is_served),
		cmocka_unit_test(test_a_queue_that_stands_is_refused_what_waited_too_long),
		cmocka_unit_test(test_it_is_over_when_somebody_waited_little_and_known_again_sooner),
		cmocka_unit_test(test_who_waited_for_a_worker_that_did_not_run_is_served),
		cmocka_unit_test(test_who_waited_while_all_threads_were_busy_stood_in_a_queue),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
