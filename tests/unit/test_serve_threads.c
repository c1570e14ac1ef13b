/* test_serve_threads: several threads of one worker at once: purchases, reads, operators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/order/order.h"
#include "tests/unit/worker_fixture.h"

#define THREADS 4
#define ROUNDS 60

static struct worker_fixture *fixture;
static atomic_int bought, sold_out, other;

/* Each thread has an exchange of its own, as in the worker. */
static void *buy_and_look(void *unused)
{
	(void)unused;
	struct worker_fixture *own = calloc(1, sizeof *own);
	exchange_init(&own->exchange, &fixture->worker);
	for (int i = 0; i < ROUNDS; i++) {
		int status = ask(own, "POST /buy", "{\"id\":1}", NULL, NULL);
		if (status == 200)
			atomic_fetch_add(&bought, 1);
		else if (status == 404 && strstr(own->body, "sold_out") != NULL)
			atomic_fetch_add(&sold_out, 1);
		else
			atomic_fetch_add(&other, 1);
		if (ask(own, i % 3 == 0 ? "GET /orders?limit=5" : i % 3 == 1 ? "GET /status" : "GET /metrics", NULL, NULL, NULL) != 200)
			atomic_fetch_add(&other, 1);
	}
	exchange_close(&own->exchange);
	free(own);
	return NULL;
}

static void sells_what_there_is(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	fixture = calloc(1, sizeof *fixture);
	worker_fixture_open(fixture, &order_app);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, buy_and_look, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&other), 0);
	assert_int_equal(atomic_load(&bought), 100);
	assert_int_equal(atomic_load(&sold_out), THREADS * ROUNDS - 100);
	assert_int_equal(atomic_load(&fixture->worker.transactions.lines), THREADS * ROUNDS);
	worker_fixture_close(fixture);
	free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sells_what_there_is) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
