/*
 * pygmy-load: the load generator behind client/loadtest.sh, usable by hand. See options.c for what it takes.
 *
 * Its parts: options.c; plan.c and chance.c what is asked; best.c what a cache could know of it; schedule.c when; link.c and response.c the connections; run.c the two loops; tally.c and
 * histogram.c what came of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "client/load/run.h"

enum { EXIT_WRONG_USAGE = 2, EXIT_UNCONNECTED = 3, EXIT_LOCAL = 5, EXIT_INTERRUPTED = 130 };

static json_t *times_of(const struct load_histogram *histogram)
{
	return json_pack("{s:I,s:f,s:I,s:I,s:I,s:I,s:I,s:I}", "count", (json_int_t)histogram->count,
		"mean_us", load_histogram_mean_us(histogram),
		"p50_us", (json_int_t)load_histogram_quantile_us(histogram, 0.5),
		"p90_us", (json_int_t)load_histogram_quantile_us(histogram, 0.9),
		"p95_us", (json_int_t)load_histogram_quantile_us(histogram, 0.95),
		"p99_us", (json_int_t)load_histogram_quantile_us(histogram, 0.99),
		"p999_us", (json_int_t)load_histogram_quantile_us(histogram, 0.999),
		"max_us", (json_int_t)histogram->max_us);
}

static json_t *operation_of(const struct load_operation_tally *tally)
{
	uint64_t requests = 0, failures = 0;
	json_t *ends = json_object();
	for (int end = 0; end < LOAD_ENDS; end++) {
		requests += tally->ends[end];
		failures += load_end_is_failure((enum load_end)end) ? tally->ends[end] : 0;
		json_object_set_new(ends, load_end_name((enum load_end)end), json_integer((json_int_t)tally->ends[end]));
	}
	return json_pack("{s:I,s:I,s:o,s:I,s:I,s:I,s:o,s:o,s:o}", "requests", (json_int_t)requests, "failures", (json_int_t)failures, "ends", ends,
		"hits", (json_int_t)tally->hits, "possible_hits", (json_int_t)tally->possible_hits, "unknown", (json_int_t)tally->unknown,
		"latency", times_of(&tally->latency), "service", times_of(&tally->service), "shed", times_of(&tally->shed));
}

static bool print_report(const struct load_run *run)
{
	const struct load_options *options = run->options;
	struct load_sums sums = load_tally_sums(run->tally);
	double seconds = (double)run->last_end_us / 1e6;
	json_t *operations = json_object();
	for (int i = 0; i < LOAD_OPERATIONS; i++) {
		json_t *operation = operation_of(&run->tally->operations[i]);
		if (json_integer_value(json_object_get(operation, "requests")) > 0)
			json_object_set(operations, load_operation_name((enum load_operation)i), operation);
		json_decref(operation);
	}
	json_t *report = json_pack("{s:s,s:f,s:I,s:f,s:I,s:I,s:I,s:f,s:b,s:I,s:o}", "loop", options->rate > 0 ? "open" : "closed",
		"rate", options->rate, "connections", (json_int_t)options->connections, "seconds", seconds,
		"requests", (json_int_t)sums.requests, "answers", (json_int_t)sums.answers, "failures", (json_int_t)sums.failures,
		"answers_per_second", seconds > 0 ? (double)sums.answers / seconds : 0.0, "interrupted", run->interrupted,
		"seed", (json_int_t)options->seed, "operations", operations);
	bool good = report != NULL && json_dumpf(report, stdout, JSON_SORT_KEYS | JSON_REAL_PRECISION(6)) == 0 && putchar('\n') != EOF;
	json_decref(report);
	return good && fflush(stdout) == 0;
}

static bool write_file(const char *path, const struct load_tally *tally, void (*write)(const struct load_tally *, FILE *))
{
	if (path == NULL)
		return true;
	FILE *stream = fopen(path, "we");
	if (stream != NULL)
		write(tally, stream);
	bool good = stream != NULL && fflush(stream) == 0 && ferror(stream) == 0;
	if (!good)
		fprintf(stderr, "pygmy-load: cannot write %s: %s\n", path, strerror(errno));
	if (stream != NULL)
		fclose(stream);
	return good;
}

static int finish(const struct load_run *run)
{
	const struct load_options *options = run->options;
	bool written = write_file(options->series_file, run->tally, load_tally_write_series)
		       && write_file(options->latency_file, run->tally, load_tally_write_latency);
	if (run->acks != NULL && (fflush(run->acks) != 0 || ferror(run->acks) != 0)) {
		fprintf(stderr, "pygmy-load: cannot write %s\n", options->acks_file);
		written = false;
	}
	written = print_report(run) && written;
	return !written ? EXIT_LOCAL : run->interrupted ? EXIT_INTERRUPTED : 0;
}

static int run_load(const struct load_options *options, struct load_plan *plan, FILE *acks)
{
	struct load_tally tally;
	struct load_run run;
	char why[300] = "no memory for the figures";
	int code = EXIT_LOCAL;
	if (load_tally_open(&tally, options->run_us + options->timeout_us, options->interval_us)) {
		enum load_run_outcome outcome = load_run(&run, options, plan, &tally, acks, why, sizeof why);
		code = outcome == LOAD_RUN_DONE ? finish(&run) : outcome == LOAD_RUN_UNCONNECTED ? EXIT_UNCONNECTED : EXIT_LOCAL;
		why[0] = outcome == LOAD_RUN_DONE ? '\0' : why[0];
	}
	if (why[0] != '\0')
		fprintf(stderr, "pygmy-load: %s\n", why);
	load_tally_close(&tally);
	return code;
}

int main(int argc, char **argv)
{
	struct load_options options;
	struct load_plan plan;
	char why[300];
	switch (load_options_read(&options, argc, argv)) {
	case LOAD_OPTIONS_HELP:
		fputs(LOAD_HELP, stdout);
		return 0;
	case LOAD_OPTIONS_WRONG:
		return EXIT_WRONG_USAGE;
	case LOAD_OPTIONS_GOOD:
		break;
	}
	FILE *acks = options.acks_file == NULL ? NULL : fopen(options.acks_file, "we");
	int code = EXIT_LOCAL;
	if (options.acks_file != NULL && acks == NULL) {
		fprintf(stderr, "pygmy-load: cannot write %s: %s\n", options.acks_file, strerror(errno));
		return EXIT_LOCAL;
	}
	bool open = load_plan_open(&plan, options.items_file, options.topics_file, options.exponent, options.seed, why, sizeof why);
	if (!open) {
		fprintf(stderr, "pygmy-load: %s\n", why);
	} else if (options.weights[LOAD_SEARCH] > 0 && !options.after_write && plan.topic_count == 0) {
		fprintf(stderr, "pygmy-load: there is no topic in %s\n", options.topics_file);
	} else if (curl_global_init(CURL_GLOBAL_ALL) == 0) {
		memcpy(plan.weights, options.weights, sizeof plan.weights);
		plan.after_write = options.after_write;
		plan.strict = options.strict;
		plan.keys = options.keys;
		code = run_load(&options, &plan, acks);
		curl_global_cleanup();
	}
	load_plan_close(&plan);
	if (acks != NULL)
		fclose(acks);
	return code;
}
