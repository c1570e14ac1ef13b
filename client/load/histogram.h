/*
 * load_histogram: how many requests took how long, in buckets that are never wider than a 64th of what they hold.
 *
 * Microseconds up to 2^36 (19 hours); longer ones count as that. A fixed size, no allocation. Not for several threads.
 */
#ifndef PYGMY_LOAD_HISTOGRAM_H
#define PYGMY_LOAD_HISTOGRAM_H

#include <stdint.h>

#define LOAD_HISTOGRAM_SUB_BITS 6
#define LOAD_HISTOGRAM_MAX_BITS 36
#define LOAD_HISTOGRAM_BUCKETS ((LOAD_HISTOGRAM_MAX_BITS - LOAD_HISTOGRAM_SUB_BITS + 1) << LOAD_HISTOGRAM_SUB_BITS)

/* All zeros: empty. */
struct load_histogram {
	uint32_t buckets[LOAD_HISTOGRAM_BUCKETS];
	uint64_t count;
	int64_t sum_us, max_us;
};

void load_histogram_add(struct load_histogram *histogram, int64_t value_us);

/* Of all values, so much (0 to 1) lay at or below it; 0 when there are none. Never above the largest value. */
int64_t load_histogram_quantile_us(const struct load_histogram *histogram, double share);

/* 0 when there are none. */
double load_histogram_mean_us(const struct load_histogram *histogram);

/* The largest value that bucket index takes. */
int64_t load_histogram_bucket_end_us(int index);

#endif
