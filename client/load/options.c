/* load_options: see options.h. */
#include "client/load/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WEIGHT_MAX 1000000

const char LOAD_HELP[] =
	"pygmy-load: asks a Pygmy store many things at once, and tells how it answered.\n"
	"\n"
	"Usage: pygmy-load --url URL [options]\n"
	"\n"
	"  --url URL            a frontend; of several, connections go to one after the other\n"
	"  --mix OP=W[,OP=W]    how often search, lookup and buy come (lookup=1)\n"
	"  --after-write        instead, each connection again and again: buy, first_read, next_read of one item\n"
	"  --rate N             open loop: N requests per second, whatever the answers do; response times count from the moment\n"
	"                       at which a request was meant to start. Without it: closed loop, each connection waits for its answer\n"
	"  --poisson            the moments of an open loop are those of independent clients, not evenly spaced\n"
	"  --connections N      at most so many (16)\n"
	"  --seconds S          how long (10)\n"
	"  --timeout-ms N       an answer that takes longer is none (10000)\n"
	"  --strict             reads go past the cache\n"
	"  --items FILE         ids to look up and buy, one per line (1)\n"
	"  --topics FILE        topics to search, one per line\n"
	"  --zipf S             skew: the n-th item or topic comes with weight 1/n^S (Zipf's distribution; 0: all the same)\n"
	"  --keys TEXT          purchases carry the Idempotency-Key TEXT-0, TEXT-1, ...\n"
	"  --seed N             of what is random\n"
	"  --ca-file FILE       who is believed with https\n"
	"  --series FILE        CSV: throughput and response times over time, every --interval-ms (250)\n"
	"  --latency FILE       CSV: the distribution of the response times\n"
	"  --acks FILE          a line `order-id item-id` for each purchase that was acknowledged\n"
	"  --progress           a line on standard error every second\n"
	"\n"
	"Prints one JSON object. Its possible_hits are the lookups whose item was looked up at the same frontend before and not bought since: what\n"
	"a cache that is never stale could have answered at best, of the very requests that were sent.\n"
	"Exit status: 0 done (with failures, too: they are counted), 2 wrong usage, 3 no connection to begin\n"
	"with, 5 a local file or a lack of memory, 130 stopped by Ctrl-C or SIGTERM (what was measured until then is printed).\n";

enum { URL = 1, MIX, AFTER_WRITE, RATE, POISSON, CONNECTIONS, SECONDS, TIMEOUT_MS, STRICT, ITEMS, TOPICS, ZIPF, KEYS, SEED, CA_FILE,
	SERIES, INTERVAL_MS, LATENCY, ACKS, PROGRESS, HELP };

static const struct option NAMES[] = {
	{ "url", required_argument, NULL, URL }, { "mix", required_argument, NULL, MIX },
	{ "after-write", no_argument, NULL, AFTER_WRITE }, { "rate", required_argument, NULL, RATE },
	{ "poisson", no_argument, NULL, POISSON }, { "connections", required_argument, NULL, CONNECTIONS },
	{ "seconds", required_argument, NULL, SECONDS }, { "timeout-ms", required_argument, NULL, TIMEOUT_MS },
	{ "strict", no_argument, NULL, STRICT }, { "items", required_argument, NULL, ITEMS },
	{ "topics", required_argument, NULL, TOPICS }, { "zipf", required_argument, NULL, ZIPF },
	{ "keys", required_argument, NULL, KEYS }, { "seed", required_argument, NULL, SEED },
	{ "ca-file", required_argument, NULL, CA_FILE }, { "series", required_argument, NULL, SERIES },
	{ "interval-ms", required_argument, NULL, INTERVAL_MS }, { "latency", required_argument, NULL, LATENCY },
	{ "acks", required_argument, NULL, ACKS }, { "progress", no_argument, NULL, PROGRESS }, { "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 }
};

static bool wrong(const char *name, const char *text)
{
	fprintf(stderr, "pygmy-load: --%s does not take '%s' (see --help)\n", name, text);
	return false;
}

static bool read_number(const char *text, const char *name, double min, double max, double *number)
{
	char *end;
	*number = strtod(text, &end);
	return (end != text && *end == '\0' && isfinite(*number) && *number >= min && *number <= max) || wrong(name, text);
}

static bool read_mix(struct load_options *options, const char *text)
{
	memset(options->weights, 0, sizeof options->weights);
	for (const char *at = text; *at != '\0';) {
		int operation = 0;
		size_t len = strcspn(at, "=");
		while (operation <= LOAD_BUY && (strlen(load_operation_name((enum load_operation)operation)) != len
				|| memcmp(load_operation_name((enum load_operation)operation), at, len) != 0))
			operation++;
		char *end = NULL;
		unsigned long weight = at[len] == '=' ? strtoul(at + len + 1, &end, 10) : 0;
		if (operation > LOAD_BUY || end == NULL || end == at + len + 1 || weight > WEIGHT_MAX || (*end != ',' && *end != '\0'))
			return wrong("mix", text);
		options->weights[operation] = (unsigned)weight;
		at = *end == ',' ? end + 1 : end;
	}
	return options->weights[LOAD_SEARCH] + options->weights[LOAD_LOOKUP] + options->weights[LOAD_BUY] > 0 || wrong("mix", text);
}

static bool read_time(const char *text, const char *name, double unit_us, double max_us, int64_t *time_us)
{
	double number;
	if (!read_number(text, name, 1e-3, max_us / unit_us, &number))
		return false;
	*time_us = (int64_t)(number * unit_us);
	return *time_us >= 1000 || wrong(name, text);
}

static bool add_url(struct load_options *options, const char *url)
{
	if (options->url_count == LOAD_URLS_MAX || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
		return wrong("url", url);
	options->urls[options->url_count++] = url;
	return true;
}

static bool take_option(struct load_options *options, int option, const char *text)
{
	double number;
	switch (option) {
	case URL: return add_url(options, text);
	case MIX: return read_mix(options, text);
	case AFTER_WRITE: options->after_write = true; return true;
	case RATE: return read_number(text, "rate", 0.01, LOAD_RATE_MAX, &options->rate);
	case POISSON: options->poisson = true; return true;
	case CONNECTIONS:
		if (!read_number(text, "connections", 1, LOAD_CONNECTIONS_MAX, &number))
			return false;
		options->connections = (size_t)number;
		return true;
	case SECONDS: return read_time(text, "seconds", 1e6, LOAD_SECONDS_MAX * 1e6, &options->run_us);
	case TIMEOUT_MS: return read_time(text, "timeout-ms", 1e3, 600e6, &options->timeout_us);
	case INTERVAL_MS: return read_time(text, "interval-ms", 1e3, 600e6, &options->interval_us);
	case STRICT: options->strict = true; return true;
	case ITEMS: options->items_file = text; return true;
	case TOPICS: options->topics_file = text; return true;
	case ZIPF: return read_number(text, "zipf", 0, 10, &options->exponent);
	case KEYS: options->keys = text; return strlen(text) <= 32 || wrong("keys", text);
	case SEED:
		if (!read_number(text, "seed", 0, 1e15, &number))
			return false;
		options->seed = (uint64_t)number;
		return true;
	case CA_FILE: options->ca_file = text; return true;
	case SERIES: options->series_file = text; return true;
	case LATENCY: options->latency_file = text; return true;
	case ACKS: options->acks_file = text; return true;
	case PROGRESS: options->progress = true; return true;
	default: return false;
	}
}

enum load_options_outcome load_options_read(struct load_options *options, int argc, char **argv)
{
	struct timespec now;
	int option;
	clock_gettime(CLOCK_REALTIME, &now);
	*options = (struct load_options){ .weights = { [LOAD_LOOKUP] = 1 }, .connections = 16, .run_us = 10000000,
		.timeout_us = 10000000, .interval_us = 250000, .seed = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 };
	while ((option = getopt_long(argc, argv, "", NAMES, NULL)) != -1) {
		if (option == HELP)
			return LOAD_OPTIONS_HELP;
		if (!take_option(options, option, optarg))
			return LOAD_OPTIONS_WRONG;
	}
	const char *lacking = optind < argc ? "takes only options" : options->url_count == 0 ? "needs --url"
		: !options->after_write && options->weights[LOAD_SEARCH] > 0 && options->topics_file == NULL ? "needs --topics to search"
		: NULL;
	if (lacking != NULL)
		fprintf(stderr, "pygmy-load: %s (see --help)\n", lacking);
	/* A day of stretches would not fit into memory. */
	if (options->run_us / options->interval_us > 2000)
		options->interval_us = options->run_us / 2000;
	return lacking == NULL ? LOAD_OPTIONS_GOOD : LOAD_OPTIONS_WRONG;
}
