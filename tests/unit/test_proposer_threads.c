/*
 * proposer: grouping, deadlines, stop and queue limit, with a log that the test can hold up and make fail.
 *
 * Threads note what went wrong in a counter; only the main thread asserts.
 */
#include "tests/unit/support.h"

#include <pthread.h>
#include <stdatomic.h>

/* The code itself, with a queue so short that the threads of a test can fill it. */
#define QUEUE_MAX 300
#undef PROPOSER_QUEUE_MAX
#define PROPOSER_QUEUE_MAX QUEUE_MAX
#include "db/proposer.c"

#define FAR_MS 20000
#define EXECUTED_MAX 8192

/* ---- a log ------------------------------------------------------------------------------------------ */

struct fake_log {
	struct log log;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool hold_begin, hold_append;         /* gates; whoever stands at one counts below */
	int at_begin, at_append;
	int inside;                           /* between begin and the end of append */
	enum pygmy_error begin_error, append_error;
	bool lose_results;
	int entries, cancels;
	size_t largest_batch;
	uint64_t applied;
	char executed[EXECUTED_MAX][24];      /* request keys, in order */
	uint64_t base_index[EXECUTED_MAX];
	size_t executed_count;
	atomic_int violations;
};

static struct fake_log *fake(struct log *log)
{
	return (struct fake_log *)log;
}

/* With the mutex held. */
static void stand_at(struct fake_log *log, const bool *gate, int *standing)
{
	(*standing)++;
	pthread_cond_broadcast(&log->changed);
	while (*gate)
		pthread_cond_wait(&log->changed, &log->mutex);
	(*standing)--;
}

static enum pygmy_error fake_begin(struct log *base)
{
	struct fake_log *log = fake(base);
	pthread_mutex_lock(&log->mutex);
	if (log->inside++ != 0)
		atomic_fetch_add(&log->violations, 1);
	stand_at(log, &log->hold_begin, &log->at_begin);
	enum pygmy_error error = log->begin_error;
	if (error != PYGMY_OK)
		log->inside--;
	pthread_mutex_unlock(&log->mutex);
	return error;
}

static void execute(struct fake_log *log, struct slice body, struct arena *arena, struct result *results, size_t *count)
{
	struct command command;
	while (body.len > 0) {
		if (command_decode(&body, arena, &command) != COMMAND_OK || *count == BATCH_MAX_COMMANDS ||
		    log->executed_count == EXECUTED_MAX || command.request_key.len >= sizeof log->executed[0]) {
			atomic_fetch_add(&log->violations, 1);
			return;
		}
		memcpy(log->executed[log->executed_count], command.request_key.ptr, command.request_key.len);
		log->base_index[log->executed_count++] = command.base_index;
		results[(*count)++] = (struct result){ .error = PYGMY_OK, .revision = log->applied, .id = command.buy.item_id,
						       .quantity = command.buy.quantity };
	}
}

static enum pygmy_error fake_append(struct log *base, struct slice entry, struct arena *arena, struct result *results, size_t *result_count)
{
	struct fake_log *log = fake(base);
	struct slice body;
	pthread_mutex_lock(&log->mutex);
	stand_at(log, &log->hold_append, &log->at_append);
	enum pygmy_error error = log->append_error;
	*result_count = 0;
	if (entry_open(entry, &body) != ENTRY_OK)
		atomic_fetch_add(&log->violations, 1);
	else if (error == PYGMY_OK || error == PYGMY_OUTCOME_UNKNOWN) {
		log->applied++;
		log->entries++;
		execute(log, body, arena, results, result_count);
	}
	if (*result_count > log->largest_batch)
		log->largest_batch = *result_count;
	if (log->lose_results)
		*result_count = 0;
	if (--log->inside != 0)
		atomic_fetch_add(&log->violations, 1);
	pthread_mutex_unlock(&log->mutex);
	return error;
}

static void fake_cancel(struct log *base)
{
	struct fake_log *log = fake(base);
	pthread_mutex_lock(&log->mutex);
	log->cancels++;
	log->inside--;
	pthread_mutex_unlock(&log->mutex);
}

static uint64_t fake_applied_index(struct log *base)
{
	struct fake_log *log = fake(base);
	pthread_mutex_lock(&log->mutex);
	uint64_t applied = log->applied;
	pthread_mutex_unlock(&log->mutex);
	return applied;
}

static const struct log_operations fake_operations = { fake_begin, fake_append, fake_cancel, fake_applied_index, NULL };

/* ---- the test's frame ------------------------------------------------------------------------------- */

struct frame {
	struct fake_log log;
	struct replica_stats stats;
	struct pusher *pusher;
	struct proposer *proposer;
};

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	assert_non_null(frame);
	frame->log.log.operations = &fake_operations;
	pthread_mutex_init(&frame->log.mutex, NULL);
	pthread_cond_init(&frame->log.changed, NULL);
	replica_stats_init(&frame->stats);
	assert_int_equal(pusher_create("", "0123456789abcdef", 100, &frame->stats, &frame->pusher), PYGMY_OK);
	assert_int_equal(proposer_create(&frame->log.log, frame->pusher, &frame->stats, &frame->proposer), PYGMY_OK);
	*state = frame;
	return 0;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	assert_int_equal(atomic_load(&frame->log.violations), 0);
	assert_int_equal(frame->log.inside, 0);
	assert_int_equal(atomic_load(&frame->stats.proposals_waiting), 0);
	proposer_destroy(frame->proposer);
	pusher_destroy(frame->pusher);
	pthread_cond_destroy(&frame->log.changed);
	pthread_mutex_destroy(&frame->log.mutex);
	free(frame);
	return 0;
}

static void set_gate(struct fake_log *log, bool *gate, bool closed)
{
	pthread_mutex_lock(&log->mutex);
	*gate = closed;
	pthread_cond_broadcast(&log->changed);
	pthread_mutex_unlock(&log->mutex);
}

static int read_locked(struct fake_log *log, const int *value)
{
	pthread_mutex_lock(&log->mutex);
	int copy = *value;
	pthread_mutex_unlock(&log->mutex);
	return copy;
}

static bool was_executed(struct fake_log *log, const char *key)
{
	bool found = false;
	pthread_mutex_lock(&log->mutex);
	for (size_t i = 0; i < log->executed_count; i++)
		found = found || strcmp(log->executed[i], key) == 0;
	pthread_mutex_unlock(&log->mutex);
	return found;
}

/* One proposal by a thread of its own. */
struct client {
	pthread_t thread;
	struct frame *frame;
	char key[24];
	int64_t timeout_ms;
	int64_t quantity;
	enum pygmy_error error;
	struct result result;
	int64_t took_ms;
	atomic_bool ended;
};

static void *propose(void *context)
{
	struct client *client = context;
	int64_t started_ms = monotonic_ms();
	/* The command lives in memory that ends with the call, as a request's does. */
	char *key = strdup(client->key);
	struct command *command = malloc(sizeof *command);
	*command = buy_of(key, 7, client->quantity);
	client->error = proposer_propose(client->frame->proposer, command, started_ms + client->timeout_ms, &client->result);
	free(command);
	free(key);
	client->took_ms = monotonic_ms() - started_ms;
	atomic_store(&client->ended, true);
	return NULL;
}

static void client_start(struct client *client, struct frame *frame, const char *key, int64_t timeout_ms)
{
	*client = (struct client){ .frame = frame, .timeout_ms = timeout_ms, .quantity = 3 };
	snprintf(client->key, sizeof client->key, "%s", key);
	assert_int_equal(pthread_create(&client->thread, NULL, propose, client), 0);
}

static void client_join(struct client *client)
{
	assert_int_equal(pthread_join(client->thread, NULL), 0);
}

static uint64_t waiting(struct frame *frame)
{
	return atomic_load(&frame->stats.proposals_waiting);
}

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

/* ---- deadlines -------------------------------------------------------------------------------------- */

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
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_lone_proposal),
		TEST(test_those_who_wait_share_one_entry),
		TEST(test_a_batch_is_taken_behind_begin),
		TEST(test_a_crowd),
		TEST(test_a_batch_has_a_largest_count_and_the_queue_too),
		TEST(test_a_batch_has_a_largest_size),
		TEST(test_a_deadline_in_the_queue_means_never_executed),
		TEST(test_a_deadline_in_a_batch_means_unknown),
		TEST(test_a_deadline_that_has_passed_executes_nothing),
		TEST(test_many_deadlines_at_once),
		TEST(test_an_error_of_the_log_reaches_everybody_and_passes),
		TEST(test_stop_refuses_new_ones_and_finishes_the_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
