/* stats: which bucket a value falls into, and sums. */
#include "tests/unit/support.h"

#include "db/stats.h"

static uint64_t bucket(struct histogram *histogram, int index)
{
	return atomic_load(&histogram->buckets[index]);
}

static void test_buckets(void **state)
{
	(void)state;
	static const double bounds[] = { 1, 2, 4 };
	struct histogram histogram;
	histogram_init(&histogram, bounds, 3);
	histogram_observe(&histogram, 0);
	histogram_observe(&histogram, 1);             /* bounds are upper bounds, included */
	histogram_observe(&histogram, 1.5);
	histogram_observe(&histogram, 4);
	histogram_observe(&histogram, 4.000001);
	histogram_observe(&histogram, 1e9);
	assert_int_equal(bucket(&histogram, 0), 2);
	assert_int_equal(bucket(&histogram, 1), 1);
	assert_int_equal(bucket(&histogram, 2), 1);
	assert_int_equal(bucket(&histogram, 3), 2);
	assert_int_equal(atomic_load(&histogram.count), 6);
	assert_int_equal(atomic_load(&histogram.sum_micro), 1000000010500001);
}

static void assert_ascending(const double *bounds, int count, double first, double last)
{
	assert_true(count < HISTOGRAM_BUCKETS_MAX);
	assert_true(bounds[0] <= first && bounds[0] >= first);
	assert_true(bounds[count - 1] <= last && bounds[count - 1] >= last);
	for (int i = 1; i < count; i++)
		assert_true(bounds[i] > bounds[i - 1]);
}

static void test_the_bounds_ascend(void **state)
{
	(void)state;
	assert_ascending(HISTOGRAM_SECONDS, HISTOGRAM_SECONDS_COUNT, 0.00005, 5.0);
	assert_ascending(HISTOGRAM_SIZES, HISTOGRAM_SIZES_COUNT, 1, BATCH_MAX_COMMANDS);
}

static void test_a_replicas_stats_begin_at_zero(void **state)
{
	(void)state;
	struct replica_stats stats;
	memset(&stats, 0x55, sizeof stats);
	replica_stats_init(&stats);
	assert_int_equal(atomic_load(&stats.commands_applied), 0);
	assert_int_equal(atomic_load(&stats.commands_repeated), 0);
	assert_int_equal(atomic_load(&stats.commands_refused), 0);
	assert_int_equal(atomic_load(&stats.proposals_failed), 0);
	assert_int_equal(atomic_load(&stats.proposals_waiting), 0);
	assert_int_equal(atomic_load(&stats.pushes), 0);
	assert_int_equal(atomic_load(&stats.push_failures), 0);
	assert_int_equal(atomic_load(&stats.push_lapses), 0);
	struct histogram *histograms[] = { &stats.batch_commands, &stats.commit_seconds, &stats.push_seconds };
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(atomic_load(&histograms[i]->count), 0);
		assert_int_equal(atomic_load(&histograms[i]->sum_micro), 0);
		for (int b = 0; b < HISTOGRAM_BUCKETS_MAX; b++)
			assert_int_equal(bucket(histograms[i], b), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_the_bounds_ascend),
		cmocka_unit_test(test_a_replicas_stats_begin_at_zero),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
