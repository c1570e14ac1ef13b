/* frontend_metrics: see frontend_metrics.h. */
#include "nginx/frontend_metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "nginx/rotation_show.h"

struct page {
	char *text;
	size_t len;                   /* FRONTEND_METRICS_MAX_BYTES: it did not fit */
};

static const char *const OPERATIONS[FRONTEND_OPERATIONS] = { "lookup", "search", "buy", "other" };
static const char *const CACHES[FRONTEND_CACHES] = { "unasked", "hit_memory", "hit_disk", "miss", "bypass" };

__attribute__((format(printf, 2, 3))) static void put(struct page *page, const char *format, ...)
{
	size_t room = FRONTEND_METRICS_MAX_BYTES - page->len;
	va_list args;
	va_start(args, format);
	int len = vsnprintf(page->text + page->len, room, format, args);
	va_end(args);
	page->len = len < 0 || (size_t)len >= room ? FRONTEND_METRICS_MAX_BYTES : page->len + (size_t)len;
}

static void put_family(struct page *page, const char *name, const char *type, const char *help)
{
	put(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_value(struct page *page, const char *name, const char *type, const char *help, uint64_t value)
{
	put_family(page, name, type, help);
	put(page, "%s %" PRIu64 "\n", name, value);
}

/* ---- what was answered ------------------------------------------------------------------------ */

static void put_answers(struct page *page, const struct frontend_sums *sums)
{
	put_family(page, "pygmy_frontend_requests_total", "counter", "Requests answered, by operation and status.");
	for (int operation = 0; operation < FRONTEND_OPERATIONS; operation++)
		for (int code = 0; code <= frontend_code_count; code++) {
			uint64_t count = sums->answers[operation][code];
			if (count == 0)
				continue;
			put(page, "pygmy_frontend_requests_total{operation=\"%s\",code=\"", OPERATIONS[operation]);
			if (code < frontend_code_count)
				put(page, "%d\"} %" PRIu64 "\n", frontend_codes[code], count);
			else
				put(page, "other\"} %" PRIu64 "\n", count);
		}
	put_family(page, "pygmy_frontend_cache_requests_total", "counter",
		"Reads by what the cache did: hit_memory, hit_disk, miss, bypass (asked past it).");
	for (int operation = FRONTEND_LOOKUP; operation <= FRONTEND_SEARCH; operation++)
		for (int cache = FRONTEND_HIT_MEMORY; cache < FRONTEND_CACHES; cache++)
			put(page, "pygmy_frontend_cache_requests_total{operation=\"%s\",result=\"%s\"} %" PRIu64 "\n", OPERATIONS[operation],
				CACHES[cache], sums->caches[operation][cache]);
	put_family(page, "pygmy_frontend_upstream_failures_total", "counter",
		"Tries of a worker that failed: no connection, no answer in time, or a 5xx. The request may have been saved by the next one.");
	for (int operation = 0; operation < FRONTEND_BUY + 1; operation++)
		put(page, "pygmy_frontend_upstream_failures_total{operation=\"%s\"} %" PRIu64 "\n", OPERATIONS[operation],
			sums->upstream_failures[operation]);
}

static void put_rejections(struct page *page, const struct frontend_sums *sums)
{
	static const char *const REASONS[] = { "rate_limited", "overloaded", "client_connections", "connections" };
	put_family(page, "pygmy_frontend_rejected_total", "counter", "What was refused early: writes of a client that writes too often"
		" (rate_limited), requests that a worker had no time for (overloaded), connections past the limits of a client or of all.");
	for (int reason = 0; reason < FRONTEND_EVICTED; reason++)
		put(page, "pygmy_frontend_rejected_total{reason=\"%s\"} %" PRIu64 "\n", REASONS[reason], sums->rejections[reason]);
	put_value(page, "pygmy_frontend_idle_closed_total", "counter", "Idle connections of clients that made room for new ones.",
		sums->rejections[FRONTEND_EVICTED]);
}

static void put_times(struct page *page, const char *name, const char *help, const struct frontend_times times[FRONTEND_OPERATIONS])
{
	put_family(page, name, "histogram", help);
	for (int operation = 0; operation < FRONTEND_OPERATIONS; operation++) {
		const char *label = OPERATIONS[operation];
		uint64_t count = 0;
		for (int i = 0; i <= frontend_bound_count && times[operation].count > 0; i++) {
			count += times[operation].buckets[i];
			if (i < frontend_bound_count)
				put(page, "%s_bucket{operation=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, label, (double)frontend_bounds_us[i] / 1e6, count);
			else
				put(page, "%s_bucket{operation=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, label, count);
		}
		if (times[operation].count > 0)
			put(page, "%s_sum{operation=\"%s\"} %.6f\n%s_count{operation=\"%s\"} %" PRIu64 "\n", name, label,
				(double)times[operation].sum_us / 1e6, name, label, count);
	}
}

/* ---- the coherent cache ----------------------------------------------------------------------- */

static void put_coherence(struct page *page, const struct coherence_table *table, int64_t now_ms, int64_t lease_ms)
{
	struct coherence_status status;
	coherence_table_status(table, now_ms, lease_ms, &status);
	put_value(page, "pygmy_coherence_leased", "gauge", "1 while the cache may be believed.", status.leased ? 1 : 0);
	put_family(page, "pygmy_coherence_lease_left_seconds", "gauge", "How long the lease still lasts.");
	put(page, "pygmy_coherence_lease_left_seconds %.3f\n", (double)status.lease_left_ms / 1e3);
	put_value(page, "pygmy_coherence_position", "gauge", "Position in the log up to which changes are known.", status.position);
	put_value(page, "pygmy_coherence_floor", "gauge", "Position up to which everything counts as changed.", status.floor);
	put_value(page, "pygmy_coherence_era", "gauge", "Counts the logs that the table has learned from.", status.era);
	put_value(page, "pygmy_coherence_pushes_total", "counter", "Pushes of changes that were taken in.", status.pushes);
	put_value(page, "pygmy_coherence_renewals_total", "counter", "Leases renewed with the changes since the last one.", status.renewals);
	put_value(page, "pygmy_coherence_resets_total", "counter", "Leases renewed by a new floor: everything counts as changed.", status.resets);
	put_value(page, "pygmy_coherence_refused_total", "counter", "Pushes and answers that made no sense.", status.refused);
}

/* ---- the nodes -------------------------------------------------------------------------------- */

/* One that is known by its address only is called so. */
static void put_node(struct page *page, const char *name, const struct rotation_node *node, enum rotation_kind kind, uint64_t value)
{
	put(page, "%s{node=\"%s\",worker=\"%s\"} %" PRIu64 "\n", name, node->name[0] != '\0' ? node->name : node->workers[kind].place,
		rotation_kind_name(kind), value);
}

static void put_rotation(struct page *page, const struct rotation *rotation)
{
	static const char up[] = "pygmy_frontend_node_up", leaves[] = "pygmy_frontend_node_leaves_total";
	struct rotation_list list = { .count = 0 };
	rotation_look(rotation, &list);
	put_family(page, up, "gauge", "1 while the node's worker is in the rotation: it answers, and is ready.");
	for (uint32_t i = 0; i < list.count; i++)
		for (enum rotation_kind kind = 0; kind < ROTATION_KINDS; kind++)
			put_node(page, up, &list.nodes[i], kind, rotation_state(rotation, &list.nodes[i], kind) == ROTATION_IN ? 1 : 0);
	put_family(page, leaves, "counter", "How often the node's worker has left the rotation.");
	for (uint32_t i = 0; i < list.count; i++)
		for (enum rotation_kind kind = 0; kind < ROTATION_KINDS; kind++)
			put_node(page, leaves, &list.nodes[i], kind, rotation_leaves(rotation, &list.nodes[i], kind));
}

/* ---- nginx itself ----------------------------------------------------------------------------- */

static void put_connections(struct page *page, const struct frontend_connections *connections)
{
	const struct { const char *state; int64_t count; } STATES[] = {
		{ "active", connections->active }, { "reading", connections->reading }, { "writing", connections->writing },
		{ "waiting", connections->waiting },
	};
	if (connections->active < 0)
		return;
	put_family(page, "pygmy_frontend_connections", "gauge", "Connections of all of nginx: active is the sum of the others.");
	for (size_t i = 0; i < sizeof STATES / sizeof STATES[0]; i++)
		put(page, "pygmy_frontend_connections{state=\"%s\"} %" PRId64 "\n", STATES[i].state, STATES[i].count);
	put_value(page, "pygmy_frontend_connections_accepted_total", "counter", "Connections accepted.", (uint64_t)connections->accepted);
	put_value(page, "pygmy_frontend_connections_dropped_total", "counter", "Connections closed at once for want of resources.",
		(uint64_t)llabs(connections->accepted - connections->handled));
}

size_t frontend_metrics_write(const struct frontend_counters *counters, const struct coherence_table *table, int64_t now_ms, int64_t lease_ms,
	const struct rotation *rotation, const struct frontend_connections *connections, char text[FRONTEND_METRICS_MAX_BYTES])
{
	struct page page = { text, 0 };
	struct frontend_sums sums;
	frontend_counters_sum(counters, &sums);
	put_answers(&page, &sums);
	put_rejections(&page, &sums);
	put_times(&page, "pygmy_frontend_request_duration_seconds", "From the request's head to the answer's last byte.", sums.request);
	put_times(&page, "pygmy_frontend_upstream_duration_seconds", "From the request's head until a worker's answer came, retries included.",
		sums.upstream);
	put_coherence(&page, table, now_ms, lease_ms);
	if (rotation != NULL)
		put_rotation(&page, rotation);
	put_connections(&page, connections);
	put_value(&page, "pygmy_frontend_worker_starts_total", "counter", "Starts of nginx worker processes.", sums.worker_starts);
	put_family(&page, "process_start_time_seconds", "gauge", "Start of the process since the epoch.");
	put(&page, "process_start_time_seconds %.3f\n", (double)sums.since_ms / 1e3);
	return page.len == FRONTEND_METRICS_MAX_BYTES ? 0 : page.len;
}
