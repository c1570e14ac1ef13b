/* compaction: see compaction.h. */
#include "db/compaction.h"

uint64_t compaction_majority_durable(const uint64_t *durable, size_t count, size_t configured)
{
	size_t majority = configured / 2 + 1;
	uint64_t best = 0;
	/* The largest of the indexes that so many have reached. */
	for (size_t i = 0; i < count; i++) {
		size_t reached = 0;
		for (size_t j = 0; j < count; j++)
			reached += durable[j] >= durable[i];
		if (reached >= majority && durable[i] > best)
			best = durable[i];
	}
	return best;
}

/*
 * What the margin keeps is counted from the majority's durable index, not from the log's end: whoever comes back has at least
 * that, or needs all the more.
 */
uint64_t compaction_index(uint64_t majority_durable, uint64_t applied, struct compaction_margin margin, compaction_log_bytes log_bytes,
			  void *context)
{
	uint64_t top = majority_durable < applied ? majority_durable : applied;
	uint64_t top_bytes, bytes;
	if (top <= 1 || !log_bytes(context, top, &top_bytes))
		return 0;
	uint64_t low = top > margin.entries ? top - margin.entries : 1;
	/* The smallest index of [low, top] behind which at most margin.bytes lie; what is not remembered counts as too much. */
	uint64_t high = top;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (log_bytes(context, middle, &bytes) && top_bytes - bytes <= margin.bytes)
			high = middle;
		else
			low = middle + 1;
	}
	return high;
}
