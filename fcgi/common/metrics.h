/*
 * metrics: counters of a worker in the Prometheus text format (version 0.0.4).
 *
 * Label sets are bounded: a route is a row of the route table, or "unmatched"; a code is one of the store's, or "other".
 * All counters are atomic; any thread may add, and the text is a good enough view, not a consistent one.
 */
#ifndef PYGMY_FCGI_METRICS_H
#define PYGMY_FCGI_METRICS_H

#include "db/stats.h"
#include "fcgi/common/route.h"
#include "fcgi/common/writer.h"

#define METRICS_CODES_MAX 18

struct route_metrics {
	atomic_uint_fast64_t answers[METRICS_CODES_MAX];
	struct histogram seconds;
};

struct metrics {
	struct route_metrics routes[ROUTES_MAX + 1];   /* the last one: unmatched */
	struct histogram wait_seconds;                 /* of requests, for a thread */
	atomic_uint_fast64_t overloaded;               /* requests refused because the queue stood (admission.h) */
	atomic_int busy;                               /* threads with a request */
	atomic_int connections;                        /* open FastCGI connections */
};

void metrics_init(struct metrics *metrics);

/* route_index >= 0, or -1 for what no row of the table took. */
void metrics_count(struct metrics *metrics, int route_index, int status, int64_t duration_us);

/* How many requests were answered, and how many of those with a 5xx. */
void metrics_totals(const struct metrics *metrics, uint64_t *answers, uint64_t *failures);

/* The families that every worker has of its HTTP side. */
void metrics_write_http(const struct metrics *metrics, const struct route *const *routes, size_t route_count, struct writer *out);

/* One histogram, with labels (may be ""): `route="/item",method="GET"`. The TYPE line is the caller's. */
void metrics_write_histogram(const struct histogram *histogram, const char *name, const char *labels, struct writer *out);

/* HELP, TYPE and the value, without labels. type: "counter" or "gauge". */
void metrics_write_value(struct writer *out, const char *name, const char *type, const char *help, double value);

#endif
