/*
 * follower: see follower.h.
 *
 * One loop: open the database, find out whether etcd's log is its log, follow it until something happens, and begin again with whatever
 * that asks for. Nothing is remembered between two rounds but what is in the database, so every round starts from what is true.
 */
#include "db/follower_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "db/diagnostics.h"
#include "db/limits.h"
#include "db/monotonic.h"

#define LOCK_WAIT_MS 500
#define PAUSE_MAX_MS 1000
#define WALK_BACK_BYTES ((size_t)16 * 1024 * 1024)

/* ---- what the steps ask for ---------------------------------------------------------------------------- */

bool follower_must_leave(struct follower *follower)
{
	return atomic_load(&follower->stopping) || !node_state_is_current(follower->state);
}

void follower_say(struct follower *follower, const char *text, const char *detail)
{
	for (int i = 0; i < follower->said_count && i < FOLLOWER_SAID_MAX; i++)
		if (follower->said[i] == text)
			return;
	follower->said[follower->said_count++ % FOLLOWER_SAID_MAX] = text;
	diagnose_warning("follower: %s%s%s", text, detail != NULL ? ": " : "", detail != NULL ? detail : "");
}

void follower_is_well(struct follower *follower)
{
	follower->said_count = 0;
	follower->pause_ms = FOLLOWER_PAUSE_MIN_MS;
}

/* ---- the loop -------------------------------------------------------------------------------------------- */

/* Until the pause is over, or somebody wants something. */
static void pause_a_while(struct follower *follower)
{
	int64_t until_ms = monotonic_ms() + follower->pause_ms;
	struct timespec until = { until_ms / 1000, (long)(until_ms % 1000) * 1000000 };
	pthread_mutex_lock(&follower->mutex);
	while (!atomic_load(&follower->stopping) && monotonic_ms() < until_ms)
		pthread_cond_timedwait(&follower->wake, &follower->mutex, &until);
	pthread_mutex_unlock(&follower->mutex);
	follower->pause_ms = 2 * follower->pause_ms < PAUSE_MAX_MS ? 2 * follower->pause_ms : PAUSE_MAX_MS;
}

static enum step take_order(struct follower *follower)
{
	if (atomic_exchange(&follower->rebuild, false)) {
		pthread_mutex_lock(&follower->mutex);
		diagnose_warning("follower: the database is rebuilt: %s", follower->why);
		pthread_mutex_unlock(&follower->mutex);
		follower->is_wrong = true;
	}
	return follower->is_wrong ? STEP_REBUILD : STEP_GO_ON;
}

static enum step run_round(struct follower *follower)
{
	store_check_file(follower);
	enum step step = store_open(follower);
	if (step == STEP_GO_ON)
		step = log_find(follower);
	if (step == STEP_GO_ON)
		step = take_order(follower);
	if (step == STEP_GO_ON)
		step = stream(follower);
	if (step == STEP_BEHIND || step == STEP_REBUILD)
		step = snapshot_load(follower, step == STEP_REBUILD);
	return step;
}

/* With the node's lock. */
static void follow(struct follower *follower)
{
	struct keeper *keeper = NULL;
	/* The keeper reads the database, if there is one; if not, it says so to the other members. */
	store_open(follower);
	enum pygmy_error error = keeper_create(follower->config, follower->state, follower->replica, follower, &keeper);
	if (error != PYGMY_OK) {
		follower_say(follower, "the keeper can't be started", error_text(error));
		store_close(follower);
		pause_a_while(follower);
		return;
	}
	diagnose_info("follower: this process follows the log for node %s", follower->config->node);
	while (!follower_must_leave(follower)) {
		if (run_round(follower) == STEP_PAUSE)
			pause_a_while(follower);
	}
	keeper_destroy(keeper);
	store_close(follower);
}

static void *run(void *context)
{
	struct follower *follower = context;
	while (!atomic_load(&follower->stopping)) {
		if (!node_state_refresh(follower->state)) {
			pause_a_while(follower);
		} else if (node_state_lock(follower->state, LOCK_WAIT_MS)) {
			follow(follower);
			node_state_unlock(follower->state);
		}
	}
	return NULL;
}

/* ---- orders ---------------------------------------------------------------------------------------------- */

static void wake_up(struct follower *follower)
{
	pthread_mutex_lock(&follower->mutex);
	pthread_cond_signal(&follower->wake);
	pthread_mutex_unlock(&follower->mutex);
	etcd_watch_interrupt(follower->watch);
}

void follower_drop_watch(struct follower *follower)
{
	atomic_store(&follower->drop_watch, true);
	wake_up(follower);
}

void follower_rebuild(struct follower *follower, const char *why)
{
	pthread_mutex_lock(&follower->mutex);
	snprintf(follower->why, sizeof follower->why, "%s", why);
	pthread_mutex_unlock(&follower->mutex);
	atomic_store(&follower->rebuild, true);
	wake_up(follower);
}

uint64_t follower_durable(const struct follower *follower)
{
	return atomic_load(&follower->durable);
}

/* ---- start and end ----------------------------------------------------------------------------------------- */

static void init_lock(struct follower *follower)
{
	pthread_condattr_t attributes;
	pthread_mutex_init(&follower->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&follower->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* The thread has ended or was never started. */
static void free_follower(struct follower *follower)
{
	etcd_watch_destroy(follower->watch);
	etcd_destroy(follower->etcd);
	writer_turn_close(follower->store.turn);
	arena_close(&follower->arena);
	pthread_cond_destroy(&follower->wake);
	pthread_mutex_destroy(&follower->mutex);
	free(follower);
}

enum pygmy_error follower_create(const struct cluster_config *config, struct node_state *state, struct replica *replica, struct follower **out)
{
	struct follower *follower = calloc(1, sizeof *follower);
	*out = NULL;
	if (follower == NULL)
		return PYGMY_OUT_OF_MEMORY;
	init_lock(follower);
	follower->config = config;
	follower->state = state;
	follower->replica = replica;
	follower->pause_ms = FOLLOWER_PAUSE_MIN_MS;
	arena_init(&follower->arena, WALK_BACK_BYTES);
	writer_turn_open(config->db_path, &follower->store.turn);
	if (!etcd_create(config->etcd, &config->tls, &follower->etcd) || !etcd_watch_create(&config->tls, &follower->watch)) {
		free_follower(follower);
		return PYGMY_INTERNAL;
	}
	if (pthread_create(&follower->thread, NULL, run, follower) != 0) {
		free_follower(follower);
		return PYGMY_OUT_OF_MEMORY;
	}
	*out = follower;
	return PYGMY_OK;
}

void follower_destroy(struct follower *follower)
{
	if (follower == NULL)
		return;
	atomic_store(&follower->stopping, true);
	wake_up(follower);
	pthread_join(follower->thread, NULL);
	free_follower(follower);
}
