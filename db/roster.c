/* roster: see roster.h. */
#include "db/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db/monotonic.h"

#define PREFIX SLICE_LITERAL(CLUSTER_MEMBERS_PREFIX)

void roster_init(struct roster *roster)
{
	pthread_condattr_t attributes;
	memset(roster, 0, sizeof *roster);
	pthread_mutex_init(&roster->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&roster->asked, &attributes);
	pthread_condattr_destroy(&attributes);
}

void roster_close(struct roster *roster)
{
	etcd_destroy(roster->etcd);
	free(roster->kept);
	free(roster->next);
	pthread_cond_destroy(&roster->asked);
	pthread_mutex_destroy(&roster->mutex);
	memset(roster, 0, sizeof *roster);
}

/* With the mutex: what the first look needs. */
static enum pygmy_error prepare(struct roster *roster, const struct cluster_config *config)
{
	if (roster->kept == NULL)
		roster->kept = calloc(1, sizeof *roster->kept);
	if (roster->next == NULL)
		roster->next = calloc(1, sizeof *roster->next);
	if (roster->kept == NULL || roster->next == NULL)
		return PYGMY_OUT_OF_MEMORY;
	if (roster->etcd == NULL && !etcd_create(config->etcd, &config->tls, &roster->etcd))
		return PYGMY_INTERNAL;
	return PYGMY_OK;
}

/* ---- asking, without the mutex ----------------------------------------------------------------------------- */

static void take_record(void *context, struct slice key, struct slice value, uint64_t lease)
{
	struct roster_view *view = context;
	struct member member;
	(void)lease;
	if (view->count < ROLL_MAX && member_parse(value, &member) &&
	    slice_equal((struct slice){ key.ptr + PREFIX.len, key.len - PREFIX.len }, slice_of(member.name)))
		view->members[view->count++] = member;
}

static void ask_heartbeats(struct roster *roster, int64_t now_ms)
{
	struct roster_view *next = roster->next;
	next->count = 0;
	if (etcd_list(roster->etcd, CLUSTER_MEMBERS_PREFIX, now_ms + ROSTER_ASK_MS, take_record, next) == ETCD_OK) {
		next->asked_at_ms = now_ms;
		return;
	}
	next->count = roster->kept->count;
	memcpy(next->members, roster->kept->members, sizeof next->members);
}

static void ask_endpoints(struct roster *roster, int64_t deadline_ms)
{
	struct roster_view *next = roster->next;
	next->endpoint_count = etcd_endpoint_count(roster->etcd);
	for (int i = 0; i < next->endpoint_count; i++) {
		struct roster_endpoint *endpoint = &next->endpoints[i];
		struct etcd_status status = { 0 };
		int64_t limit_ms = monotonic_ms() + ROSTER_STATUS_MS;
		limit_ms = limit_ms < deadline_ms ? limit_ms : deadline_ms;
		snprintf(endpoint->url, sizeof endpoint->url, "%s", etcd_endpoint(roster->etcd, i));
		endpoint->reachable = etcd_status(roster->etcd, i, limit_ms, &status) == ETCD_OK;
		endpoint->is_leader = endpoint->reachable && status.leader_id == status.member_id;
		endpoint->db_bytes = status.db_bytes;
		endpoint->db_used_bytes = status.db_used_bytes;
		snprintf(endpoint->version, sizeof endpoint->version, "%s", status.version);
	}
}

/* ---- sharing ------------------------------------------------------------------------------------------------ */

/* With the mutex, which is given back while etcd is asked. */
static void refresh(struct roster *roster)
{
	int64_t now_ms = monotonic_ms();
	bool status_too = roster->status_at_ms == 0 || now_ms - roster->status_at_ms >= ROSTER_STATUS_KEPT_MS;
	roster->asking = true;
	*roster->next = *roster->kept;
	pthread_mutex_unlock(&roster->mutex);
	ask_heartbeats(roster, now_ms);
	if (status_too)
		ask_endpoints(roster, now_ms + ROSTER_LOOK_MS);
	pthread_mutex_lock(&roster->mutex);
	struct roster_view *kept = roster->kept;
	roster->kept = roster->next;
	roster->next = kept;
	roster->tried_at_ms = now_ms;
	if (status_too)
		roster->status_at_ms = now_ms;
	roster->asking = false;
	pthread_cond_broadcast(&roster->asked);
}

enum pygmy_error roster_look(struct roster *roster, const struct cluster_config *config, struct roster_view *out)
{
	int64_t deadline_ms = monotonic_ms() + ROSTER_LOOK_MS;
	struct timespec deadline = { deadline_ms / 1000, (long)(deadline_ms % 1000) * 1000000 };
	pthread_mutex_lock(&roster->mutex);
	enum pygmy_error error = prepare(roster, config);
	if (error == PYGMY_OK && !roster->asking && monotonic_ms() - roster->tried_at_ms >= ROSTER_KEPT_MS)
		refresh(roster);
	int rc = 0;
	while (error == PYGMY_OK && roster->asking && rc == 0)
		rc = pthread_cond_timedwait(&roster->asked, &roster->mutex, &deadline);
	if (error == PYGMY_OK)
		*out = *roster->kept;
	pthread_mutex_unlock(&roster->mutex);
	return error;
}
