/* checkpointer: see checkpointer.h. */
#include "db/checkpointer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "db/diagnostics.h"
#include "db/monotonic.h"

#define TURN_WAIT_MS 1000
#define READERS_WAIT_MS 50            /* the longest pause that a checkpoint makes in the writing */
#define STACK_BYTES ((size_t)256 * 1024)

struct checkpointer {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool wanted;
	bool stopping;
	atomic_int threshold;         /* pages of the log at which the next checkpoint is wanted */
	atomic_uint_fast64_t applied, durable;
	atomic_bool sleeps;           /* until it is signalled, however long that takes */
	int64_t last_ms;              /* when the last checkpoint ended; the thread's own */
	struct database database;
	struct database *writer;
	struct writer_turn *turn;
};

/* Runs on the writer's thread, after each of its commits. */
static int on_commit(void *context, sqlite3 *handle, const char *schema, int wal_pages)
{
	struct checkpointer *checkpointer = context;
	(void)handle;
	(void)schema;
	if (wal_pages < atomic_load(&checkpointer->threshold))
		return SQLITE_OK;
	pthread_mutex_lock(&checkpointer->mutex);
	checkpointer->wanted = true;
	pthread_cond_signal(&checkpointer->wake);
	pthread_mutex_unlock(&checkpointer->mutex);
	return SQLITE_OK;
}

/* Returns whether it was done; *in_wal gets the pages that are in the log, if that could be told. */
static bool copy_wal(struct checkpointer *checkpointer, int mode, int *in_wal)
{
	int pages = -1;
	int rc = sqlite3_wal_checkpoint_v2(checkpointer->database.handle, NULL, mode, &pages, NULL);
	*in_wal = pages > 0 ? pages : *in_wal;
	/* BUSY: another process does it, or a reader stays. A full disk is met here first. */
	return database_error(&checkpointer->database, rc, "checkpoint") == PYGMY_OK;
}

/*
 * The second part, with the writers' turn, also waits for those who still read from the log: a log that is copied but read
 * would be appended to by the next writer, and under a steady load grow without end. When a reader stays longer than we
 * make writers wait, or the copying fails, the next try comes CHECKPOINT_PAGES later, not at the next commit.
 */
static void checkpoint(struct checkpointer *checkpointer)
{
	int in_wal = atomic_load(&checkpointer->threshold);
	uint64_t covered = atomic_load(&checkpointer->applied);
	copy_wal(checkpointer, SQLITE_CHECKPOINT_PASSIVE, &in_wal);
	bool has_turn = writer_turn_begin(checkpointer->turn, TURN_WAIT_MS);
	bool emptied = copy_wal(checkpointer, SQLITE_CHECKPOINT_RESTART, &in_wal);
	if (has_turn)
		writer_turn_end(checkpointer->turn);
	atomic_store(&checkpointer->threshold, (emptied ? 0 : in_wal) + CHECKPOINT_PAGES);
	if (emptied)
		atomic_store(&checkpointer->durable, covered);
	checkpointer->last_ms = monotonic_ms();
}

static bool is_uncovered(const struct checkpointer *checkpointer)
{
	return atomic_load(&checkpointer->applied) > atomic_load(&checkpointer->durable);
}

/* With the mutex: waits until a checkpoint is wanted, or one is due, or it is time to stop. Returns whether to make one. */
static bool wait_for_work(struct checkpointer *checkpointer)
{
	int64_t due_ms = checkpointer->last_ms + CHECKPOINT_INTERVAL_MS;
	struct timespec until = { due_ms / 1000, (long)(due_ms % 1000) * 1000000 };
	if (checkpointer->wanted)
		return true;
	/* Said before it is looked at: who makes something uncovered after that look signals. */
	atomic_store(&checkpointer->sleeps, true);
	if (!is_uncovered(checkpointer)) {
		pthread_cond_wait(&checkpointer->wake, &checkpointer->mutex);
		return false;
	}
	atomic_store(&checkpointer->sleeps, false);
	if (monotonic_ms() >= due_ms)
		return true;
	pthread_cond_timedwait(&checkpointer->wake, &checkpointer->mutex, &until);
	return false;
}

static void *run(void *context)
{
	struct checkpointer *checkpointer = context;
	pthread_mutex_lock(&checkpointer->mutex);
	while (!checkpointer->stopping) {
		if (!wait_for_work(checkpointer))
			continue;
		checkpointer->wanted = false;
		pthread_mutex_unlock(&checkpointer->mutex);
		checkpoint(checkpointer);
		pthread_mutex_lock(&checkpointer->mutex);
	}
	pthread_mutex_unlock(&checkpointer->mutex);
	return NULL;
}

static void init_wake(struct checkpointer *checkpointer)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&checkpointer->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

enum pygmy_error checkpointer_create(const char *db_path, struct database *writer, struct writer_turn *turn, struct checkpointer **out)
{
	struct checkpointer *checkpointer = calloc(1, sizeof *checkpointer);
	pthread_attr_t attributes;
	*out = NULL;
	if (checkpointer == NULL)
		return PYGMY_OUT_OF_MEMORY;
	enum pygmy_error error = database_open(&checkpointer->database, db_path, DATABASE_WRITE);
	if (error != PYGMY_OK) {
		free(checkpointer);
		return error;
	}
	sqlite3_busy_timeout(checkpointer->database.handle, READERS_WAIT_MS);
	checkpointer->writer = writer;
	checkpointer->turn = turn;
	atomic_init(&checkpointer->threshold, CHECKPOINT_PAGES);
	pthread_mutex_init(&checkpointer->mutex, NULL);
	init_wake(checkpointer);
	checkpointer->last_ms = monotonic_ms();
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	int rc = pthread_create(&checkpointer->thread, &attributes, run, checkpointer);
	pthread_attr_destroy(&attributes);
	if (rc != 0) {
		database_close(&checkpointer->database);
		free(checkpointer);
		return PYGMY_OUT_OF_MEMORY;
	}
	sqlite3_wal_hook(writer->handle, on_commit, checkpointer);
	*out = checkpointer;
	return PYGMY_OK;
}

void checkpointer_set_applied(struct checkpointer *checkpointer, uint64_t index)
{
	atomic_store(&checkpointer->applied, index);
	if (!atomic_exchange(&checkpointer->sleeps, false))
		return;
	pthread_mutex_lock(&checkpointer->mutex);
	pthread_cond_signal(&checkpointer->wake);
	pthread_mutex_unlock(&checkpointer->mutex);
}

uint64_t checkpointer_durable(const struct checkpointer *checkpointer)
{
	return atomic_load(&checkpointer->durable);
}

void checkpointer_destroy(struct checkpointer *checkpointer)
{
	if (checkpointer == NULL)
		return;
	sqlite3_wal_hook(checkpointer->writer->handle, NULL, NULL);
	pthread_mutex_lock(&checkpointer->mutex);
	checkpointer->stopping = true;
	pthread_cond_signal(&checkpointer->wake);
	pthread_mutex_unlock(&checkpointer->mutex);
	pthread_join(checkpointer->thread, NULL);
	database_close(&checkpointer->database);
	pthread_cond_destroy(&checkpointer->wake);
	pthread_mutex_destroy(&checkpointer->mutex);
	free(checkpointer);
}
