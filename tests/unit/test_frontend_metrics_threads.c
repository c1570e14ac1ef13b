/* frontend_counters and frontend_metrics: what is counted where, by several workers at once, across processes; and the page. */
#include "tests/unit/support.h"

#include <pthread.h>
#include <sys/wait.h>

#include "nginx/frontend_metrics.h"

static struct frontend_counters *counters;
static struct coherence_table *table;
static char page[FRONTEND_METRICS_MAX_BYTES];
static const struct frontend_connections connections = { .active = 3, .reading = 0, .writing = 1, .waiting = 2, .accepted = 10, .handled = 9 };

static int setup(void **state)
{
	(void)state;
	counters = frontend_counters_create();
	table = coherence_table_create();
	return counters == NULL || table == NULL;
}

static int teardown(void **state)
{
	(void)state;
	frontend_counters_destroy(counters);
	coherence_table_destroy(table);
	return 0;
}

static void test_operations(void **state)
{
	(void)state;
	assert_int_equal(frontend_operation_of(SLICE_LITERAL("/lookup?id=1")), FRONTEND_LOOKUP);
	assert_int_equal(frontend_operation_of(SLICE_LITERAL("/search")), FRONTEND_SEARCH);
	assert_int_equal(frontend_operation_of(SLICE_LITERAL("/buy?id=1")), FRONTEND_BUY);
	assert_int_equal(frontend_operation_of(SLICE_LITERAL("/buyer")), FRONTEND_OTHER);
	assert_int_equal(frontend_operation_of(SLICE_LITERAL("/bu")), FRONTEND_OTHER);
	assert_int_equal(frontend_operation_of(SLICE_LITERAL("/")), FRONTEND_OTHER);
	assert_int_equal(frontend_operation_of(SLICE_EMPTY), FRONTEND_OTHER);
}

static void test_counts(void **state)
{
	struct frontend_sums sums;
	(void)state;
	frontend_counters_add_start(counters, 0);
	frontend_counters_add_start(counters, 1);
	frontend_counters_add(counters, 0, &(struct frontend_request){ FRONTEND_LOOKUP, FRONTEND_HIT_MEMORY, 200, 9, -1, 0 });
	frontend_counters_add(counters, 1, &(struct frontend_request){ FRONTEND_LOOKUP, FRONTEND_MISS, 200, 10, 8, 2 });
	frontend_counters_add(counters, 99, &(struct frontend_request){ FRONTEND_LOOKUP, FRONTEND_BYPASS, 418, 6000000, 5000000, 0 });
	frontend_counters_add(counters, 1, &(struct frontend_request){ FRONTEND_BUY, FRONTEND_CACHE_UNASKED, 503, -1, -1, 1 });
	frontend_counters_sum(counters, &sums);
	assert_int_equal(sums.worker_starts, 2);
	assert_true(sums.since_ms > INT64_C(1600000000000));
	assert_int_equal(sums.answers[FRONTEND_LOOKUP][0], 2);
	assert_int_equal(sums.answers[FRONTEND_LOOKUP][frontend_code_count], 1);
	assert_int_equal(sums.caches[FRONTEND_LOOKUP][FRONTEND_HIT_MEMORY], 1);
	assert_int_equal(sums.caches[FRONTEND_BUY][FRONTEND_CACHE_UNASKED], 0);
	assert_int_equal(sums.upstream_failures[FRONTEND_LOOKUP], 2);
	assert_int_equal(sums.upstream_failures[FRONTEND_BUY], 1);
	assert_int_equal(sums.request[FRONTEND_LOOKUP].buckets[0], 2);
	assert_int_equal(sums.request[FRONTEND_LOOKUP].buckets[frontend_bound_count], 1);
	assert_int_equal(sums.request[FRONTEND_LOOKUP].count, 3);
	assert_int_equal(sums.request[FRONTEND_LOOKUP].sum_us, 6000019);
	assert_int_equal(sums.upstream[FRONTEND_LOOKUP].count, 2);
	assert_int_equal(sums.request[FRONTEND_BUY].count, 0);
}

static void assert_on_page(const char *line)
{
	if (strstr(page, line) == NULL)
		fail_msg("not on the page: %s", line);
}

static void test_page(void **state)
{
	test_counts(state);
	size_t len = frontend_metrics_write(counters, table, coherence_clock_ms(), 2000, NULL, &connections, page);
	assert_int_equal(len, strlen(page));
	assert_on_page("pygmy_frontend_requests_total{operation=\"lookup\",code=\"200\"} 2\n");
	assert_on_page("pygmy_frontend_requests_total{operation=\"lookup\",code=\"other\"} 1\n");
	assert_on_page("pygmy_frontend_requests_total{operation=\"buy\",code=\"503\"} 1\n");
	assert_on_page("pygmy_frontend_cache_requests_total{operation=\"lookup\",result=\"hit_memory\"} 1\n");
	assert_on_page("pygmy_frontend_request_duration_seconds_bucket{operation=\"lookup\",le=\"1e-05\"} 2\n");
	assert_on_page("pygmy_frontend_request_duration_seconds_bucket{operation=\"lookup\",le=\"5\"} 2\n");
	assert_on_page("pygmy_frontend_request_duration_seconds_bucket{operation=\"lookup\",le=\"+Inf\"} 3\n");
	assert_on_page("pygmy_frontend_request_duration_seconds_sum{operation=\"lookup\"} 6.000019\n");
	assert_on_page("pygmy_frontend_upstream_failures_total{operation=\"buy\"} 1\n");
	assert_on_page("pygmy_coherence_leased 0\n");
	assert_on_page("pygmy_frontend_connections{state=\"waiting\"} 2\n");
	assert_on_page("pygmy_frontend_connections_dropped_total 1\n");
	assert_on_page("pygmy_frontend_worker_starts_total 2\n");
	assert_null(strstr(page, "operation=\"search\",code"));
	assert_null(strstr(page, "le=\"1e-05\",operation"));
	/* Without nginx's own figures. */
	const struct frontend_connections unknown = { .active = -1 };
	assert_true(frontend_metrics_write(counters, table, coherence_clock_ms(), 2000, NULL, &unknown, page) > 0);
	assert_null(strstr(page, "pygmy_frontend_connections"));
}

/* Every label there can be, with the largest numbers, fits. */
static void test_the_largest_page_fits(void **state)
{
	(void)state;
	for (int operation = 0; operation < FRONTEND_OPERATIONS; operation++)
		for (int code = 0; code <= frontend_code_count; code++)
			for (int i = 0; i < 2; i++)
				frontend_counters_add(counters, 0, &(struct frontend_request){ (enum frontend_operation)operation, FRONTEND_MISS,
					code < frontend_code_count ? frontend_codes[code] : 999, INT64_MAX / 2000, INT64_MAX / 2000, 1 });
	size_t len = frontend_metrics_write(counters, table, coherence_clock_ms(), 2000, NULL, &connections, page);
	assert_in_range(len, 1000, FRONTEND_METRICS_MAX_BYTES / 2);
}

#define THREADS 4
#define REQUESTS 20000

static void *count_many(void *worker)
{
	for (int i = 0; i < REQUESTS; i++)
		frontend_counters_add(counters, (size_t)(uintptr_t)worker,
			&(struct frontend_request){ FRONTEND_SEARCH, FRONTEND_HIT_DISK, 200, i % 100, -1, 0 });
	return NULL;
}

/* Two threads count in one place, as the old worker and its successor do after a reload; another process counts, too. */
static void test_nothing_is_lost(void **state)
{
	pthread_t threads[THREADS];
	struct frontend_sums sums;
	int status;
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		count_many((void *)(uintptr_t)1);
		_exit(0);
	}
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_many, (void *)(i / 2)), 0);
	for (int i = 0; i < 50; i++)
		frontend_counters_sum(counters, &sums);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(waitpid(child, &status, 0), child);
	frontend_counters_sum(counters, &sums);
	assert_int_equal(sums.answers[FRONTEND_SEARCH][0], (THREADS + 1) * REQUESTS);
	assert_int_equal(sums.request[FRONTEND_SEARCH].count, (THREADS + 1) * REQUESTS);
	assert_int_equal(sums.caches[FRONTEND_SEARCH][FRONTEND_HIT_DISK], (THREADS + 1) * REQUESTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations),
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_largest_page_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_lost, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
