/* timeline: counts, latencies and stalls of reads and writes, in all and per 100 ms; see traffic.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/traffic/traffic.h"

#define BIN_US 100000
#define LATENCY_BIN_US 100
#define LATENCY_BINS 300000             /* 30 s; what is longer counts as that */

struct tally {
	int64_t good, failed, slowest_us;
};

struct bin {
	struct tally of[TRAFFIC_KINDS];
};

static struct {
	bool progress;
	int64_t began_us, ended_us;
	int64_t next_line_s;                    /* second of the next line of progress */
	struct bin *bins;
	int64_t bin_count;
	struct tally all[TRAFFIC_KINDS];
	int64_t last_good_us[TRAFFIC_KINDS], stall_us[TRAFFIC_KINDS], stall_at_us[TRAFFIC_KINDS];
	int64_t stale[TRAFFIC_KINDS], stalest_ms[TRAFFIC_KINDS];
	uint32_t *latencies[TRAFFIC_KINDS];
	json_t *outcomes[TRAFFIC_KINDS], *failures[TRAFFIC_KINDS];
} timeline;

void timeline_begin(bool progress)
{
	timeline.progress = progress;
	timeline.began_us = tool_now_us();
	for (int kind = 0; kind < TRAFFIC_KINDS; kind++) {
		timeline.last_good_us[kind] = timeline.began_us;
		timeline.latencies[kind] = calloc(LATENCY_BINS, sizeof **timeline.latencies);
		timeline.outcomes[kind] = json_object();
		timeline.failures[kind] = json_object();
		if (timeline.latencies[kind] == NULL)
			tool_fail("no memory for latencies");
	}
}

void timeline_free(void)
{
	for (int kind = 0; kind < TRAFFIC_KINDS; kind++) {
		free(timeline.latencies[kind]);
		json_decref(timeline.outcomes[kind]);
		json_decref(timeline.failures[kind]);
	}
	free(timeline.bins);
}

static struct bin *bin_at(int64_t time_us)
{
	int64_t number = (time_us - timeline.began_us) / BIN_US;
	if (number >= timeline.bin_count) {
		int64_t wanted = 2 * number + 64;
		struct bin *grown = realloc(timeline.bins, (size_t)wanted * sizeof *grown);
		if (grown == NULL)
			tool_fail("no memory for a timeline");
		memset(grown + timeline.bin_count, 0, (size_t)(wanted - timeline.bin_count) * sizeof *grown);
		timeline.bins = grown;
		timeline.bin_count = wanted;
	}
	return &timeline.bins[number];
}

static void tally_add(struct tally *tally, bool failed, int64_t took_us)
{
	tally->good += !failed;
	tally->failed += failed;
	tally->slowest_us = took_us > tally->slowest_us ? took_us : tally->slowest_us;
}

static void end_stall(enum traffic_kind kind, int64_t time_us)
{
	int64_t stall_us = time_us - timeline.last_good_us[kind];
	if (stall_us > timeline.stall_us[kind]) {
		timeline.stall_us[kind] = stall_us;
		timeline.stall_at_us[kind] = timeline.last_good_us[kind];
	}
	timeline.last_good_us[kind] = time_us;
}

void timeline_add(const struct sight *sight)
{
	int64_t took_us = sight->ended_us - sight->began_us, latency = took_us / LATENCY_BIN_US;
	enum traffic_kind kind = sight->kind;
	tally_add(&timeline.all[kind], sight->failed, took_us);
	tally_add(&bin_at(sight->ended_us)->of[kind], sight->failed, took_us);
	tool_count(sight->failed ? timeline.failures[kind] : timeline.outcomes[kind], sight->outcome);
	timeline.latencies[kind][latency < LATENCY_BINS ? latency : LATENCY_BINS - 1]++;
	if (sight->stale_ms >= 0) {
		timeline.stale[kind]++;
		timeline.stalest_ms[kind] = sight->stale_ms > timeline.stalest_ms[kind] ? sight->stale_ms : timeline.stalest_ms[kind];
	}
	if (!sight->failed)
		end_stall(kind, sight->ended_us);
}

static void print_second(int64_t second)
{
	struct tally sum[TRAFFIC_KINDS] = { { 0 } };
	for (int64_t i = second * 10; i < (second + 1) * 10 && i < timeline.bin_count; i++) {
		for (int kind = 0; kind < TRAFFIC_KINDS; kind++) {
			const struct tally *tally = &timeline.bins[i].of[kind];
			sum[kind].good += tally->good;
			sum[kind].failed += tally->failed;
			if (tally->slowest_us > sum[kind].slowest_us)
				sum[kind].slowest_us = tally->slowest_us;
		}
	}
	fprintf(stderr, "%4" PRId64 " s   reads %5" PRId64 " ok %4" PRId64 " failed, slowest %5" PRId64 " ms   purchases %5" PRId64 " ok %4" PRId64
		" failed, slowest %5" PRId64 " ms\n", second + 1, sum[TRAFFIC_READ].good, sum[TRAFFIC_READ].failed,
		sum[TRAFFIC_READ].slowest_us / 1000, sum[TRAFFIC_WRITE].good, sum[TRAFFIC_WRITE].failed, sum[TRAFFIC_WRITE].slowest_us / 1000);
}

void timeline_progress(void)
{
	int64_t now_s = (tool_now_us() - timeline.began_us) / 1000000;
	for (; timeline.next_line_s < now_s; timeline.next_line_s++)
		if (timeline.progress)
			print_second(timeline.next_line_s);
}

void timeline_end(void)
{
	timeline.ended_us = tool_now_us();
	for (enum traffic_kind kind = 0; kind < TRAFFIC_KINDS; kind++)
		if (timeline.all[kind].good + timeline.all[kind].failed > 0)
			end_stall(kind, timeline.ended_us);
}

/* The latency that so many parts of a thousand do not exceed, in milliseconds. */
static double percentile(enum traffic_kind kind, int64_t parts)
{
	int64_t total = timeline.all[kind].good + timeline.all[kind].failed, wanted = (total * parts + 999) / 1000, seen = 0;
	for (int64_t i = 0; i < LATENCY_BINS && total > 0; i++) {
		seen += timeline.latencies[kind][i];
		if (seen >= wanted)
			return (double)((i + 1) * LATENCY_BIN_US) / 1000;
	}
	return 0;
}

static json_t *milliseconds(int64_t us)
{
	return json_integer((us + 500) / 1000);
}

json_t *timeline_report(enum traffic_kind kind)
{
	const struct tally *all = &timeline.all[kind];
	return json_pack("{s:I,s:I,s:O,s:O,s:o,s:o,s:o,s:f,s:f,s:I,s:I}", "requests", (json_int_t)(all->good + all->failed),
		"failed", (json_int_t)all->failed, "failures", timeline.failures[kind], "outcomes", timeline.outcomes[kind],
		"longest_stall_ms", milliseconds(timeline.stall_us[kind]),
		"longest_stall_at_ms", milliseconds(timeline.stall_at_us[kind] > 0 ? timeline.stall_at_us[kind] - timeline.began_us : 0),
		"slowest_ms", milliseconds(all->slowest_us), "median_ms", percentile(kind, 500), "p99_ms", percentile(kind, 990),
		"stale", (json_int_t)timeline.stale[kind], "stalest_ms", (json_int_t)timeline.stalest_ms[kind]);
}

void timeline_write(const char *path)
{
	FILE *stream = fopen(path, "we");
	if (stream == NULL)
		tool_fail("cannot write %s", path);
	fprintf(stream, "ms,reads_ok,reads_failed,reads_slowest_ms,writes_ok,writes_failed,writes_slowest_ms\n");
	for (int64_t i = 0; i < timeline.bin_count && i * BIN_US < timeline.ended_us - timeline.began_us; i++) {
		const struct tally *reads = &timeline.bins[i].of[TRAFFIC_READ], *writes = &timeline.bins[i].of[TRAFFIC_WRITE];
		fprintf(stream, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%.1f,%" PRId64 ",%" PRId64 ",%.1f\n", i * BIN_US / 1000, reads->good,
			reads->failed, (double)reads->slowest_us / 1000, writes->good, writes->failed, (double)writes->slowest_us / 1000);
	}
	if (fclose(stream) != 0)
		tool_fail("cannot write %s", path);
}
