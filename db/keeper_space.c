/*
 * keeper_space: cures etcd of "database space exceeded", in which it takes no more writes.
 *
 * Each round compacts behind a smaller margin, defragments the members one after the other, and then takes back the alarm of each
 * member that has one. Rounds are repeated, with growing pauses, until no alarm is left.
 *
 * One node does it at a time: the live one with the smallest name. (A lock with a lease can't be had: etcd refuses puts and
 * leases in this state, while those that it has live on, and with them the heartbeats. Nodes that take each other for dead may do it at
 * once; all defragment in one order, and etcd lets nobody defragment a member that is being defragmented.)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/diagnostics.h"
#include "db/keeper_internal.h"
#include "db/monotonic.h"

#define ALARMS_MAX (2 * ETCD_ENDPOINTS_MAX)
#define PAUSE_MIN_MS 1000

static bool is_first_alive(const struct keeper *keeper)
{
	const struct keeper_knowledge *known = &keeper->care.known;
	for (size_t i = 0; i < known->live_count; i++)
		if (strcmp(known->live[i].name, keeper->config->node) < 0)
			return false;
	return true;
}

/* The listed alarms of this kind. -1: not known. */
static int read_alarms(struct keeper *keeper, struct etcd_alarm alarms[ALARMS_MAX])
{
	struct etcd_alarm all[ALARMS_MAX];
	int all_count, count = 0;
	if (etcd_alarms(keeper->care.etcd, monotonic_ms() + KEEPER_CALL_MS, all, ALARMS_MAX, &all_count) != ETCD_OK)
		return -1;
	for (int i = 0; i < all_count; i++) {
		if (all[i].type == ETCD_ALARM_NO_SPACE)
			alarms[count++] = all[i];
		else
			diagnose_error("keeper: etcd says that the data of its member %" PRIx64 " is corrupt; a person must look after it", all[i].member_id);
	}
	return count;
}

/* ---- one round ----------------------------------------------------------------------------------------- */

static void compact(struct keeper *keeper)
{
	static const struct compaction_margin margin = { COMPACTION_SHORT_MARGIN_ENTRIES, COMPACTION_SHORT_MARGIN_BYTES };
	struct keeper_care *care = &keeper->care;
	uint64_t revision, index = keeper_compaction_index(keeper, margin, &revision);
	if (index == 0) {
		diagnose_warning("keeper: the log can't be compacted: no majority of the members is known to have anything durably");
		return;
	}
	enum etcd_outcome outcome = etcd_compact(care->etcd, revision, monotonic_ms() + KEEPER_CALL_MS);
	diagnose_warning("keeper: compacted the log behind index %" PRIu64 ": %s", index, etcd_outcome_text(outcome));
	if (outcome == ETCD_OK)
		care->compacted_index = index;
}

struct endpoint_order {
	const char *url;
	int number;
};

static int compare_urls(const void *a, const void *b)
{
	return strcmp(((const struct endpoint_order *)a)->url, ((const struct endpoint_order *)b)->url);
}

/* All nodes know the same endpoints, each its own first: this order is the same for all. */
static int sort_endpoints(const struct etcd *etcd, struct endpoint_order order[ETCD_ENDPOINTS_MAX])
{
	int count = etcd_endpoint_count(etcd);
	for (int i = 0; i < count; i++)
		order[i] = (struct endpoint_order){ etcd_endpoint(etcd, i), i };
	qsort(order, (size_t)count, sizeof order[0], compare_urls);
	return count;
}

/* False: it may still be running. */
static bool defragment(struct etcd *etcd, const struct endpoint_order *endpoint)
{
	struct etcd_status before = { 0 }, after = { 0 };
	if (etcd_status(etcd, endpoint->number, monotonic_ms() + ETCD_ATTEMPT_MS, &before) != ETCD_OK) {
		diagnose_warning("keeper: etcd at %s was not defragmented: %s", endpoint->url, etcd_last_error(etcd));
		return true;
	}
	enum etcd_outcome outcome = etcd_defragment(etcd, endpoint->number, monotonic_ms() + KEEPER_DEFRAGMENT_MS);
	if (outcome != ETCD_OK) {
		diagnose_warning("keeper: etcd at %s was not defragmented, or not in time: %s", endpoint->url, etcd_last_error(etcd));
		return false;
	}
	etcd_status(etcd, endpoint->number, monotonic_ms() + ETCD_ATTEMPT_MS, &after);
	diagnose_warning("keeper: defragmented etcd at %s: from %" PRIu64 " to %" PRIu64 " bytes", endpoint->url, before.db_bytes, after.db_bytes);
	return true;
}

static bool is_stopping(struct keeper *keeper)
{
	pthread_mutex_lock(&keeper->mutex);
	bool stopping = keeper->stopping;
	pthread_mutex_unlock(&keeper->mutex);
	return stopping;
}

/* One after the other, from where the last round ended. False: the round is over, two members must not be blocked at once. */
static bool defragment_all(struct keeper *keeper)
{
	struct keeper_care *care = &keeper->care;
	struct endpoint_order order[ETCD_ENDPOINTS_MAX];
	int count = sort_endpoints(care->etcd, order);
	for (; care->cure_next < count; care->cure_next++) {
		if (is_stopping(keeper))
			return false;
		if (!defragment(care->etcd, &order[care->cure_next])) {
			care->cure_next++;
			return false;
		}
	}
	care->cure_next = 0;
	return true;
}

static void disarm(struct keeper *keeper, const struct etcd_alarm *alarms, int count)
{
	struct etcd *etcd = keeper->care.etcd;
	for (int i = 0; i < count; i++) {
		enum etcd_outcome outcome = etcd_disarm(etcd, &alarms[i], monotonic_ms() + KEEPER_CALL_MS);
		diagnose_warning("keeper: took back the alarm of etcd's member %" PRIx64 ": %s", alarms[i].member_id,
				 outcome == ETCD_OK ? "done" : etcd_last_error(etcd));
	}
}

/* ---- from the first alarm to the last -------------------------------------------------------------------- */

static void end_cure(struct keeper *keeper)
{
	struct keeper_care *care = &keeper->care;
	if (care->cure_rounds > 0)
		keeper_say(keeper, "space back", keeper->config->node, "etcd takes writes again, after %d rounds", care->cure_rounds);
	care->cure_rounds = care->cure_next = 0;
	pthread_mutex_lock(&keeper->mutex);
	keeper->knowledge.no_space = false;
	pthread_mutex_unlock(&keeper->mutex);
}

/* Doubled also over the end of a cure that did not last. */
static int64_t next_pause_ms(const struct keeper_care *care)
{
	if (care->cure_pause_ms == 0 || monotonic_ms() - care->cure_at_ms > KEEPER_CURE_PAUSE_MAX_MS)
		return PAUSE_MIN_MS;
	return 2 * care->cure_pause_ms < KEEPER_CURE_PAUSE_MAX_MS ? 2 * care->cure_pause_ms : KEEPER_CURE_PAUSE_MAX_MS;
}

static void run_round(struct keeper *keeper, const struct etcd_alarm *alarms, int count)
{
	struct keeper_care *care = &keeper->care;
	if (care->cure_rounds++ == 0)
		keeper_say(keeper, "space short", keeper->config->node, "etcd has no space left; alarms of %d members; this node sees to it", count);
	compact(keeper);
	if (defragment_all(keeper))
		disarm(keeper, alarms, count);
	care->cure_pause_ms = next_pause_ms(care);
	care->cure_at_ms = monotonic_ms() + care->cure_pause_ms;
}

void keeper_look_after_space(struct keeper *keeper)
{
	struct keeper_care *care = &keeper->care;
	struct etcd_alarm alarms[ALARMS_MAX];
	int64_t now_ms = monotonic_ms();
	bool is_due = care->known.no_space || care->cure_rounds > 0 || now_ms - care->alarms_ms >= KEEPER_ALARM_MS;
	if (!is_due || now_ms < care->cure_at_ms || !is_first_alive(keeper))
		return;
	care->alarms_ms = now_ms;
	int count = read_alarms(keeper, alarms);
	if (count > 0)
		run_round(keeper, alarms, count);
	else if (count == 0)
		end_cure(keeper);
}
