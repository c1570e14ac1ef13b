/* proposer: what a deadline means in the queue, in a batch, and for those who wait behind. */
#include "tests/unit/proposer_frame.h"

static void test_a_deadline_in_the_queue_means_never_executed(void **state)
{
	struct frame *frame = *state;
	struct client leader, late;
	set_gate(&frame->log, &frame->log.hold_append, true);
	client_start(&leader, frame, "leader", FAR_MS);
	assert_true(WAIT_FOR(read_locked(&frame->log, &frame->log.at_append) == 1, FAR_MS));
	client_start(&late, frame, "late", 30);
	client_join(&late);
	assert_int_equal(late.error, PYGMY_BUSY);
	assert_in_range(late.took_ms, 29, 5000);
	assert_int_equal(atomic_load(&frame->stats.proposals_failed), 1);
	set_gate(&frame->log, &frame->log.hold_append, false);
	client_join(&leader);
	assert_int_equal(leader.error, PYGMY_OK);
	assert_false(was_executed(&frame->log, "late"));
	/* The queue is sound afterwards. */
	client_start(&late, frame, "again", FAR_MS);
	client_join(&late);
	assert_int_equal(late.error, PYGMY_OK);
}

static void test_a_deadline_in_a_batch_means_unknown(void **state)
{
	struct frame *frame = *state;
	struct client leader, member, other;
	set_gate(&frame->log, &frame->log.hold_begin, true);
	client_start(&leader, frame, "leader", FAR_MS);
	assert_true(WAIT_FOR(read_locked(&frame->log, &frame->log.at_begin) == 1, FAR_MS));
	client_start(&member, frame, "member", 1000);
	client_start(&other, frame, "other", FAR_MS);
	assert_true(WAIT_FOR(waiting(frame) == 3, 900));
	set_gate(&frame->log, &frame->log.hold_append, true);
	set_gate(&frame->log, &frame->log.hold_begin, false);
	client_join(&member);
	assert_int_equal(member.error, PYGMY_OUTCOME_UNKNOWN);
	set_gate(&frame->log, &frame->log.hold_append, false);
	client_join(&leader);
	client_join(&other);
	assert_int_equal(leader.error, PYGMY_OK);
	assert_int_equal(other.error, PYGMY_OK);
	assert_true(was_executed(&frame->log, "member"));
}

static void test_a_deadline_that_has_passed_executes_nothing(void **state)
{
	struct frame *frame = *state;
	struct client client;
	client_start(&client, frame, "late", -5);
	client_join(&client);
	assert_int_equal(client.error, PYGMY_BUSY);
	assert_int_equal(frame->log.executed_count, 0);
}

/* The one that gives up may be the one that was woken to lead: the others must go on all the same. */
static void test_many_deadlines_at_once(void **state)
{
	struct frame *frame = *state;
	enum { ROUNDS = 40, THREADS = 12 };
	uint64_t seed = test_seed(__func__);
	struct client clients[THREADS];
	size_t acknowledged = 0;
	for (int round = 0; round < ROUNDS; round++) {
		set_gate(&frame->log, &frame->log.hold_append, true);
		for (int i = 0; i < THREADS; i++) {
			char key[24];
			snprintf(key, sizeof key, "%d-%d", round, i);
			client_start(&clients[i], frame, key, test_random_in(&seed, 0, 6));
		}
		struct client patient;
		char key[24];
		snprintf(key, sizeof key, "%d-patient", round);
		client_start(&patient, frame, key, FAR_MS);
		test_pause_ms((int)test_random_in(&seed, 0, 4));
		set_gate(&frame->log, &frame->log.hold_append, false);
		for (int i = 0; i < THREADS; i++) {
			client_join(&clients[i]);
			enum pygmy_error error = clients[i].error;
			assert_true(error == PYGMY_OK || error == PYGMY_BUSY || error == PYGMY_OUTCOME_UNKNOWN);
			if (error == PYGMY_OK)
				assert_true(was_executed(&frame->log, clients[i].key));
			if (error == PYGMY_BUSY)
				assert_false(was_executed(&frame->log, clients[i].key));
			acknowledged += error == PYGMY_OK ? 1 : 0;
		}
		client_join(&patient);
		assert_int_equal(patient.error, PYGMY_OK);
		assert_true(patient.took_ms < FAR_MS / 2);
	}
	assert_true(acknowledged <= frame->log.executed_count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		proposer_test(test_a_deadline_in_the_queue_means_never_executed),
		proposer_test(test_a_deadline_in_a_batch_means_unknown),
		proposer_test(test_a_deadline_that_has_passed_executes_nothing),
		proposer_test(test_many_deadlines_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
