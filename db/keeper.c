/* keeper: the threads, what they share, and heartbeat.log. See keeper.h and keeper_internal.h. */
#include "db/keeper_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db/diagnostics.h"
#include "db/limits.h"
#include "db/monotonic.h"

#define STACK_BYTES ((size_t)512 * 1024)

void keeper_say(struct keeper *keeper, const char *event, const char *name, const char *format, ...)
{
	char details[256];
	va_list args;
	va_start(args, format);
	vsnprintf(details, sizeof details, format, args);
	va_end(args);
	diagnose_info("member %s %s%s%s", name, event, details[0] == '\0' ? "" : ": ", details);
	if (keeper->has_log)
		line_log_write(&keeper->log, wallclock_ms(), "%s %s%s%s", event, name, details[0] == '\0' ? "" : " ", details);
}

bool keeper_read(struct keeper *keeper, struct reader **reader)
{
	return reader_pool_begin(keeper->readers, 0, reader) == PYGMY_OK;
}

bool keeper_is_configured(const struct configured_member *configured, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(configured[i].name, name) == 0)
			return true;
	return false;
}

void keeper_note_no_space(struct keeper *keeper)
{
	pthread_mutex_lock(&keeper->mutex);
	keeper->knowledge.no_space = true;
	pthread_mutex_unlock(&keeper->mutex);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

/* Waits until due_ms. False: it is time to end. */
static bool wait_until(struct keeper *keeper, int64_t due_ms)
{
	struct timespec until = { due_ms / 1000, (long)(due_ms % 1000) * 1000000 };
	pthread_mutex_lock(&keeper->mutex);
	while (!keeper->stopping && monotonic_ms() < due_ms)
		pthread_cond_timedwait(&keeper->wake, &keeper->mutex, &until);
	bool goes_on = !keeper->stopping;
	pthread_mutex_unlock(&keeper->mutex);
	return goes_on;
}

static void *run_position(void *context)
{
	while (wait_until(context, keeper_position_step(context)))
		continue;
	return NULL;
}

static void *run_pulse(void *context)
{
	while (wait_until(context, keeper_pulse_step(context)))
		continue;
	keeper_pulse_end(context);
	return NULL;
}

static void *run_care(void *context)
{
	while (wait_until(context, keeper_care_step(context)))
		continue;
	return NULL;
}

static bool start_threads(struct keeper *keeper)
{
	void *(*const runs[])(void *) = { run_position, run_pulse, run_care };
	pthread_attr_t attributes;
	bool good = true;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (int i = 0; good && i < 3; i++) {
		good = pthread_create(&keeper->threads[i], &attributes, runs[i], keeper) == 0;
		keeper->thread_count += good;
	}
	pthread_attr_destroy(&attributes);
	return good;
}

static void init_lock(struct keeper *keeper)
{
	pthread_condattr_t attributes;
	pthread_mutex_init(&keeper->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&keeper->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void open_log(struct keeper *keeper)
{
	char path[PATH_MAX];
	const char *folder = keeper->config->log_dir;
	int len = folder == NULL || folder[0] == '\0' ? 0 : snprintf(path, sizeof path, "%s/heartbeat.log", folder);
	keeper->has_log = len > 0 && len < (int)sizeof path;
	if (keeper->has_log)
		line_log_open(&keeper->log, "heartbeat log", path, LINE_LOG_MAX_BYTES);
}

static bool create_clients(struct keeper *keeper)
{
	const struct cluster_config *config = keeper->config;
	return etcd_create(config->etcd, &config->tls, &keeper->position.etcd) && etcd_create(config->etcd, &config->tls, &keeper->pulse.etcd) &&
	       etcd_create(config->etcd, &config->tls, &keeper->care.etcd);
}

/* What can't be published would make a member that nobody sees. */
static bool is_sound(const struct cluster_config *config)
{
	struct member member = { .phase = NODE_STARTING };
	char text[MEMBER_TEXT_MAX_BYTES];
	int name_len = snprintf(member.name, sizeof member.name, "%s", config->node);
	int version_len = snprintf(member.version, sizeof member.version, "%s", config->version);
	int url_len = snprintf(member.catalog_url, sizeof member.catalog_url, "%s", config->catalog_url);
	if (name_len < (int)sizeof member.name && version_len < (int)sizeof member.version && url_len < (int)sizeof member.catalog_url &&
	    member_write(&member, text, sizeof text) > 0)
		return true;
	diagnose_error("keeper: this node's name (%s), URL (%s) or version (%s) is not valid", config->node, config->catalog_url, config->version);
	return false;
}

static void init_times(struct keeper *keeper)
{
	int64_t now_ms = monotonic_ms();
	keeper->position.answered_at_ms = keeper->position.mark_at_ms = now_ms;
	keeper->position.answered = -1;
	keeper->pulse.put_ms = keeper->pulse.put_before_ms = now_ms - 2 * KEEPER_PUT_MS;
	keeper->pulse.since_ms = wallclock_ms();
	keeper->pulse.objection = NODE_STARTING;
	keeper->care.audited_ms = keeper->care.compacted_ms = keeper->care.alarms_ms = now_ms;
	roll_init(&keeper->pulse.roll);
	comparison_init(&keeper->pulse.comparison);
}

enum pygmy_error keeper_prepare(struct keeper *keeper)
{
	init_lock(keeper);
	init_times(keeper);
	open_log(keeper);
	return is_sound(keeper->config) && create_clients(keeper) ? PYGMY_OK : PYGMY_INTERNAL;
}

void keeper_release(struct keeper *keeper)
{
	etcd_destroy(keeper->position.etcd);
	etcd_destroy(keeper->pulse.etcd);
	etcd_destroy(keeper->care.etcd);
	reader_pool_destroy(keeper->readers);
	if (keeper->has_log)
		line_log_close(&keeper->log);
	pthread_cond_destroy(&keeper->wake);
	pthread_mutex_destroy(&keeper->mutex);
}

enum pygmy_error keeper_create(const struct cluster_config *config, struct node_state *state, struct replica *replica, struct follower *follower,
			       struct keeper **out)
{
	struct keeper *keeper = calloc(1, sizeof *keeper);
	*out = NULL;
	if (keeper == NULL)
		return PYGMY_OUT_OF_MEMORY;
	keeper->config = config;
	keeper->state = state;
	keeper->replica = replica;
	keeper->follower = follower;
	enum pygmy_error error = keeper_prepare(keeper);
	if (error == PYGMY_OK)
		error = reader_pool_create(config->db_path, 2, &keeper->readers);
	if (error == PYGMY_OK && !start_threads(keeper))
		error = PYGMY_OUT_OF_MEMORY;
	if (error != PYGMY_OK) {
		keeper_destroy(keeper);
		return error;
	}
	*out = keeper;
	return PYGMY_OK;
}

void keeper_destroy(struct keeper *keeper)
{
	if (keeper == NULL)
		return;
	pthread_mutex_lock(&keeper->mutex);
	keeper->stopping = true;
	pthread_cond_broadcast(&keeper->wake);
	pthread_mutex_unlock(&keeper->mutex);
	for (int i = 0; i < keeper->thread_count; i++)
		pthread_join(keeper->threads[i], NULL);
	keeper_release(keeper);
	free(keeper);
}
