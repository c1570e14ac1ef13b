/* proposer: who shares an entry, limits, failures and the stop. Deadlines are in test_proposer_deadlines_threads.c. */
#include "tests/unit/proposer_frame.h"

/* ---- results ---------------------------------------------------------------------------------------- */

static void test_a_lone_proposal(void **state)
{
	struct frame *frame = *state;
	struct command buy = buy_of("one", 7, 3);
	struct result result;
	frame->log.applied = 41;
	assert_int_equal(proposer_propose(frame->proposer, &buy, monotonic_ms() + FAR_MS, &result), PYGMY_OK);
	assert_int_equal(result.error, PYGMY_OK);
	assert_int_equal(result.revision, 42);
	assert_int_equal(result.id, 7);
	assert_int_equal(result.quantity, 3);
	assert_int_equal(frame->log.base_index[0], 41);
	assert_int_equal(atomic_load(&frame->stats.commands_applied), 1);
	assert_int_equal(atomic_load(&frame->stats.batch_commands.count), 1);
}

static void test_those_who_wait_share_one_entry(void **state)
{
	struct frame *frame = *state;
	struct client clients[20];
	char key[24];
	set_gate(&frame->log, &frame->log.hold_append, true);
	client_start(&clients[0], frame, "first", FAR_MS);
	assert_true(WAIT_FOR(read_locked(&frame->log, &frame->log.at_append) == 1, FAR_MS));
	for (int i = 1; i < 20; i++) {
		snprintf(key, sizeof key, "k%d", i);
		client_start(&clients[i], frame, key, FAR_MS);
	}
	assert_true(WAIT_FOR(waiting(frame) == 20, FAR_MS));
	set_gate(&frame->log, &frame->log.hold_append, false);
	for (int i = 0; i < 20; i++) {
		client_join(&clients[i]);
		assert_int_equal(clients[i].error, PYGMY_OK);
		assert_int_equal(clients[i].result.id, 7);
	}
	assert_int_equal(frame->log.entries, 2);
	assert_int_equal(frame->log.largest_batch, 19);
	assert_int_equal(frame->log.executed_count, 20);
}

static void test_a_batch_is_taken_behind_begin(void **state)
{
	struct frame *frame = *state;
	struct client clients[5];
	char key[24];
	set_gate(&frame->log, &frame->log.hold_begin, true);
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof key, "k%d", i);
		client_start(&clients[i], frame, key, FAR_MS);
	}
	assert_true(WAIT_FOR(waiting(frame) == 5, FAR_MS));
	set_gate(&frame->log, &frame->log.hold_begin, false);
	for (int i = 0; i < 5; i++)
		client_join(&clients[i]);
	assert_int_equal(frame->log.entries, 1);
	assert_int_equal(frame->log.executed_count, 5);
}

struct crowd {
	struct frame *frame;
	int number;
	int proposals;
	atomic_int *wrong;
};

static void *propose_many(void *context)
{
	struct crowd *crowd = context;
	for (int i = 0; i < crowd->proposals; i++) {
		char key[24];
		struct result result = { 0 };
		snprintf(key, sizeof key, "%d-%d", crowd->number, i);
		struct command buy = buy_of(key, crowd->number + 1, i + 1);
		enum pygmy_error error = proposer_propose(crowd->frame->proposer, &buy, monotonic_ms() + FAR_MS, &result);
		if (error != PYGMY_OK || result.id != crowd->number + 1 || result.quantity != i + 1)
			atomic_fetch_add(crowd->wrong, 1);
	}
	return NULL;
}

/* Everybody gets the result of his own command, and each command is executed once. */
static void test_a_crowd(void **state)
{
	struct frame *frame = *state;
	enum { THREADS = 16, EACH = 200 };
	pthread_t threads[THREADS];
	struct crowd crowds[THREADS];
	atomic_int wrong = 0;
	for (int i = 0; i < THREADS; i++) {
		crowds[i] = (struct crowd){ frame, i, EACH, &wrong };
		assert_int_equal(pthread_create(&threads[i], NULL, propose_many, &crowds[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_int_equal(frame->log.executed_count, THREADS * EACH);
	qsort(frame->log.executed, THREADS * EACH, sizeof frame->log.executed[0], (int (*)(const void *, const void *))strcmp);
	for (size_t i = 1; i < THREADS * EACH; i++)
		assert_string_not_equal(frame->log.executed[i - 1], frame->log.executed[i]);
	assert_int_equal(atomic_load(&frame->stats.commands_applied), THREADS * EACH);
}

/* ---- limits of a batch and of the queue --------------------------------------------------------------- */

static void test_a_batch_has_a_largest_count_and_the_queue_too(void **state)
{
	struct frame *frame = *state;
	enum { MANY = QUEUE_MAX };
	struct client excess;
	struct client *clients = calloc(MANY, sizeof *clients);
	char key[24];
	assert_non_null(clients);
	set_gate(&frame->log, &frame->log.hold_begin, true);
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "k%d", i);
		client_start(&clients[i], frame, key, FAR_MS);
	}
	assert_true(WAIT_FOR(waiting(frame) == MANY, FAR_MS));
	client_start(&excess, frame, "excess", FAR_MS);
	client_join(&excess);
	assert_int_equal(excess.error, PYGMY_OVERLOADED);
	set_gate(&frame->log, &frame->log.hold_begin, false);
	for (int i = 0; i < MANY; i++) {
		client_join(&clients[i]);
		assert_int_equal(clients[i].error, PYGMY_OK);
	}
	assert_int_equal(frame->log.entries, 2);
	assert_int_equal(frame->log.largest_batch, BATCH_MAX_COMMANDS);
	assert_false(was_executed(&frame->log, "excess"));
	assert_int_equal(atomic_load(&frame->stats.proposals_failed), 1);
	free(clients);
}

struct import_client {
	struct frame *frame;
	const struct item *items;
	size_t count;
	enum pygmy_error error;
};

static void *propose_import(void *context)
{
	struct import_client *client = context;
	struct command import = import_of("import", client->items, client->count);
	struct result result;
	client->error = proposer_propose(client->frame->proposer, &import, monotonic_ms() + FAR_MS, &result);
	return NULL;
}

static void test_a_batch_has_a_largest_size(void **state)
{
	struct frame *frame = *state;
	enum { IMPORTS = 5, ITEMS = 500 };
	char title[TITLE_MAX_BYTES + 1];
	struct item items[ITEMS];
	struct import_client clients[IMPORTS];
	pthread_t threads[IMPORTS];
	memset(title, 'x', TITLE_MAX_BYTES);
	title[TITLE_MAX_BYTES] = '\0';
	for (int i = 0; i < ITEMS; i++)
		items[i] = item_of(i + 1, title, "topic", 1, 1);
	set_gate(&frame->log, &frame->log.hold_begin, true);
	for (int i = 0; i < IMPORTS; i++) {
		clients[i] = (struct import_client){ frame, items, ITEMS, PYGMY_OK };
		assert_int_equal(pthread_create(&threads[i], NULL, propose_import, &clients[i]), 0);
	}
	assert_true(WAIT_FOR(waiting(frame) == IMPORTS, FAR_MS));
	set_gate(&frame->log, &frame->log.hold_begin, false);
	for (int i = 0; i < IMPORTS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(clients[i].error, PYGMY_OK);
	}
	/* 260 kB each: four fit into BATCH_MAX_BYTES. */
	assert_int_equal(frame->log.largest_batch, 4);
	assert_int_equal(frame->log.entries, 2);
}

/* ---- failures --------------------------------------------------------------------------------------- */

static void assert_all_fail_with(struct frame *frame, enum pygmy_error error)
{
	struct client clients[4];
	char key[24];
	uint64_t failed = atomic_load(&frame->stats.proposals_failed);
	for (int i = 0; i < 4; i++) {
		snprintf(key, sizeof key, "f%d", i);
		client_start(&clients[i], frame, key, FAR_MS);
	}
	for (int i = 0; i < 4; i++) {
		client_join(&clients[i]);
		assert_int_equal(clients[i].error, error);
	}
	assert_int_equal(atomic_load(&frame->stats.proposals_failed), failed + 4);
}

static void test_an_error_of_the_log_reaches_everybody_and_passes(void **state)
{
	struct frame *frame = *state;
	struct client client;
	frame->log.begin_error = PYGMY_BUSY;
	assert_all_fail_with(frame, PYGMY_BUSY);
	frame->log.begin_error = PYGMY_OK;
	frame->log.append_error = PYGMY_STORAGE_FULL;
	assert_all_fail_with(frame, PYGMY_STORAGE_FULL);
	assert_int_equal(frame->log.executed_count, 0);
	frame->log.append_error = PYGMY_OUTCOME_UNKNOWN;
	assert_all_fail_with(frame, PYGMY_OUTCOME_UNKNOWN);
	frame->log.append_error = PYGMY_OK;
	frame->log.lose_results = true;
	assert_all_fail_with(frame, PYGMY_INTERNAL);
	frame->log.lose_results = false;
	client_start(&client, frame, "well again", FAR_MS);
	client_join(&client);
	assert_int_equal(client.error, PYGMY_OK);
}

static void test_stop_refuses_new_ones_and_finishes_the_others(void **state)
{
	struct frame *frame = *state;
	struct client leader, waiter, late;
	set_gate(&frame->log, &frame->log.hold_append, true);
	client_start(&leader, frame, "leader", FAR_MS);
	assert_true(WAIT_FOR(read_locked(&frame->log, &frame->log.at_append) == 1, FAR_MS));
	client_start(&waiter, frame, "waiter", FAR_MS);
	assert_true(WAIT_FOR(waiting(frame) == 2, FAR_MS));
	proposer_stop(frame->proposer);
	client_start(&late, frame, "late", FAR_MS);
	client_join(&late);
	assert_int_equal(late.error, PYGMY_STOPPING);
	assert_false(atomic_load(&waiter.ended));
	set_gate(&frame->log, &frame->log.hold_append, false);
	client_join(&leader);
	client_join(&waiter);
	assert_int_equal(leader.error, PYGMY_OK);
	assert_int_equal(waiter.error, PYGMY_OK);
	assert_false(was_executed(&frame->log, "late"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		proposer_test(test_a_lone_proposal),
		proposer_test(test_those_who_wait_share_one_entry),
		proposer_test(test_a_batch_is_taken_behind_begin),
		proposer_test(test_a_crowd),
		proposer_test(test_a_batch_has_a_largest_count_and_the_queue_too),
		proposer_test(test_a_batch_has_a_largest_size),
		proposer_test(test_an_error_of_the_log_reaches_everybody_and_passes),
		proposer_test(test_stop_refuses_new_ones_and_finishes_the_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
