/* load_histogram: see histogram.h. Values below 64 have a bucket each; above, each power of two is divided by 64. */
#include "client/load/histogram.h"

#define SUB_BITS LOAD_HISTOGRAM_SUB_BITS

static int bucket_of(int64_t value_us)
{
	uint64_t value = value_us < 0 ? 0 : (uint64_t)value_us;
	if (value >> LOAD_HISTOGRAM_MAX_BITS != 0)
		return LOAD_HISTOGRAM_BUCKETS - 1;
	int shift = 0;
	while (value >> (shift + SUB_BITS + 1) != 0)
		shift++;
	return (shift << SUB_BITS) + (int)(value >> shift);
}

void load_histogram_add(struct load_histogram *histogram, int64_t value_us)
{
	histogram->buckets[bucket_of(value_us)]++;
	histogram->count++;
	histogram->sum_us += value_us;
	if (value_us > histogram->max_us)
		histogram->max_us = value_us;
}

int64_t load_histogram_bucket_end_us(int index)
{
	if (index < 2 << SUB_BITS)
		return index;
	int shift = (index >> SUB_BITS) - 1;
	int64_t sub = index - (shift << SUB_BITS);
	return ((sub + 1) << shift) - 1;
}

int64_t load_histogram_quantile_us(const struct load_histogram *histogram, double share)
{
	double wanted = share * (double)histogram->count;
	uint64_t seen = 0;
	for (int i = 0; i < LOAD_HISTOGRAM_BUCKETS && histogram->count > 0; i++) {
		seen += histogram->buckets[i];
		if (seen == 0 || (double)seen < wanted)
			continue;
		int64_t end_us = load_histogram_bucket_end_us(i);
		return end_us < histogram->max_us ? end_us : histogram->max_us;
	}
	return histogram->max_us;
}

double load_histogram_mean_us(const struct load_histogram *histogram)
{
	return histogram->count == 0 ? 0 : (double)histogram->sum_us / (double)histogram->count;
}
