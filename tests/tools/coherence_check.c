/*
 * coherence_check: whether a read that starts after a write was acknowledged ever misses it, at any frontend.
 *
 *     coherence_check --frontend URL... --catalog URL --catalog URL --order URL --order URL --token-file FILE
 *
 * Writers change things of their own (buy, PUT, DELETE, import again, move to another topic) through all workers, and keep every
 * state that a thing was given. Each reader looks things up and searches topics through one of the frontends. What a reader sees of a thing must be
 * one of the states between the last one acknowledged when its request started and the last one sent when the answer was there;
 * and not one from before what any reader had seen of the same resource at this frontend. A write without an answer is sent again under its
 * key until it has one. Things, topics and keys are named for the seed: a store can be checked many times.
 *
 * An answer that says how old it may be (X-Pygmy-Stale-Ms) is counted, and proves nothing.
 *
 * --readers, --writers, --things   how many
 * --seconds, --reads   the run ends with the first of the two, or by SIGUSR1
 * --hits   so many answers must have come out of caches: SIGUSR1 ends the run not before, and less is no success
 * --pipeline   requests that a reader has under way at once, on average
 * --search-percent, --strict-percent   of the reads: searches; past the cache
 * --impatient-percent   of the writes: the first answer is waited for only up to 200 ms, then the write is sent again under its key
 * --abandon-permille    of the readers' turns: the connection is closed before the answers are there
 * --progress 1   a line per second on stderr
 * --ca, --cert, --key   for nodes with https addresses (frontends have none)
 * --pause-pid   a process that is stopped and continued at random moments, so that fills of the cache are slow
 * --rest-ms     how long a writer rests between two writes, at most
 * --seed
 *
 * Prints one line of JSON; violations go to stderr. Code 0: coherent, 1: not, or too few hits, 2: could not run.
 *
 * The parts: coherence/history.c what states there were, coherence/writer.c, coherence/reader.c with coherence/connection.c,
 * coherence/pauser.c.
 */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/coherence/check.h"

#define THREADS_MAX 160
#define TOKEN_HEX_LEN 64

struct check check = { .chance_lock = PTHREAD_MUTEX_INITIALIZER };

static const char *token_file[1], *pause_pids[PAUSE_PIDS_MAX];
static int token_count, pause_count;
static int64_t readers = 8, writers = 3, things = 12, seconds = 5, given_seed;

static void read_options(int argc, char **argv)
{
	check.reads_max = 200000;
	check.rest_ms = 4;
	check.pipeline = 4;
	check.search_percent = 20;
	check.strict_percent = 10;
	const struct tool_option options[] = {
		{ .name = "frontend", .texts = check.frontends, .text_count = &check.frontend_count, .text_max = CHECK_FRONTENDS_MAX },
		{ .name = "catalog", .texts = check.catalogs, .text_count = &check.catalog_count, .text_max = CHECK_NODES_MAX },
		{ .name = "order", .texts = check.orders, .text_count = &check.order_count, .text_max = CHECK_NODES_MAX },
		{ .name = "token-file", .texts = token_file, .text_count = &token_count, .text_max = 1 },
		{ .name = "pause-pid", .texts = pause_pids, .text_count = &pause_count, .text_max = PAUSE_PIDS_MAX },
		{ .name = "readers", .number = &readers, .min = 1, .max = 128 },
		{ .name = "writers", .number = &writers, .min = 1, .max = 16 },
		{ .name = "things", .number = &things, .min = 1, .max = THINGS_MAX },
		{ .name = "seconds", .number = &seconds, .min = 1, .max = 3600 },
		{ .name = "reads", .number = &check.reads_max, .min = 1, .max = INT64_MAX },
		{ .name = "hits", .number = &check.hits_min, .min = 0, .max = INT64_MAX },
		{ .name = "pipeline", .number = &check.pipeline, .min = 1, .max = PIPELINE_MAX / 2 },
		{ .name = "search-percent", .number = &check.search_percent, .min = 0, .max = 100 },
		{ .name = "strict-percent", .number = &check.strict_percent, .min = 0, .max = 100 },
		{ .name = "impatient-percent", .number = &check.impatient_percent, .min = 0, .max = 100 },
		{ .name = "abandon-permille", .number = &check.abandon_permille, .min = 0, .max = 1000 },
		{ .name = "progress", .number = &check.progress, .min = 0, .max = 1 },
		TOOL_TLS_OPTIONS,
		{ .name = "rest-ms", .number = &check.rest_ms, .min = 0, .max = 10000 },
		{ .name = "seed", .number = &given_seed, .min = 0, .max = INT64_MAX },
	};
	tool_read_options(argc, argv, options, sizeof options / sizeof options[0]);
	if (check.frontend_count == 0 || check.catalog_count == 0 || check.order_count == 0 || token_count == 0)
		tool_fail("coherence_check needs --frontend, --catalog, --order and --token-file");
	check.thing_count = (int)things;
	check.writer_count = (int)writers;
	for (int i = 0; i < pause_count; i++)
		check.pause_pids[i] = (int)strtol(pause_pids[i], NULL, 10);
	check.pause_count = pause_count;
}

static void read_token(void)
{
	FILE *stream = fopen(token_file[0], "re");
	if (stream == NULL || fread(check.token, 1, TOKEN_HEX_LEN, stream) != TOKEN_HEX_LEN)
		tool_fail("cannot read %s", token_file[0]);
	fclose(stream);
}

uint64_t check_seed_of_thread(void)
{
	pthread_mutex_lock(&check.chance_lock);
	uint64_t seed = tool_random(&check.chance);
	pthread_mutex_unlock(&check.chance_lock);
	return seed;
}

bool check_is_over(void)
{
	bool stopped = atomic_load(&check.stopped) && check_get(hits) >= check.hits_min;
	return stopped || tool_now_us() > check.deadline_us || check_get(reads) >= check.reads_max;
}

static pthread_t start(void *(*run)(void *), void *context)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, run, context) != 0)
		tool_fail("cannot start a thread");
	return thread;
}

/* Readers and pauses end first, so that the writers' last writes can be answered. */
static void run_threads(void)
{
	pthread_t threads[THREADS_MAX], pauser;
	int64_t count = 0;
	for (int64_t i = 0; i < writers; i++)
		threads[count++] = start(writer_run, (void *)(intptr_t)i);
	for (int64_t i = 0; i < readers; i++)
		threads[count++] = start(reader_run, (void *)(intptr_t)i);
	pauser = start(pauser_run, NULL);
	if (check.progress != 0)
		pthread_join(start(progress_run, NULL), NULL);
	pthread_join(pauser, NULL);
	while (count > 0)
		pthread_join(threads[--count], NULL);
}

/* Ends the run as its time would. */
static void stop(int signal_number)
{
	(void)signal_number;
	atomic_store(&check.stopped, true);
}

static bool print_report(void)
{
	bool coherent = check_get(violations) == 0 && check_get(unexpected) == 0;
	bool enough = check_get(hits) >= check.hits_min;
	int64_t reads = check_get(reads);
	json_t *report = json_pack("{s:s,s:f,s:I,s:I,s:I,s:I,s:I}", "verdict", !coherent ? "stale" : !enough ? "too few hits" : "coherent",
		"hit_ratio", reads > 0 ? (double)check_get(hits) / (double)reads : 0.0, "seed", (json_int_t)check.seed, "readers", (json_int_t)readers,
		"writers", (json_int_t)writers, "things", (json_int_t)things, "frontends", (json_int_t)check.frontend_count);
#define X(name) json_object_set_new(report, #name, json_integer((json_int_t)check_get(name)));
	CHECK_COUNTERS(X)
#undef X
	if (report == NULL || json_dumpf(report, stdout, JSON_SORT_KEYS | JSON_REAL_PRECISION(4)) != 0)
		tool_fail("cannot print the report");
	putchar('\n');
	json_decref(report);
	return coherent && enough;
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	read_token();
	if (curl_global_init(CURL_GLOBAL_ALL) != 0)
		tool_fail("libcurl does not start");
	check.seed = tool_seed(given_seed);
	check.chance.state = check.seed;
	signal(SIGUSR1, stop);
	history_init();
	check.deadline_us = tool_now_us() + seconds * 1000000;
	run_threads();
	/* When all is quiet, everybody must see the last state. */
	for (int i = 0; i < check.thing_count; i++)
		for (int f = 0; f < check.frontend_count; f++)
			reader_check_last(&check.things[i], f);
	bool coherent = print_report();
	history_free();
	curl_global_cleanup();
	return coherent ? 0 : 1;
}
