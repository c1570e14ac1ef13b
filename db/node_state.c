/*
 * node_state: see node_state.h.
 *
 * What all processes see are atomics, and one counter of changes that waiters sleep on (a futex). Only the process that has the
 * follower's lock writes them, so that no process ever waits for another one's instruction: its threads (follower and keeper) agree by a
 * mutex of their own. The log's identity is more than one word; a sequence number tells readers that they met it half written.
 */
#include "db/node_state.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "db/monotonic.h"
#include "db/robust_mutex.h"
#include "db/shared_file.h"

#define KIND "node"                   /* of the file: another one when struct shared changes */
#define WAIT_SLICE_MS 100             /* a process that was killed between a change and its wake costs waiters so much */
#define READ_TRIES 100

struct shared {
	pthread_mutex_t follower;
	atomic_uint changes;          /* waiters sleep while it stays the same */
	atomic_int phase;
	atomic_int objection;         /* NODE_READY: none */
	atomic_bool quorum;
	atomic_uint_fast64_t applied;
	atomic_uint_fast64_t end;
	atomic_int_fast64_t complete_at_ms;
	atomic_uint log_sequence;     /* odd while the three words behind it are written */
	atomic_uint_fast64_t cluster_id, create_revision, base_index;
};

_Static_assert(sizeof(atomic_uint) == 4 && ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_BOOL_LOCK_FREE == 2,
	       "processes share atomics and a futex");

/* An end of the log that is not applied yet, and when the question for it was sent. sent_at_ms 0: none. */
struct unsettled {
	uint64_t end;
	int64_t sent_at_ms;
};

/* Files that were replaced stay mapped until the end: other threads may be looking at them. */
struct mapping {
	struct mapping *older;
	struct shared_file file;
};

struct node_state {
	_Atomic(struct shared *) shared;
	struct mapping *newest;       /* the rest belongs to the thread that may take the lock, or is under the mutex */
	bool holds_lock;
	pthread_t holder;
	char *db_path;
	pthread_mutex_t writing;
	struct unsettled oldest, newest_end;
};

static struct shared *shared_of(const struct node_state *state)
{
	return atomic_load(&state->shared);
}

/* ---- the mapping ------------------------------------------------------------------------------------ */

static bool init_shared(void *content)
{
	struct shared *shared = content;
	atomic_init(&shared->phase, NODE_STARTING);
	atomic_init(&shared->objection, NODE_READY);
	return robust_mutex_init(&shared->follower);
}

static bool map_file(struct node_state *state)
{
	struct mapping *mapping = calloc(1, sizeof *mapping);
	if (mapping == NULL || !shared_file_map(state->db_path, KIND, sizeof(struct shared), init_shared, &mapping->file)) {
		free(mapping);
		return false;
	}
	mapping->older = state->newest;
	state->newest = mapping;
	atomic_store(&state->shared, (struct shared *)mapping->file.content);
	return true;
}

enum pygmy_error node_state_open(const char *db_path, struct node_state **out)
{
	struct node_state *state = calloc(1, sizeof *state);
	*out = NULL;
	if (state == NULL)
		return PYGMY_OUT_OF_MEMORY;
	state->db_path = strdup(db_path);
	pthread_mutex_init(&state->writing, NULL);
	if (state->db_path == NULL || !map_file(state)) {
		enum pygmy_error error = state->db_path == NULL ? PYGMY_OUT_OF_MEMORY : PYGMY_STORAGE_FAILED;
		node_state_close(state);
		return error;
	}
	*out = state;
	return PYGMY_OK;
}

void node_state_close(struct node_state *state)
{
	if (state == NULL)
		return;
	if (state->holds_lock && pthread_equal(state->holder, pthread_self()))
		node_state_unlock(state);
	for (struct mapping *mapping = state->newest, *older; mapping != NULL; mapping = older) {
		older = mapping->older;
		shared_file_unmap(&mapping->file);
		free(mapping);
	}
	pthread_mutex_destroy(&state->writing);
	free(state->db_path);
	free(state);
}

bool node_state_is_current(const struct node_state *state)
{
	return shared_file_is_current(&state->newest->file);
}

bool node_state_refresh(struct node_state *state)
{
	return node_state_is_current(state) || map_file(state);
}

/* ---- the lock --------------------------------------------------------------------------------------- */

bool node_state_lock(struct node_state *state, int timeout_ms)
{
	if (!robust_mutex_lock(&shared_of(state)->follower, timeout_ms))
		return false;
	pthread_mutex_lock(&state->writing);
	state->oldest = state->newest_end = (struct unsettled){ 0 };
	pthread_mutex_unlock(&state->writing);
	state->holds_lock = true;
	state->holder = pthread_self();
	return true;
}

void node_state_unlock(struct node_state *state)
{
	state->holds_lock = false;
	robust_mutex_unlock(&shared_of(state)->follower);
}

/* ---- changes ---------------------------------------------------------------------------------------- */

static void tell_all(struct shared *shared)
{
	atomic_fetch_add(&shared->changes, 1);
	syscall(SYS_futex, &shared->changes, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Sleeps while nothing has changed since the counter was seen; may return early. Not FUTEX_PRIVATE: others wake us. */
static void sleep_until_change(struct shared *shared, unsigned seen, int64_t deadline_ms)
{
	int64_t until_ms = monotonic_ms() + WAIT_SLICE_MS;
	until_ms = until_ms < deadline_ms ? until_ms : deadline_ms;
	struct timespec until = { until_ms / 1000, (long)(until_ms % 1000) * 1000000 };
	syscall(SYS_futex, &shared->changes, FUTEX_WAIT_BITSET, seen, &until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* With the mutex: what is applied now may make the replica complete as of later times. Returns whether something is new. */
static void settle(struct node_state *state, struct shared *shared)
{
	uint64_t applied = atomic_load(&shared->applied);
	bool later = false;
	while (state->oldest.sent_at_ms != 0 && state->oldest.end <= applied) {
		if (state->oldest.sent_at_ms > atomic_load(&shared->complete_at_ms)) {
			atomic_store(&shared->complete_at_ms, state->oldest.sent_at_ms);
			later = true;
		}
		bool was_newest = state->oldest.sent_at_ms == state->newest_end.sent_at_ms;
		state->oldest = was_newest ? (struct unsettled){ 0 } : state->newest_end;
	}
	if (later && atomic_load(&shared->phase) == NODE_CATCHING_UP)
		atomic_store(&shared->phase, NODE_READY);
}

/* With the mutex. */
static void forget_completeness(struct node_state *state, struct shared *shared)
{
	atomic_store(&shared->complete_at_ms, 0);
	atomic_store(&shared->end, 0);
	state->oldest = state->newest_end = (struct unsettled){ 0 };
}

void node_state_set_applied(struct node_state *state, uint64_t index)
{
	struct shared *shared = shared_of(state);
	pthread_mutex_lock(&state->writing);
	if (index < atomic_load(&shared->applied))
		forget_completeness(state, shared);
	atomic_store(&shared->applied, index);
	settle(state, shared);
	pthread_mutex_unlock(&state->writing);
	tell_all(shared);
}

void node_state_set_end(struct node_state *state, uint64_t end, int64_t sent_at_ms)
{
	struct shared *shared = shared_of(state);
	pthread_mutex_lock(&state->writing);
	if (sent_at_ms > state->newest_end.sent_at_ms) {
		state->newest_end = (struct unsettled){ end, sent_at_ms };
		if (state->oldest.sent_at_ms == 0)
			state->oldest = state->newest_end;
		atomic_store(&shared->end, end);
		settle(state, shared);
	}
	pthread_mutex_unlock(&state->writing);
	tell_all(shared);
}

void node_state_set_phase(struct node_state *state, enum node_phase phase)
{
	struct shared *shared = shared_of(state);
	pthread_mutex_lock(&state->writing);
	atomic_store(&shared->phase, (int)phase);
	pthread_mutex_unlock(&state->writing);
	tell_all(shared);
}

void node_state_object(struct node_state *state, enum node_phase phase)
{
	struct shared *shared = shared_of(state);
	if (atomic_exchange(&shared->objection, (int)phase) != (int)phase)
		tell_all(shared);
}

void node_state_set_quorum(struct node_state *state, bool reachable)
{
	struct shared *shared = shared_of(state);
	if (atomic_exchange(&shared->quorum, reachable) != reachable)
		tell_all(shared);
}

void node_state_set_log(struct node_state *state, uint64_t cluster_id, uint64_t create_revision, uint64_t base_index)
{
	struct shared *shared = shared_of(state);
	pthread_mutex_lock(&state->writing);
	bool same = atomic_load(&shared->cluster_id) == cluster_id && atomic_load(&shared->create_revision) == create_revision &&
		    atomic_load(&shared->base_index) == base_index;
	if (!same)
		forget_completeness(state, shared);
	/* Whoever was killed here has left it odd. */
	atomic_store(&shared->log_sequence, atomic_load(&shared->log_sequence) | 1);
	atomic_store(&shared->cluster_id, cluster_id);
	atomic_store(&shared->create_revision, create_revision);
	atomic_store(&shared->base_index, base_index);
	atomic_fetch_add(&shared->log_sequence, 1);
	pthread_mutex_unlock(&state->writing);
	tell_all(shared);
}

/* ---- views and waits ---------------------------------------------------------------------------------- */

/* A log that is being written by somebody who does not come to it is none: zeros. */
static void read_log(const struct shared *shared, struct node_view *out)
{
	for (int i = 0; i < READ_TRIES; i++) {
		unsigned before = atomic_load(&shared->log_sequence);
		out->cluster_id = atomic_load(&shared->cluster_id);
		out->create_revision = atomic_load(&shared->create_revision);
		out->base_index = atomic_load(&shared->base_index);
		if (before % 2 == 0 && atomic_load(&shared->log_sequence) == before)
			return;
	}
	out->cluster_id = out->create_revision = out->base_index = 0;
}

static enum node_phase phase_of(const struct shared *shared)
{
	enum node_phase phase = (enum node_phase)atomic_load(&shared->phase);
	return phase == NODE_READY ? (enum node_phase)atomic_load(&shared->objection) : phase;
}

void node_state_view(const struct node_state *state, struct node_view *out)
{
	const struct shared *shared = shared_of(state);
	*out = (struct node_view){ 0 };
	read_log(shared, out);
	/* Completeness before what is applied: then at least that is applied. */
	out->complete_at_ms = atomic_load(&shared->complete_at_ms);
	out->end = atomic_load(&shared->end);
	out->applied = atomic_load(&shared->applied);
	out->quorum = atomic_load(&shared->quorum);
	out->phase = phase_of(shared);
}

static bool is_following(const struct shared *shared)
{
	int phase = atomic_load(&shared->phase);
	return phase == NODE_CATCHING_UP || phase == NODE_READY;
}

bool node_state_wait_applied(struct node_state *state, uint64_t index, int64_t deadline_ms)
{
	for (;;) {
		struct shared *shared = shared_of(state);
		unsigned seen = atomic_load(&shared->changes);
		if (atomic_load(&shared->applied) >= index)
			return true;
		if (!is_following(shared) || monotonic_ms() >= deadline_ms)
			return false;
		sleep_until_change(shared, seen, deadline_ms);
	}
}

bool node_state_wait_complete(struct node_state *state, int64_t since_ms, int64_t deadline_ms)
{
	for (;;) {
		struct shared *shared = shared_of(state);
		unsigned seen = atomic_load(&shared->changes);
		if (atomic_load(&shared->complete_at_ms) >= since_ms)
			return true;
		if (!is_following(shared) || monotonic_ms() >= deadline_ms)
			return false;
		sleep_until_change(shared, seen, deadline_ms);
	}
}
