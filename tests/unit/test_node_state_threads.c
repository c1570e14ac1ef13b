/* node_state: a follower, a keeper and many who wait, in one process. What a waiter was told must hold. */
#include "tests/unit/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "db/node_state.h"

#define ENTRIES 2000
#define WAITERS 4
#define LONG_MS 60000

struct place {
	char folder[FOLDER_MAX];
	struct node_state *state;
	atomic_uint_fast64_t log_end;          /* the model's log */
	atomic_bool done;
	atomic_int failures;
};

static void *run_follower(void *context)
{
	struct place *place = context;
	if (!node_state_lock(place->state, LONG_MS))
		atomic_fetch_add(&place->failures, 1);
	node_state_set_log(place->state, 7, 7, 0);
	node_state_set_phase(place->state, NODE_CATCHING_UP);
	for (uint64_t i = 1; i <= ENTRIES; i++) {
		atomic_store(&place->log_end, i);
		node_state_set_applied(place->state, i);
	}
	node_state_unlock(place->state);
	return NULL;
}

/* Asks for the log's end again and again, and says when it did. */
static void *run_keeper(void *context)
{
	struct place *place = context;
	for (int64_t sent_at_ms = 1; !atomic_load(&place->done); sent_at_ms++) {
		node_state_set_end(place->state, atomic_load(&place->log_end), sent_at_ms);
		node_state_set_quorum(place->state, sent_at_ms % 2 == 0);
	}
	return NULL;
}

static void *run_waiter(void *context)
{
	struct place *place = context;
	for (uint64_t index = 1; index <= ENTRIES; index += 7) {
		struct node_view view;
		if (!node_state_wait_applied(place->state, index, test_now_ms() + LONG_MS))
			atomic_fetch_add(&place->failures, 1);
		node_state_view(place->state, &view);
		if (view.applied < index || (view.cluster_id != 7 && view.cluster_id != 0))
			atomic_fetch_add(&place->failures, 1);
	}
	return NULL;
}

static void test_what_a_waiter_was_told_holds(void **unused)
{
	struct place place = { .log_end = 0 };
	char path[PATH_BYTES];
	pthread_t follower, keeper, waiters[WAITERS];
	(void)unused;
	folder_make(place.folder);
	path_in(path, place.folder, "store.db");
	assert_int_equal(node_state_open(path, &place.state), PYGMY_OK);
	node_state_set_phase(place.state, NODE_CATCHING_UP);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(pthread_create(&waiters[i], NULL, run_waiter, &place), 0);
	assert_int_equal(pthread_create(&keeper, NULL, run_keeper, &place), 0);
	assert_int_equal(pthread_create(&follower, NULL, run_follower, &place), 0);
	assert_true(node_state_wait_complete(place.state, 1, test_now_ms() + LONG_MS));
	for (int i = 0; i < WAITERS; i++)
		pthread_join(waiters[i], NULL);
	pthread_join(follower, NULL);
	atomic_store(&place.done, true);
	pthread_join(keeper, NULL);
	assert_int_equal(atomic_load(&place.failures), 0);
	node_state_close(place.state);
	folder_remove(place.folder);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_a_waiter_was_told_holds) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
