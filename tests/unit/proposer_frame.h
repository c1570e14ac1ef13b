/*
 * proposer_frame: a proposer with a log that the test can hold up and make fail, and clients that propose in threads of their own.
 *
 * Threads note what went wrong in a counter; only the main thread asserts.
 */
#ifndef PYGMY_TESTS_UNIT_PROPOSER_FRAME_H
#define PYGMY_TESTS_UNIT_PROPOSER_FRAME_H

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

static inline struct fake_log *fake(struct log *log)
{
	return (struct fake_log *)log;
}

/* With the mutex held. */
static inline void stand_at(struct fake_log *log, const bool *gate, int *standing)
{
	(*standing)++;
	pthread_cond_broadcast(&log->changed);
	while (*gate)
		pthread_cond_wait(&log->changed, &log->mutex);
	(*standing)--;
}

static inline enum pygmy_error fake_begin(struct log *base)
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

static inline void execute(struct fake_log *log, struct slice body, struct arena *arena, struct result *results, size_t *count)
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

static inline enum pygmy_error fake_append(struct log *base, struct slice entry, struct arena *arena, struct result *results, size_t *result_count)
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

static inline void fake_cancel(struct log *base)
{
	struct fake_log *log = fake(base);
	pthread_mutex_lock(&log->mutex);
	log->cancels++;
	log->inside--;
	pthread_mutex_unlock(&log->mutex);
}

static inline uint64_t fake_applied_index(struct log *base)
{
	struct fake_log *log = fake(base);
	pthread_mutex_lock(&log->mutex);
	uint64_t applied = log->applied;
	pthread_mutex_unlock(&log->mutex);
	return applied;
}

static inline void fake_log_id(struct log *base, char out[LOG_ID_TEXT_LEN + 1])
{
	(void)base;
	memcpy(out, "0123456789abcdef", LOG_ID_TEXT_LEN + 1);
}

static const struct log_operations fake_operations = { .begin = fake_begin, .append = fake_append, .cancel = fake_cancel, .applied_index = fake_applied_index,
	.log_id = fake_log_id };

/* ---- the test's frame ------------------------------------------------------------------------------- */

struct frame {
	struct fake_log log;
	struct replica_stats stats;
	struct pusher *pusher;
	struct proposer *proposer;
};

static inline int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	assert_non_null(frame);
	frame->log.log.operations = &fake_operations;
	pthread_mutex_init(&frame->log.mutex, NULL);
	pthread_cond_init(&frame->log.changed, NULL);
	replica_stats_init(&frame->stats);
	struct pusher_options options = { .frontends = "", .log_id = "0123456789abcdef", .lease_ms = 100 };
	assert_int_equal(pusher_create(&options, &frame->stats, &frame->pusher), PYGMY_OK);
	assert_int_equal(proposer_create(&frame->log.log, frame->pusher, &frame->stats, &frame->proposer), PYGMY_OK);
	*state = frame;
	return 0;
}

static inline int teardown(void **state)
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

static inline void set_gate(struct fake_log *log, bool *gate, bool closed)
{
	pthread_mutex_lock(&log->mutex);
	*gate = closed;
	pthread_cond_broadcast(&log->changed);
	pthread_mutex_unlock(&log->mutex);
}

static inline int read_locked(struct fake_log *log, const int *value)
{
	pthread_mutex_lock(&log->mutex);
	int copy = *value;
	pthread_mutex_unlock(&log->mutex);
	return copy;
}

static inline bool was_executed(struct fake_log *log, const char *key)
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

static inline void *propose(void *context)
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

static inline void client_start(struct client *client, struct frame *frame, const char *key, int64_t timeout_ms)
{
	*client = (struct client){ .frame = frame, .timeout_ms = timeout_ms, .quantity = 3 };
	snprintf(client->key, sizeof client->key, "%s", key);
	assert_int_equal(pthread_create(&client->thread, NULL, propose, client), 0);
}

static inline void client_join(struct client *client)
{
	assert_int_equal(pthread_join(client->thread, NULL), 0);
}

static inline uint64_t waiting(struct frame *frame)
{
	return atomic_load(&frame->stats.proposals_waiting);
}

#define proposer_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

#endif
