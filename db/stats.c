/* stats: relaxed atomics; a reader may see a count and a sum of different moments. */
#include "db/stats.h"

const double HISTOGRAM_SECONDS[] = { 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
				     0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0 };
const int HISTOGRAM_SECONDS_COUNT = sizeof HISTOGRAM_SECONDS / sizeof HISTOGRAM_SECONDS[0];
const double HISTOGRAM_SIZES[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };
const int HISTOGRAM_SIZES_COUNT = sizeof HISTOGRAM_SIZES / sizeof HISTOGRAM_SIZES[0];

_Static_assert(sizeof HISTOGRAM_SECONDS / sizeof HISTOGRAM_SECONDS[0] < HISTOGRAM_BUCKETS_MAX, "one bucket takes the rest");

void histogram_init(struct histogram *histogram, const double *bounds, int bound_count)
{
	histogram->bounds = bounds;
	histogram->bound_count = bound_count;
	for (int i = 0; i < HISTOGRAM_BUCKETS_MAX; i++)
		atomic_init(&histogram->buckets[i], 0);
	atomic_init(&histogram->count, 0);
	atomic_init(&histogram->sum_micro, 0);
}

void histogram_observe(struct histogram *histogram, double value)
{
	int bucket = 0;
	while (bucket < histogram->bound_count && value > histogram->bounds[bucket])
		bucket++;
	atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->sum_micro, (uint_fast64_t)(value * 1e6), memory_order_relaxed);
}

void replica_stats_init(struct replica_stats *stats)
{
	atomic_init(&stats->commands_applied, 0);
	atomic_init(&stats->commands_repeated, 0);
	atomic_init(&stats->commands_refused, 0);
	atomic_init(&stats->proposals_failed, 0);
	atomic_init(&stats->proposals_waiting, 0);
	atomic_init(&stats->pushes, 0);
	atomic_init(&stats->push_failures, 0);
	atomic_init(&stats->push_lapses, 0);
	atomic_init(&stats->fences, 0);
	histogram_init(&stats->batch_commands, HISTOGRAM_SIZES, HISTOGRAM_SIZES_COUNT);
	histogram_init(&stats->commit_seconds, HISTOGRAM_SECONDS, HISTOGRAM_SECONDS_COUNT);
	histogram_init(&stats->push_seconds, HISTOGRAM_SECONDS, HISTOGRAM_SECONDS_COUNT);
}
