/*
 * load_tally: what became of the requests: per operation, and over time.
 *
 * A request ends in one of the ways of enum load_end. Response times are counted of answers (done, refused) and of requests whose
 * wait was given up (timeout, unsent), with the time they waited; not of the other failures: a fast failure must
 * not make a server look fast. `latency` runs from the intended start, `service` from the moment the request went out.
 */
#ifndef PYGMY_LOAD_TALLY_H
#define PYGMY_LOAD_TALLY_H

#include <stdio.h>

#include "client/load/histogram.h"
#include "client/load/plan.h"

enum load_end {
	LOAD_DONE,                    /* 2xx, 304 */
	LOAD_REFUSED,                 /* other answers below 500: sold out, not found */
	LOAD_LIMITED,                 /* 429: this client asks too often */
	LOAD_OVERLOADED,              /* 503 by which the store says that it has no time, and did nothing */
	LOAD_SERVER_ERROR,            /* other 5xx */
	LOAD_BROKEN,                  /* the connection ended before the answer did, or that was no HTTP */
	LOAD_TIMEOUT,                 /* no answer in time */
	LOAD_UNCONNECTED,             /* there was no connection to send it on */
	LOAD_UNSENT,                  /* its time was over while it waited for a connection that others used */
	LOAD_ENDS
};

/* "done", "refused", "server_error", ... */
const char *load_end_name(enum load_end end);
bool load_end_is_failure(enum load_end end);

struct load_operation_tally {
	uint64_t ends[LOAD_ENDS];
	uint64_t hits;                /* answers that a cache had */
	uint64_t possible_hits;       /* lookups that could have been hits (best.h) */
	uint64_t unknown;             /* purchases that were sent and not answered: they may have happened */
	struct load_histogram latency, service;
	struct load_histogram shed;   /* of LIMITED and OVERLOADED, from the intended start: how soon one is told */
};

/* A stretch of time. Answers and failures by when they ended, response times by when they were meant to start. */
struct load_interval {
	uint64_t answers, failures;
	struct load_histogram latency;
};

struct load_tally {
	struct load_operation_tally operations[LOAD_OPERATIONS];
	struct load_interval *intervals;      /* owned */
	size_t interval_count;
	int64_t interval_us;
};

/* For requests that end within run_us (later ones count as in its last stretch). False without memory. */
bool load_tally_open(struct load_tally *tally, int64_t run_us, int64_t interval_us);
void load_tally_close(struct load_tally *tally);

/* How one request went. Times in microseconds since the run began; sent_us is -1 when it was never sent. */
struct load_outcome {
	enum load_operation operation;
	enum load_end end;
	bool hit;
	int64_t intended_us, sent_us, ended_us;
};

void load_tally_add(struct load_tally *tally, const struct load_outcome *outcome);

/* The sum over the operations. */
struct load_sums {
	uint64_t requests, answers, failures;
};
struct load_sums load_tally_sums(const struct load_tally *tally);

/* `start_s,answers_per_second,failures_per_second,p50_us,p99_us,max_us,mean_us`, up to the last stretch in which there was something. */
void load_tally_write_series(const struct load_tally *tally, FILE *out);
/* `operation,counted_from,up_to_us,count`: the buckets that are not empty. */
void load_tally_write_latency(const struct load_tally *tally, FILE *out);

#endif
