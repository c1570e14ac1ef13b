/* load_options: the command line of pygmy-load. */
#ifndef PYGMY_LOAD_OPTIONS_H
#define PYGMY_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/load/plan.h"

#define LOAD_URLS_MAX 16
#define LOAD_CONNECTIONS_MAX 4096
#define LOAD_SECONDS_MAX 3600
#define LOAD_RATE_MAX 1000000

/* Strings are borrowed from argv. */
struct load_options {
	const char *urls[LOAD_URLS_MAX];
	size_t url_count;
	unsigned weights[LOAD_BUY + 1];
	bool after_write, strict, poisson, progress;
	double rate;                  /* per second; 0: closed loop */
	double exponent;              /* of Zipf's distribution; 0: even */
	size_t connections;
	int64_t run_us, timeout_us, interval_us;
	uint64_t seed;
	const char *items_file, *topics_file, *keys, *ca_file;
	const char *series_file, *latency_file, *acks_file;   /* NULL: not written */
};

enum load_options_outcome { LOAD_OPTIONS_GOOD, LOAD_OPTIONS_HELP, LOAD_OPTIONS_WRONG };

/* Fills in defaults, too. WRONG has told stderr why. */
enum load_options_outcome load_options_read(struct load_options *options, int argc, char **argv);

extern const char LOAD_HELP[];

#endif
