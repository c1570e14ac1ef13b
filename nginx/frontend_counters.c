/*
 * frontend_counters: see frontend_counters.h.
 *
 * Relaxed atomic additions: after a reload the old worker and its successor count in the same place for a while. To a line of memory
 * that nobody else uses, one costs some nanoseconds.
 */
#include "nginx/frontend_counters.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

const int64_t frontend_bounds_us[] = {
	10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 2500000, 5000000,
};
const int frontend_bound_count = sizeof frontend_bounds_us / sizeof frontend_bounds_us[0];
const int frontend_codes[] = { 200, 206, 304, 400, 401, 403, 404, 405, 408, 413, 414, 415, 422, 429, 431, 499, 500, 502, 503, 504 };
const int frontend_code_count = sizeof frontend_codes / sizeof frontend_codes[0];

_Static_assert(sizeof frontend_bounds_us / sizeof frontend_bounds_us[0] < FRONTEND_BUCKETS_MAX, "one bucket takes the rest");
_Static_assert(sizeof frontend_codes / sizeof frontend_codes[0] < FRONTEND_CODES_MAX, "one counter takes the rest");

typedef atomic_uint_fast64_t counter;

struct times {
	counter buckets[FRONTEND_BUCKETS_MAX];
	counter sum_us;
};

/* A multiple of a line of memory, so that two workers share none. */
struct worker_counters {
	_Alignas(128) counter answers[FRONTEND_OPERATIONS][FRONTEND_CODES_MAX];
	counter caches[FRONTEND_OPERATIONS][FRONTEND_CACHES];
	counter upstream_failures[FRONTEND_OPERATIONS];
	struct times request[FRONTEND_OPERATIONS], upstream[FRONTEND_OPERATIONS];
	counter rejections[FRONTEND_REJECTIONS];
	counter starts;
};

struct frontend_counters {
	int64_t since_ms;
	struct worker_counters workers[FRONTEND_WORKERS_MAX];
};

struct frontend_counters *frontend_counters_create(void)
{
	struct timespec now;
	struct frontend_counters *counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counters == MAP_FAILED)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	counters->since_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	return counters;
}

void frontend_counters_destroy(struct frontend_counters *counters)
{
	munmap(counters, sizeof *counters);
}

enum frontend_operation frontend_operation_of(struct slice target)
{
	static const struct {
		struct slice path;
		enum frontend_operation operation;
	} OPERATIONS[] = {
		{ { "/lookup", 7 }, FRONTEND_LOOKUP }, { { "/search", 7 }, FRONTEND_SEARCH }, { { "/buy", 4 }, FRONTEND_BUY },
	};
	for (size_t i = 0; i < sizeof OPERATIONS / sizeof OPERATIONS[0]; i++) {
		struct slice path = OPERATIONS[i].path;
		if (target.len >= path.len && memcmp(target.ptr, path.ptr, path.len) == 0
				&& (target.len == path.len || target.ptr[path.len] == '?'))
			return OPERATIONS[i].operation;
	}
	return FRONTEND_OTHER;
}

/* ---- counting --------------------------------------------------------------------------------- */

static struct worker_counters *counters_of(struct frontend_counters *counters, size_t worker)
{
	return &counters->workers[worker < FRONTEND_WORKERS_MAX ? worker : FRONTEND_WORKERS_MAX - 1];
}

static void add(counter *at, uint64_t number)
{
	atomic_fetch_add_explicit(at, number, memory_order_relaxed);
}

static void add_time(struct times *times, int64_t took_us)
{
	int bucket = 0;
	while (bucket < frontend_bound_count && took_us > frontend_bounds_us[bucket])
		bucket++;
	add(&times->buckets[bucket], 1);
	add(&times->sum_us, took_us > 0 ? (uint64_t)took_us : 0);
}

void frontend_counters_add(struct frontend_counters *counters, size_t worker, const struct frontend_request *request)
{
	struct worker_counters *own = counters_of(counters, worker);
	int code = 0;
	while (code < frontend_code_count && frontend_codes[code] != request->status)
		code++;
	add(&own->answers[request->operation][code], 1);
	if (request->cache != FRONTEND_CACHE_UNASKED)
		add(&own->caches[request->operation][request->cache], 1);
	if (request->upstream_failures > 0)
		add(&own->upstream_failures[request->operation], request->upstream_failures);
	if (request->took_us >= 0)
		add_time(&own->request[request->operation], request->took_us);
	if (request->upstream_us >= 0)
		add_time(&own->upstream[request->operation], request->upstream_us);
}

void frontend_counters_add_rejection(struct frontend_counters *counters, size_t worker, enum frontend_rejection reason)
{
	add(&counters_of(counters, worker)->rejections[reason], 1);
}

void frontend_counters_add_start(struct frontend_counters *counters, size_t worker)
{
	add(&counters_of(counters, worker)->starts, 1);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static uint64_t load(const counter *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

static void sum_times(const struct times *times, struct frontend_times *sums)
{
	for (int i = 0; i <= frontend_bound_count; i++) {
		uint64_t number = load(&times->buckets[i]);
		sums->buckets[i] += number;
		sums->count += number;
	}
	sums->sum_us += load(&times->sum_us);
}

void frontend_counters_sum(const struct frontend_counters *counters, struct frontend_sums *sums)
{
	memset(sums, 0, sizeof *sums);
	sums->since_ms = counters->since_ms;
	for (size_t worker = 0; worker < FRONTEND_WORKERS_MAX; worker++) {
		const struct worker_counters *own = &counters->workers[worker];
		sums->worker_starts += load(&own->starts);
		for (int reason = 0; reason < FRONTEND_REJECTIONS; reason++)
			sums->rejections[reason] += load(&own->rejections[reason]);
		for (int operation = 0; operation < FRONTEND_OPERATIONS; operation++) {
			for (int code = 0; code <= frontend_code_count; code++)
				sums->answers[operation][code] += load(&own->answers[operation][code]);
			for (int cache = 0; cache < FRONTEND_CACHES; cache++)
				sums->caches[operation][cache] += load(&own->caches[operation][cache]);
			sums->upstream_failures[operation] += load(&own->upstream_failures[operation]);
			sum_times(&own->request[operation], &sums->request[operation]);
			sum_times(&own->upstream[operation], &sums->upstream[operation]);
		}
	}
}
