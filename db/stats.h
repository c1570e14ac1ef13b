/*
 * stats: counters and histograms of a replica, for /status and /metrics. All are atomic; any thread may add or read.
 */
#ifndef PYGMY_DB_STATS_H
#define PYGMY_DB_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/* Cumulative buckets are computed when rendered; upper bounds are given by whoever observes. */
#define HISTOGRAM_BUCKETS_MAX 16

struct histogram {
	const double *bounds;         /* ascending upper bounds (seconds, or counts), static */
	int bound_count;              /* < HISTOGRAM_BUCKETS_MAX; one more bucket takes the rest */
	atomic_uint_fast64_t buckets[HISTOGRAM_BUCKETS_MAX];
	atomic_uint_fast64_t count;
	atomic_uint_fast64_t sum_micro;   /* sum of the values, times 1e6 */
};

void histogram_init(struct histogram *histogram, const double *bounds, int bound_count);
void histogram_observe(struct histogram *histogram, double value);

extern const double HISTOGRAM_SECONDS[];      /* 50 us to 5 s */
extern const int HISTOGRAM_SECONDS_COUNT;
extern const double HISTOGRAM_SIZES[];        /* 1 to 256 */
extern const int HISTOGRAM_SIZES_COUNT;

struct replica_stats {
	atomic_uint_fast64_t commands_applied;
	atomic_uint_fast64_t commands_repeated;   /* answered from the record */
	atomic_uint_fast64_t commands_refused;    /* by apply */
	atomic_uint_fast64_t proposals_failed;    /* storage full, overload, unknown outcome ... */
	atomic_uint_fast64_t proposals_waiting;   /* gauge */
	atomic_uint_fast64_t pushes;
	atomic_uint_fast64_t push_failures;       /* one frontend did not confirm one try */
	atomic_uint_fast64_t push_lapses;         /* a write waited out the lease of a silent frontend */
	atomic_uint_fast64_t fences;              /* around frontends that did not confirm, by this process */
	struct histogram batch_commands;
	struct histogram commit_seconds;
	struct histogram push_seconds;
};

void replica_stats_init(struct replica_stats *stats);

#endif
