/* proposer: see proposer.h. */
#include "db/proposer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "db/entry.h"
#include "db/monotonic.h"

#define PROPOSAL_ARENA_BYTES ((size_t)4 * 1024 * 1024)
#define BATCH_ARENA_BYTES ((size_t)16 * 1024 * 1024)

enum proposal_state { PROPOSAL_QUEUED, PROPOSAL_TAKEN, PROPOSAL_DONE, PROPOSAL_ABANDONED };

/*
 * QUEUED -> TAKEN (into a batch) -> DONE; QUEUED -> removed by its own thread at its deadline;
 * TAKEN -> ABANDONED by its own thread at its deadline: the leader then frees it.
 */
struct proposal {
	struct proposal *next;
	enum proposal_state state;
	pthread_cond_t wake;
	struct arena arena;
	struct command_parts encoded;
	enum pygmy_error error;
	struct result result;
};

struct batch {
	struct proposal *members[BATCH_MAX_COMMANDS];
	struct result results[BATCH_MAX_COMMANDS];
	size_t count;
	int64_t committed_ms;
	enum pygmy_error error;
};

struct proposer {
	pthread_mutex_t mutex;
	pthread_condattr_t monotonic;
	struct proposal *first, **last;
	size_t queued;
	bool leading;
	bool stopping;
	struct log *log;
	struct pusher *pusher;
	struct replica_stats *stats;
	struct arena arena;           /* the leader's */
	/*
	 * Proposals that are not in use. They are freed only with the proposer, because a leader wakes the members of its batch after
	 * it has given the mutex back (woken under it, each would run into it at once), and by then one may be somebody else's already:
	 * that somebody then looks once more and goes on waiting.
	 */
	struct proposal *spare;
};

static void proposal_destroy(struct proposal *proposal);

enum pygmy_error proposer_create(struct log *log, struct pusher *pusher, struct replica_stats *stats, struct proposer **out)
{
	struct proposer *proposer = calloc(1, sizeof *proposer);
	*out = proposer;
	if (proposer == NULL)
		return PYGMY_OUT_OF_MEMORY;
	pthread_mutex_init(&proposer->mutex, NULL);
	pthread_condattr_init(&proposer->monotonic);
	pthread_condattr_setclock(&proposer->monotonic, CLOCK_MONOTONIC);
	proposer->last = &proposer->first;
	proposer->log = log;
	proposer->pusher = pusher;
	proposer->stats = stats;
	arena_init(&proposer->arena, BATCH_ARENA_BYTES);
	return PYGMY_OK;
}

void proposer_destroy(struct proposer *proposer)
{
	if (proposer == NULL)
		return;
	while (proposer->spare != NULL) {
		struct proposal *next = proposer->spare->next;
		proposal_destroy(proposer->spare);
		proposer->spare = next;
	}
	arena_close(&proposer->arena);
	pthread_condattr_destroy(&proposer->monotonic);
	pthread_mutex_destroy(&proposer->mutex);
	free(proposer);
}

void proposer_stop(struct proposer *proposer)
{
	pthread_mutex_lock(&proposer->mutex);
	proposer->stopping = true;
	pthread_mutex_unlock(&proposer->mutex);
}

/* ---- proposals -------------------------------------------------------------------------------------- */

static void proposal_destroy(struct proposal *proposal)
{
	pthread_cond_destroy(&proposal->wake);
	arena_close(&proposal->arena);
	free(proposal);
}

/* With the mutex held. */
static void proposal_give_back(struct proposer *proposer, struct proposal *proposal)
{
	arena_reset(&proposal->arena);
	proposal->next = proposer->spare;
	proposer->spare = proposal;
}

static struct proposal *take_spare(struct proposer *proposer)
{
	pthread_mutex_lock(&proposer->mutex);
	struct proposal *proposal = proposer->spare;
	if (proposal != NULL)
		proposer->spare = proposal->next;
	pthread_mutex_unlock(&proposer->mutex);
	return proposal;
}

static struct proposal *proposal_create(struct proposer *proposer, const struct command *command)
{
	struct proposal *proposal = take_spare(proposer);
	if (proposal == NULL) {
		proposal = calloc(1, sizeof *proposal);
		if (proposal == NULL)
			return NULL;
		pthread_cond_init(&proposal->wake, &proposer->monotonic);
		arena_init(&proposal->arena, PROPOSAL_ARENA_BYTES);
	}
	proposal->next = NULL;
	proposal->state = PROPOSAL_QUEUED;
	proposal->result = (struct result){ .error = PYGMY_OK };
	if (command_encode_parts(command, &proposal->arena, &proposal->encoded))
		return proposal;
	pthread_mutex_lock(&proposer->mutex);
	proposal_give_back(proposer, proposal);
	pthread_mutex_unlock(&proposer->mutex);
	return NULL;
}

static void enqueue(struct proposer *proposer, struct proposal *proposal)
{
	*proposer->last = proposal;
	proposer->last = &proposal->next;
	proposer->queued++;
}

static void unlink_from_queue(struct proposer *proposer, struct proposal *proposal)
{
	struct proposal **link = &proposer->first;
	while (*link != proposal)
		link = &(*link)->next;
	*link = proposal->next;
	if (proposal->next == NULL)
		proposer->last = link;
	proposal->next = NULL;
	proposer->queued--;
}

/* ---- leading ---------------------------------------------------------------------------------------- */

static void take_batch(struct proposer *proposer, struct batch *batch)
{
	size_t bytes = 0;
	while (proposer->first != NULL && batch->count < BATCH_MAX_COMMANDS) {
		struct proposal *proposal = proposer->first;
		size_t more = command_join_max(&proposal->encoded);
		if (batch->count > 0 && bytes + more > BATCH_MAX_BYTES)
			break;
		unlink_from_queue(proposer, proposal);
		proposal->state = PROPOSAL_TAKEN;
		bytes += more;
		batch->members[batch->count++] = proposal;
	}
}

/*
 * The index that the commands carry is that of this moment, behind begin: a worker that had nothing to write for a long time, while
 * others wrote much, would otherwise propose what apply must refuse as too old.
 */
static struct slice build_entry(struct proposer *proposer, const struct batch *batch)
{
	uint64_t base_index = proposer->log->operations->applied_index(proposer->log);
	size_t max = 0, len = 0;
	for (size_t i = 0; i < batch->count; i++)
		max += command_join_max(&batch->members[i]->encoded);
	char *entry = arena_take(&proposer->arena, ENTRY_HEAD_BYTES + max);
	if (entry == NULL)
		return SLICE_EMPTY;
	char *body = entry + ENTRY_HEAD_BYTES;
	for (size_t i = 0; i < batch->count; i++)
		len += command_join(&batch->members[i]->encoded, base_index, body + len);
	entry_seal((struct slice){ body, len }, entry);
	return (struct slice){ entry, ENTRY_HEAD_BYTES + len };
}

static void append_batch(struct proposer *proposer, struct batch *batch)
{
	size_t results = 0;
	struct slice entry = build_entry(proposer, batch);
	if (entry.ptr == NULL) {
		proposer->log->operations->cancel(proposer->log);
		batch->error = PYGMY_OUT_OF_MEMORY;
		return;
	}
	batch->error = proposer->log->operations->append(proposer->log, entry, &proposer->arena, batch->results, &results);
	if (batch->error == PYGMY_OK && results != batch->count)
		batch->error = PYGMY_INTERNAL;
	arena_reset(&proposer->arena);
}

static void count_batch(struct proposer *proposer, const struct batch *batch, int64_t began_us)
{
	struct replica_stats *stats = proposer->stats;
	if (batch->error != PYGMY_OK)
		return;
	histogram_observe(&stats->batch_commands, (double)batch->count);
	histogram_observe(&stats->commit_seconds, (double)(monotonic_us() - began_us) / 1e6);
	for (size_t i = 0; i < batch->count; i++) {
		const struct result *result = &batch->results[i];
		atomic_fetch_add(result->repeated ? &stats->commands_repeated : &stats->commands_applied, 1);
		if (result->error != PYGMY_OK)
			atomic_fetch_add(&stats->commands_refused, 1);
	}
}

/* With the mutex held, and leading set: brings one batch into the log, without the mutex meanwhile. */
static void commit_batch(struct proposer *proposer, struct batch *batch)
{
	pthread_mutex_unlock(&proposer->mutex);
	int64_t began_us = monotonic_us();
	enum pygmy_error begun = proposer->log->operations->begin(proposer->log);
	pthread_mutex_lock(&proposer->mutex);
	take_batch(proposer, batch);
	pthread_mutex_unlock(&proposer->mutex);
	if (begun != PYGMY_OK)
		batch->error = begun;
	else if (batch->count == 0)
		proposer->log->operations->cancel(proposer->log);
	else
		append_batch(proposer, batch);
	batch->committed_ms = monotonic_ms();
	count_batch(proposer, batch, began_us);
	pthread_mutex_lock(&proposer->mutex);
}

/* With the mutex held, which is given back while the members are woken. */
static void finish_batch(struct proposer *proposer, struct batch *batch)
{
	size_t done = 0;
	for (size_t i = 0; i < batch->count; i++) {
		struct proposal *proposal = batch->members[i];
		if (proposal->state == PROPOSAL_ABANDONED) {
			proposal_give_back(proposer, proposal);
			continue;
		}
		proposal->error = batch->error;
		proposal->result = batch->results[i];
		proposal->state = PROPOSAL_DONE;
		batch->members[done++] = proposal;
	}
	pthread_mutex_unlock(&proposer->mutex);
	for (size_t i = 0; i < done; i++)
		pthread_cond_signal(&batch->members[i]->wake);
	pthread_mutex_lock(&proposer->mutex);
}

/* With the mutex held: leads one batch from the queue to its answers. False without memory. */
static bool lead(struct proposer *proposer)
{
	struct batch *batch = calloc(1, sizeof *batch);
	if (batch == NULL)
		return false;
	proposer->leading = true;
	commit_batch(proposer, batch);
	proposer->leading = false;
	if (proposer->first != NULL)
		pthread_cond_signal(&proposer->first->wake);
	if (batch->error == PYGMY_OK && batch->count > 0) {
		char log_id[LOG_ID_TEXT_LEN + 1];
		pthread_mutex_unlock(&proposer->mutex);
		proposer->log->operations->log_id(proposer->log, log_id);
		pusher_set_log(proposer->pusher, log_id);
		pusher_confirm(proposer->pusher, batch->results, batch->count, batch->committed_ms);
		pthread_mutex_lock(&proposer->mutex);
	}
	finish_batch(proposer, batch);
	free(batch);
	return true;
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static bool wait_for_wake(struct proposer *proposer, struct proposal *proposal, int64_t deadline_ms)
{
	struct timespec until = { deadline_ms / 1000, (long)(deadline_ms % 1000) * 1000000 };
	return pthread_cond_timedwait(&proposal->wake, &proposer->mutex, &until) != ETIMEDOUT;
}

/* The deadline has passed. Returns whether the proposal is still ours to free. */
static bool give_up(struct proposer *proposer, struct proposal *proposal, enum pygmy_error error)
{
	if (proposal->state == PROPOSAL_QUEUED) {
		unlink_from_queue(proposer, proposal);
		proposal->error = error;
		/* The wake to lead may have been for us: pass it on. */
		if (!proposer->leading && proposer->first != NULL)
			pthread_cond_signal(&proposer->first->wake);
		return true;
	}
	proposal->state = PROPOSAL_ABANDONED;
	return false;
}

/* With the mutex held. Returns whether the proposal is still ours. */
static bool wait_until_done(struct proposer *proposer, struct proposal *proposal, int64_t deadline_ms)
{
	while (proposal->state != PROPOSAL_DONE) {
		if (proposal->state == PROPOSAL_QUEUED && !proposer->leading) {
			if (monotonic_ms() >= deadline_ms)
				return give_up(proposer, proposal, PYGMY_BUSY);
			if (!lead(proposer))
				return give_up(proposer, proposal, PYGMY_OUT_OF_MEMORY);
		} else if (!wait_for_wake(proposer, proposal, deadline_ms) && proposal->state != PROPOSAL_DONE) {
			return give_up(proposer, proposal, PYGMY_BUSY);
		}
	}
	return true;
}

/* With the mutex held. *ours tells whether the proposal is still the caller's. */
static enum pygmy_error queue_and_wait(struct proposer *proposer, struct proposal *proposal, int64_t deadline_ms, bool *ours)
{
	*ours = true;
	if (proposer->stopping)
		return PYGMY_STOPPING;
	if (proposer->queued >= PROPOSER_QUEUE_MAX)
		return PYGMY_OVERLOADED;
	enqueue(proposer, proposal);
	*ours = wait_until_done(proposer, proposal, deadline_ms);
	return *ours ? proposal->error : PYGMY_OUTCOME_UNKNOWN;
}

enum pygmy_error proposer_propose(struct proposer *proposer, const struct command *command, int64_t deadline_ms, struct result *out)
{
	struct proposal *proposal = proposal_create(proposer, command);
	enum pygmy_error error = PYGMY_OUT_OF_MEMORY;
	bool ours = false;
	if (proposal != NULL) {
		pthread_mutex_lock(&proposer->mutex);
		atomic_fetch_add(&proposer->stats->proposals_waiting, 1);
		error = queue_and_wait(proposer, proposal, deadline_ms, &ours);
		atomic_fetch_sub(&proposer->stats->proposals_waiting, 1);
		if (ours) {
			*out = proposal->result;
			proposal_give_back(proposer, proposal);
		}
		pthread_mutex_unlock(&proposer->mutex);
	}
	if (error != PYGMY_OK)
		atomic_fetch_add(&proposer->stats->proposals_failed, 1);
	return error;
}
