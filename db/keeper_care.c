/*
 * keeper_care: audits and compaction.
 *
 * One member is on duty: of those that are alive, ready and configured the one with the smallest name. It asks for audits, so that there
 * is one at a time, and compacts first; the others compact when that has not been done for long, since anybody may.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "db/diagnostics.h"
#include "db/keeper_internal.h"
#include "db/limits.h"
#include "db/monotonic.h"

#define OFF_DUTY_STEPS 4
#define RANDOM_BYTES 16

static void learn(struct keeper *keeper)
{
	struct keeper_care *care = &keeper->care;
	const struct member *first = NULL;
	pthread_mutex_lock(&keeper->mutex);
	memcpy(&care->known, &keeper->knowledge, sizeof care->known);
	pthread_mutex_unlock(&keeper->mutex);
	for (size_t i = 0; i < care->known.live_count; i++) {
		const struct member *member = &care->known.live[i];
		if (member->phase == NODE_READY &&
		    keeper_is_configured(care->known.configured, care->known.configured_count, member->name) &&
		    (first == NULL || strcmp(member->name, first->name) < 0))
			first = member;
	}
	care->on_duty = first != NULL && strcmp(first->name, keeper->config->node) == 0;
}

/* ---- audits -------------------------------------------------------------------------------------------- */

/* In the form of the keys that nginx makes: nobody asks again with it. */
static void make_key(char *key, size_t size)
{
	unsigned char random[RANDOM_BYTES];
	char hex[2 * RANDOM_BYTES + 1];
	int64_t now_ms = wallclock_ms();
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(hex, sizeof hex, random, sizeof random);
	snprintf(key, size, "audit/0/%" PRId64 ".%03d-%s", now_ms / 1000, (int)(now_ms % 1000), hex);
}

static void audit(struct keeper *keeper, const struct node_view *view)
{
	struct keeper_care *care = &keeper->care;
	char key[SCOPED_KEY_MAX_BYTES];
	struct result result;
	int64_t now_ms = monotonic_ms();
	int64_t pause_ms = view->applied == care->audited_index ? KEEPER_AUDIT_IDLE_MS : KEEPER_AUDIT_MS;
	if (!care->on_duty || view->phase != NODE_READY || !view->quorum || now_ms - care->audited_ms < pause_ms)
		return;
	make_key(key, sizeof key);
	struct command command = { .type = COMMAND_AUDIT, .request_key = slice_of(key), .time_ms = wallclock_ms(),
				   .audit = { .rows = AUDIT_ROWS } };
	enum pygmy_error error = replica_propose(keeper->replica, &command, now_ms + CLUSTER_WRITE_MS, &result);
	care->audited_ms = now_ms;
	if (error == PYGMY_OK)
		care->audited_index = result.revision;
	else if (error == PYGMY_LOG_FULL)
		keeper_note_no_space(keeper);
	else
		diagnose_debug("keeper: no audit now: %s", error_code(error));
}

/* ---- compaction ---------------------------------------------------------------------------------------- */

static bool log_bytes(void *context, uint64_t index, uint64_t *bytes)
{
	struct reader_entry entry;
	if (reader_entry(context, index, &entry) != PYGMY_OK)
		return false;
	*bytes = entry.log_bytes;
	return true;
}

/* What a member holds that is not the log's true state (or is not known to be) is no copy to rely on. */
static bool holds_the_log(enum node_phase phase)
{
	return phase == NODE_READY || phase == NODE_CATCHING_UP;
}

/* The others' as they published it, the own as it is now. */
static uint64_t majority_durable(struct keeper *keeper)
{
	const struct keeper_knowledge *known = &keeper->care.known;
	uint64_t durable[MEMBERS_MAX];
	struct node_view own;
	size_t count = 0;
	node_state_view(keeper->state, &own);
	if (holds_the_log(own.phase) && keeper_is_configured(known->configured, known->configured_count, keeper->config->node))
		durable[count++] = follower_durable(keeper->follower);
	for (size_t i = 0; i < known->live_count && count < MEMBERS_MAX; i++) {
		const struct member *member = &known->live[i];
		if (strcmp(member->name, keeper->config->node) != 0 && holds_the_log(member->phase) &&
		    keeper_is_configured(known->configured, known->configured_count, member->name))
			durable[count++] = member->durable;
	}
	return compaction_majority_durable(durable, count, known->configured_count);
}

uint64_t keeper_compaction_index(struct keeper *keeper, struct compaction_margin margin, uint64_t *mod_revision)
{
	struct reader *reader;
	struct reader_entry entry;
	uint64_t majority = majority_durable(keeper);
	*mod_revision = 0;
	if (majority == 0 || !keeper_read(keeper, &reader))
		return 0;
	uint64_t index = compaction_index(majority, reader_revision(reader), margin, log_bytes, reader);
	if (index > 0 && reader_entry(reader, index, &entry) == PYGMY_OK)
		*mod_revision = entry.mod_revision;
	reader_end(reader);
	return *mod_revision == 0 ? 0 : index;
}

static void compact(struct keeper *keeper, const struct node_view *view)
{
	static const struct compaction_margin margin = { COMPACTION_MARGIN_ENTRIES, COMPACTION_MARGIN_BYTES };
	struct keeper_care *care = &keeper->care;
	uint64_t revision, step = care->on_duty ? COMPACTION_STEP_ENTRIES : OFF_DUTY_STEPS * COMPACTION_STEP_ENTRIES;
	int64_t now_ms = monotonic_ms();
	if (care->compacted_log != view->create_revision) {
		care->compacted_log = view->create_revision;
		care->compacted_index = view->base_index;
	}
	if (!view->quorum || view->applied < care->compacted_index + step || now_ms - care->compacted_ms < KEEPER_COMPACT_MS)
		return;
	care->compacted_ms = now_ms;
	uint64_t index = keeper_compaction_index(keeper, margin, &revision);
	if (index < care->compacted_index + step)
		return;
	enum etcd_outcome outcome = etcd_compact(care->etcd, revision, now_ms + KEEPER_CALL_MS);
	if (outcome == ETCD_OK || outcome == ETCD_COMPACTED)
		care->compacted_index = index;
	else
		diagnose_warning("keeper: the log was not compacted: %s", etcd_last_error(care->etcd));
	diagnose_debug("keeper: compacted the log behind index %" PRIu64 ": %s", index, etcd_outcome_text(outcome));
}

int64_t keeper_care_step(struct keeper *keeper)
{
	struct node_view view;
	int64_t began_ms = monotonic_ms();
	learn(keeper);
	node_state_view(keeper->state, &view);
	audit(keeper, &view);
	compact(keeper, &view);
	keeper_look_after_space(keeper);
	return began_ms + KEEPER_CARE_MS;
}
