/*
 * frontend_counters: what a frontend has answered, counted by all nginx workers of it, for /metrics.
 *
 * Each worker has counters of its own in memory that they share, so that counting a request is a few additions to lines of memory
 * that no other processor holds; who reads sums up. The memory is an anonymous shared mapping: nginx's workers inherit it
 * from the master, so it lives as long as that, across reloads and across workers that die.
 *
 * Counting: one thread per worker; it neither blocks nor allocates. Reading: any process that has the mapping, at any time; the sums
 * are a good enough view, not a consistent one.
 */
#ifndef PYGMY_NGINX_FRONTEND_COUNTERS_H
#define PYGMY_NGINX_FRONTEND_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/slice.h"

#define FRONTEND_WORKERS_MAX 16       /* workers beyond share the last one's counters */
#define FRONTEND_CODES_MAX 24
#define FRONTEND_BUCKETS_MAX 20

enum frontend_operation { FRONTEND_LOOKUP, FRONTEND_SEARCH, FRONTEND_BUY, FRONTEND_OTHER, FRONTEND_OPERATIONS };

enum frontend_cache {
	FRONTEND_CACHE_UNASKED,       /* not the cache's business; not counted */
	FRONTEND_HIT_MEMORY,          /* from this worker's memory */
	FRONTEND_HIT_DISK,            /* from nginx's cache */
	FRONTEND_MISS,
	FRONTEND_BYPASS,              /* asked past the cache */
	FRONTEND_CACHES
};

enum frontend_rejection {
	FRONTEND_RATE_LIMITED,        /* a write of a client that writes too often: 429 */
	FRONTEND_OVERLOADED,          /* by a worker that had no time for it: 503 */
	FRONTEND_REJECTED_CLIENT,     /* a connection of a client that has too many */
	FRONTEND_REJECTED_FULL,       /* a connection, when clients had all they may have and none was idle */
	FRONTEND_EVICTED,             /* no refusal: an idle connection made room for a new one */
	FRONTEND_REJECTIONS
};

struct frontend_counters;

/* All zeros, in memory that child processes share. NULL when there is none. */
struct frontend_counters *frontend_counters_create(void);

/* Unmaps it from this process. */
void frontend_counters_destroy(struct frontend_counters *counters);

/* Which operation a request line's target (`/lookup?id=1`) is. */
enum frontend_operation frontend_operation_of(struct slice target);

/* One request that has ended. */
struct frontend_request {
	enum frontend_operation operation;
	enum frontend_cache cache;
	int status;
	int64_t took_us;              /* -1: not known */
	int64_t upstream_us;          /* until a worker's answer began to come; -1: none was asked */
	unsigned upstream_failures;   /* tries of a worker that failed */
};

void frontend_counters_add(struct frontend_counters *counters, size_t worker, const struct frontend_request *request);

void frontend_counters_add_rejection(struct frontend_counters *counters, size_t worker, enum frontend_rejection reason);

/* A worker has started. */
void frontend_counters_add_start(struct frontend_counters *counters, size_t worker);

/* ---- for operators -------------------------------------------------------------------------- */

struct frontend_times {
	uint64_t buckets[FRONTEND_BUCKETS_MAX];       /* by frontend_bounds_us; the last one that is used takes the rest */
	uint64_t count, sum_us;
};

struct frontend_sums {
	int64_t since_ms;             /* wall clock: when the counters were made */
	uint64_t worker_starts;
	uint64_t answers[FRONTEND_OPERATIONS][FRONTEND_CODES_MAX];    /* by frontend_codes; the last one that is used takes the rest */
	uint64_t caches[FRONTEND_OPERATIONS][FRONTEND_CACHES];
	uint64_t upstream_failures[FRONTEND_OPERATIONS];
	uint64_t rejections[FRONTEND_REJECTIONS];
	struct frontend_times request[FRONTEND_OPERATIONS], upstream[FRONTEND_OPERATIONS];
};

extern const int64_t frontend_bounds_us[];    /* ascending upper bounds */
extern const int frontend_bound_count;
extern const int frontend_codes[];
extern const int frontend_code_count;

void frontend_counters_sum(const struct frontend_counters *counters, struct frontend_sums *sums);

#endif
