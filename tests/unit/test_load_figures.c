/* The load generator's figures: the histogram's buckets and quantiles, what of a request is counted where, chance, and the schedule. */
#include "tests/unit/support.h"

#include <math.h>

#include "client/load/schedule.h"
#include "client/load/tally.h"

/* ---- histogram -------------------------------------------------------------------------------- */

static void test_buckets_cover_everything_without_gap(void **state)
{
	(void)state;
	int64_t before = -1;
	for (int i = 0; i < LOAD_HISTOGRAM_BUCKETS; i++) {
		int64_t end = load_histogram_bucket_end_us(i);
		assert_true(end > before);
		struct load_histogram *histogram = calloc(1, sizeof *histogram);
		assert_non_null(histogram);
		/* The first and the last value of a bucket are in it. */
		load_histogram_add(histogram, before + 1);
		load_histogram_add(histogram, end);
		assert_int_equal(histogram->buckets[i], 2);
		/* It is never wider than a 64th. */
		assert_true((end - before - 1) * 64 <= end);
		free(histogram);
		before = end;
	}
}

static void test_quantiles(void **state)
{
	(void)state;
	struct load_histogram *histogram = calloc(1, sizeof *histogram);
	assert_non_null(histogram);
	assert_int_equal(load_histogram_quantile_us(histogram, 0.5), 0);
	assert_true(load_histogram_mean_us(histogram) == 0);
	for (int i = 1; i <= 100; i++)
		load_histogram_add(histogram, i);
	assert_int_equal(load_histogram_quantile_us(histogram, 0.5), 50);
	assert_int_equal(load_histogram_quantile_us(histogram, 0.99), 99);
	assert_int_equal(load_histogram_quantile_us(histogram, 1), 100);
	assert_true(fabs(load_histogram_mean_us(histogram) - 50.5) < 1e-9);
	/* Never above the largest; a value past the end is kept in the sum and the maximum. */
	load_histogram_add(histogram, INT64_C(1) << 40);
	assert_int_equal(histogram->max_us, INT64_C(1) << 40);
	load_histogram_add(histogram, -5);
	assert_int_equal(histogram->buckets[0], 1);
	free(histogram);
}

/* ---- tally ------------------------------------------------------------------------------------ */

static void test_a_fast_failure_makes_nothing_fast(void **state)
{
	(void)state;
	struct load_tally *tally = malloc(sizeof *tally);
	assert_non_null(tally);
	assert_true(load_tally_open(tally, 2000000, 1000000));
	const struct load_outcome outcomes[] = {
		{ LOAD_LOOKUP, LOAD_DONE, true, 0, 100, 300 },
		{ LOAD_LOOKUP, LOAD_SERVER_ERROR, false, 0, 0, 1 },
		{ LOAD_LOOKUP, LOAD_UNCONNECTED, false, 10, -1, 11 },
		{ LOAD_LOOKUP, LOAD_UNSENT, false, 500000, -1, 1500000 },
		{ LOAD_BUY, LOAD_TIMEOUT, false, 0, 0, 1200000 },
		{ LOAD_BUY, LOAD_REFUSED, false, 1100000, 1100000, 1100500 },
		{ LOAD_BUY, LOAD_DONE, false, 1900000, 1900000, 99000000 },
		{ LOAD_BUY, LOAD_LIMITED, false, 1000000, 1000000, 1000007 },
		{ LOAD_BUY, LOAD_OVERLOADED, false, 1000000, 1000100, 1000900 },
	};
	for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
		load_tally_add(tally, &outcomes[i]);
	const struct load_operation_tally *lookup = &tally->operations[LOAD_LOOKUP], *buy = &tally->operations[LOAD_BUY];
	assert_int_equal(lookup->latency.count, 2);
	assert_int_equal(lookup->latency.max_us, 1000000);
	assert_int_equal(lookup->service.count, 1);
	assert_int_equal(lookup->service.max_us, 200);
	assert_int_equal(lookup->hits, 1);
	assert_int_equal(buy->latency.count, 3);
	/* Who was refused early did nothing. */
	assert_int_equal(buy->unknown, 1);
	assert_int_equal(buy->shed.count, 2);
	assert_int_equal(buy->shed.max_us, 900);
	/* Answers by when they ended, response times by when they were meant to start; what is late is in the last stretch. */
	assert_int_equal(tally->intervals[0].answers, 1);
	assert_int_equal(tally->intervals[0].failures, 2);
	assert_int_equal(tally->intervals[1].answers, 2);
	assert_int_equal(tally->intervals[1].failures, 4);
	assert_int_equal(tally->intervals[0].latency.count, 3);
	assert_int_equal(tally->intervals[1].latency.count, 2);
	struct load_sums sums = load_tally_sums(tally);
	assert_int_equal(sums.requests, 9);
	assert_int_equal(sums.answers, 3);
	assert_int_equal(sums.failures, 6);
	load_tally_close(tally);
	free(tally);
}

/* ---- schedule and chance ---------------------------------------------------------------------- */

static void test_even_schedule(void **state)
{
	(void)state;
	struct load_schedule schedule;
	load_schedule_init(&schedule, 3000, false, 1000000, 1);
	int count = 0;
	for (int64_t due; (due = load_schedule_next_us(&schedule)) >= 0; count++) {
		assert_int_equal(due, (int64_t)(count * 1e6 / 3000));
		load_schedule_take(&schedule);
	}
	assert_int_equal(count, 3000);
}

static void test_independent_clients(void **state)
{
	(void)state;
	struct load_schedule schedule;
	load_schedule_init(&schedule, 1000, true, 100000000, 7);
	int64_t before = 0, due;
	int count = 0, short_gaps = 0;
	for (; (due = load_schedule_next_us(&schedule)) >= 0; count++, before = due) {
		assert_true(due >= before);
		short_gaps += due - before < 693 ? 1 : 0;     /* ln 2 of a mean gap: half of them */
		load_schedule_take(&schedule);
	}
	assert_in_range(count, 98000, 102000);
	assert_in_range(short_gaps, 48000, 52000);
}

static void test_zipf(void **state)
{
	(void)state;
	struct zipf zipf;
	struct chance chance = { 1 };
	int counts[100] = { 0 };
	assert_true(zipf_init(&zipf, 100, 1.0));
	for (int i = 0; i < 100000; i++)
		counts[zipf_rank(&zipf, &chance)]++;
	/* The sum of 1/n up to 100 is 5.19: 19.3 % for the first, half of it for the second. */
	assert_in_range(counts[0], 18800, 19800);
	assert_in_range(counts[1], 9200, 10100);
	assert_true(counts[99] > 100);
	zipf_close(&zipf);
	assert_true(zipf_init(&zipf, 4, 0));
	memset(counts, 0, sizeof counts);
	for (int i = 0; i < 40000; i++)
		counts[zipf_rank(&zipf, &chance)]++;
	for (int i = 0; i < 4; i++)
		assert_in_range(counts[i], 9500, 10500);
	zipf_close(&zipf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets_cover_everything_without_gap),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_a_fast_failure_makes_nothing_fast),
		cmocka_unit_test(test_even_schedule),
		cmocka_unit_test(test_independent_clients),
		cmocka_unit_test(test_zipf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
