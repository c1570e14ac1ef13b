/*
 * load_run: the generator itself: keeps the connections busy, in a closed or an open loop, and tells the tally how it went.
 *
 * Closed loop: each connection sends its next request when it has the answer. Open loop: requests start when the schedule says;
 * one that finds no free connection waits for it, and that wait is part of its response time.
 *
 * First all connections are made, then the clock starts. At the end no more requests start; those under way are waited for, at
 * most the timeout. Single-threaded.
 */
#ifndef PYGMY_LOAD_RUN_H
#define PYGMY_LOAD_RUN_H

#include <stdio.h>

#include "client/load/best.h"
#include "client/load/link.h"
#include "client/load/options.h"
#include "client/load/schedule.h"
#include "client/load/tally.h"

struct load_run {
	const struct load_options *options;
	struct load_plan *plan;
	struct load_tally *tally;
	struct load_links links;
	struct load_schedule schedule;
	struct load_best best;
	FILE *acks;                   /* NULL: not written */
	size_t busy, cursor;
	bool started, stopped, interrupted;
	int64_t start_us;             /* monotonic; other times are relative to it unless they say so */
	int64_t last_end_us;
};

enum load_run_outcome { LOAD_RUN_DONE, LOAD_RUN_UNCONNECTED, LOAD_RUN_FAILED };

/* plan and tally are open and stay the caller's. Blocks for the whole run. FAILED and UNCONNECTED with a sentence in why. */
enum load_run_outcome load_run(struct load_run *run, const struct load_options *options, struct load_plan *plan, struct load_tally *tally,
	FILE *acks, char *why, size_t why_size);

#endif
