/* load_tally: see tally.h. */
#include "client/load/tally.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const END_NAMES[LOAD_ENDS] = {
	"done", "refused", "rate_limited", "overloaded", "server_error", "broken", "timeout", "unconnected", "unsent",
};

const char *load_end_name(enum load_end end)
{
	return END_NAMES[end];
}

bool load_end_is_failure(enum load_end end)
{
	return end != LOAD_DONE && end != LOAD_REFUSED;
}

bool load_tally_open(struct load_tally *tally, int64_t run_us, int64_t interval_us)
{
	memset(tally, 0, sizeof *tally);
	tally->interval_us = interval_us;
	tally->interval_count = (size_t)((run_us + interval_us - 1) / interval_us);
	tally->intervals = calloc(tally->interval_count, sizeof *tally->intervals);
	return tally->intervals != NULL;
}

void load_tally_close(struct load_tally *tally)
{
	free(tally->intervals);
	tally->intervals = NULL;
}

static struct load_interval *interval_at(struct load_tally *tally, int64_t at_us)
{
	size_t index = at_us < 0 ? 0 : (size_t)(at_us / tally->interval_us);
	return &tally->intervals[index < tally->interval_count ? index : tally->interval_count - 1];
}

/* Refused before anything was done. */
static bool is_shed(enum load_end end)
{
	return end == LOAD_LIMITED || end == LOAD_OVERLOADED;
}

void load_tally_add(struct load_tally *tally, const struct load_outcome *outcome)
{
	struct load_operation_tally *operation = &tally->operations[outcome->operation];
	bool failed = load_end_is_failure(outcome->end);
	bool sent = outcome->sent_us >= 0;
	operation->ends[outcome->end]++;
	operation->hits += outcome->hit ? 1 : 0;
	if (is_shed(outcome->end))
		load_histogram_add(&operation->shed, outcome->ended_us - outcome->intended_us);
	/* A purchase that was answered with another 5xx may have happened, too. */
	operation->unknown += outcome->operation == LOAD_BUY && failed && sent && !is_shed(outcome->end) ? 1 : 0;
	if (failed)
		interval_at(tally, outcome->ended_us)->failures++;
	else
		interval_at(tally, outcome->ended_us)->answers++;
	if (failed && outcome->end != LOAD_TIMEOUT && outcome->end != LOAD_UNSENT)
		return;
	load_histogram_add(&operation->latency, outcome->ended_us - outcome->intended_us);
	load_histogram_add(&interval_at(tally, outcome->intended_us)->latency, outcome->ended_us - outcome->intended_us);
	if (sent)
		load_histogram_add(&operation->service, outcome->ended_us - outcome->sent_us);
}

struct load_sums load_tally_sums(const struct load_tally *tally)
{
	struct load_sums sums = { 0 };
	for (int i = 0; i < LOAD_OPERATIONS; i++)
		for (int end = 0; end < LOAD_ENDS; end++) {
			uint64_t count = tally->operations[i].ends[end];
			sums.requests += count;
			*(load_end_is_failure((enum load_end)end) ? &sums.failures : &sums.answers) += count;
		}
	return sums;
}

void load_tally_write_series(const struct load_tally *tally, FILE *out)
{
	double seconds = (double)tally->interval_us / 1e6;
	size_t count = tally->interval_count;
	while (count > 0 && tally->intervals[count - 1].answers + tally->intervals[count - 1].failures == 0)
		count--;
	fprintf(out, "start_s,answers_per_second,failures_per_second,p50_us,p99_us,max_us,mean_us\n");
	for (size_t i = 0; i < count; i++) {
		const struct load_interval *interval = &tally->intervals[i];
		fprintf(out, "%.3f,%.1f,%.1f,%" PRId64 ",%" PRId64 ",%" PRId64 ",%.1f\n", (double)i * seconds,
			(double)interval->answers / seconds, (double)interval->failures / seconds,
			load_histogram_quantile_us(&interval->latency, 0.5), load_histogram_quantile_us(&interval->latency, 0.99),
			interval->latency.max_us, load_histogram_mean_us(&interval->latency));
	}
}

static void write_buckets(const struct load_histogram *histogram, const char *operation, const char *from, FILE *out)
{
	for (int i = 0; i < LOAD_HISTOGRAM_BUCKETS; i++)
		if (histogram->buckets[i] > 0)
			fprintf(out, "%s,%s,%" PRId64 ",%" PRIu32 "\n", operation, from, load_histogram_bucket_end_us(i), histogram->buckets[i]);
}

void load_tally_write_latency(const struct load_tally *tally, FILE *out)
{
	fprintf(out, "operation,counted_from,up_to_us,count\n");
	for (int i = 0; i < LOAD_OPERATIONS; i++) {
		write_buckets(&tally->operations[i].latency, load_operation_name((enum load_operation)i), "intended", out);
		write_buckets(&tally->operations[i].service, load_operation_name((enum load_operation)i), "sent", out);
	}
}
