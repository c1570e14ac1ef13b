/*
 * keeper_pulse: this member's heartbeat, and those of the others.
 *
 * The record is put when it has changed, at most twice a second, under a lease that is kept as long as the keeper lives: the
 * record of a node that died is gone KEEPER_LEASE_S later. The others' records are read from whichever endpoint answers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "db/diagnostics.h"
#include "db/keeper_internal.h"
#include "db/monotonic.h"

#define PREFIX SLICE_LITERAL(CLUSTER_MEMBERS_PREFIX)

/* ---- what the database says ------------------------------------------------------------------------------ */

/* Whether the database does not hold any more what was published of it: it was rebuilt. */
static bool is_replaced(struct keeper_pulse *pulse, struct reader *reader)
{
	struct reader_entry entry;
	if (pulse->put_index == 0)
		return false;
	bool same = reader_entry(reader, pulse->put_index, &entry) == PYGMY_OK && memcmp(entry.chain, pulse->put_chain, CHAIN_BYTES) == 0;
	if (!same)
		pulse->put_index = 0;
	return !same;
}

/* The own position and the configured members, out of one state of the database. */
static void read_database(struct keeper *keeper, struct member *own)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	struct reader *reader;
	struct reader_entry entry;
	if (monotonic_ms() < pulse->database_retry_ms)
		return;
	if (!keeper_read(keeper, &reader)) {
		pulse->database_retry_ms = monotonic_ms() + KEEPER_DATABASE_RETRY_MS;
		return;
	}
	pulse->applied = reader_revision(reader);
	if (pulse->applied > 0 && reader_entry(reader, pulse->applied, &entry) == PYGMY_OK) {
		own->applied = pulse->applied;
		memcpy(own->chain, entry.chain, CHAIN_BYTES);
	}
	if (is_replaced(pulse, reader)) {
		pulse->era++;
		pulse->rebuild_at_ms = 0;
		comparison_init(&pulse->comparison);
	}
	pulse->has_configured = pulse->applied > 0 && reader_members(reader, pulse->configured, &pulse->configured_count) == PYGMY_OK;
	reader_end(reader);
}

static void describe_self(struct keeper *keeper, struct member *own)
{
	const struct cluster_config *config = keeper->config;
	struct node_view view;
	memset(own, 0, sizeof *own);
	node_state_view(keeper->state, &view);
	snprintf(own->name, sizeof own->name, "%s", config->node);
	snprintf(own->version, sizeof own->version, "%s", config->version);
	snprintf(own->catalog_url, sizeof own->catalog_url, "%s", config->catalog_url);
	own->phase = view.phase;
	own->since_ms = keeper->pulse.since_ms;
	own->durable = follower_durable(keeper->follower);
	read_database(keeper, own);
	own->era = keeper->pulse.era;
	own->agreement_count = comparison_agreements(&keeper->pulse.comparison, own->agreements);
}

/* ---- the own record -------------------------------------------------------------------------------------- */

/* Whether there is a lease that lives. */
static bool keep_lease(struct keeper *keeper)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	int64_t now_ms = monotonic_ms();
	if (pulse->lease != 0 && now_ms - pulse->lease_kept_ms < KEEPER_LEASE_RENEW_MS)
		return true;
	enum etcd_outcome outcome = pulse->lease == 0 ? ETCD_NOT_FOUND :
		etcd_lease_keep(pulse->etcd, pulse->lease, now_ms + KEEPER_CALL_MS);
	if (outcome == ETCD_NOT_FOUND) {
		pulse->lease = 0;
		pulse->text_len = 0;
		outcome = etcd_lease_grant(pulse->etcd, KEEPER_LEASE_S, monotonic_ms() + KEEPER_CALL_MS, &pulse->lease);
	}
	if (outcome == ETCD_NO_SPACE)
		keeper_note_no_space(keeper);
	if (outcome == ETCD_OK)
		pulse->lease_kept_ms = now_ms;
	return outcome == ETCD_OK;
}

/* What others may have seen of us, also when the put was not answered. */
static void remember_put(struct keeper_pulse *pulse, const struct member *own)
{
	pulse->put_phase = own->phase;
	pulse->put_era = own->era;
	pulse->put_index = own->applied;
	memcpy(pulse->put_chain, own->chain, CHAIN_BYTES);
}

static void put_self(struct keeper *keeper, const struct member *own)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	char key[sizeof CLUSTER_MEMBERS_PREFIX + NODE_NAME_MAX_BYTES], text[MEMBER_TEXT_MAX_BYTES];
	size_t len = member_write(own, text, sizeof text);
	int64_t now_ms = monotonic_ms();
	if (slice_equal((struct slice){ text, len }, (struct slice){ pulse->text, pulse->text_len }) || len == 0)
		return;
	bool urgent = own->phase != pulse->put_phase || own->era != pulse->put_era || pulse->text_len == 0;
	if (urgent ? now_ms - pulse->put_before_ms < 2 * KEEPER_PUT_MS : now_ms - pulse->put_ms < KEEPER_PUT_MS)
		return;
	snprintf(key, sizeof key, CLUSTER_MEMBERS_PREFIX "%s", own->name);
	enum etcd_outcome outcome = etcd_put(pulse->etcd, key, (struct slice){ text, len }, pulse->lease, now_ms + KEEPER_CALL_MS);
	pulse->put_before_ms = pulse->put_ms;
	pulse->put_ms = now_ms;
	pulse->text_len = outcome == ETCD_OK ? len : 0;
	memcpy(pulse->text, text, len);
	remember_put(pulse, own);
	if (outcome == ETCD_NO_SPACE)
		keeper_note_no_space(keeper);
	if (outcome == ETCD_NOT_FOUND)
		pulse->lease = 0;
}

/* ---- the others' records --------------------------------------------------------------------------------- */

static void take_record(void *context, struct slice key, struct slice value, uint64_t lease)
{
	struct keeper *keeper = context;
	struct keeper_pulse *pulse = &keeper->pulse;
	struct member member;
	(void)lease;
	if (pulse->live_count == ROLL_MAX || !member_parse(value, &member))
		return;
	/* A record tells about its own name only. */
	if (!slice_equal((struct slice){ key.ptr + PREFIX.len, key.len - PREFIX.len }, slice_of(member.name)))
		return;
	if (strcmp(member.name, keeper->config->node) == 0)
		pulse->listed_self = true;
	pulse->live[pulse->live_count++] = member;
}

static void write_event(void *context, enum roll_event event, const char *name, const struct member *member)
{
	char since[32] = "";
	if (member == NULL) {
		keeper_say(context, roll_event_text(event), name, "%s", "");
		return;
	}
	struct tm utc;
	time_t seconds = (time_t)(member->since_ms / 1000);
	if (gmtime_r(&seconds, &utc) == NULL || strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		since[0] = '\0';
	keeper_say(context, roll_event_text(event), name, "phase=%s index=%" PRIu64 " up_since=%s version=%s url=%s",
		   node_phase_code(member->phase), member->applied, since, member->version, member->catalog_url);
}

static void read_others(struct keeper *keeper)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	struct node_view view;
	pulse->live_count = 0;
	pulse->listed_self = false;
	enum etcd_outcome outcome = etcd_list(pulse->etcd, CLUSTER_MEMBERS_PREFIX, monotonic_ms() + KEEPER_CALL_MS, take_record, keeper);
	pulse->has_list = outcome == ETCD_OK;
	if (!pulse->has_list)
		return;
	/* Somebody deleted it, or the lease ran out unnoticed. */
	if (!pulse->listed_self && monotonic_ms() - pulse->put_ms >= KEEPER_PULSE_MS)
		pulse->text_len = 0;
	node_state_view(keeper->state, &view);
	roll_take_live(&pulse->roll, pulse->live, pulse->live_count, view.quorum, write_event, keeper);
}

static void tell_care(struct keeper *keeper)
{
	const struct keeper_pulse *pulse = &keeper->pulse;
	struct keeper_knowledge *knowledge = &keeper->knowledge;
	pthread_mutex_lock(&keeper->mutex);
	memcpy(knowledge->live, pulse->live, pulse->live_count * sizeof pulse->live[0]);
	knowledge->live_count = pulse->live_count;
	memcpy(knowledge->configured, pulse->configured, pulse->configured_count * sizeof pulse->configured[0]);
	knowledge->configured_count = pulse->has_configured ? pulse->configured_count : 0;
	pthread_mutex_unlock(&keeper->mutex);
}

int64_t keeper_pulse_step(struct keeper *keeper)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	struct member own;
	int64_t began_ms = monotonic_ms();
	describe_self(keeper, &own);
	if (keep_lease(keeper))
		put_self(keeper, &own);
	read_others(keeper);
	if (pulse->has_configured)
		roll_take_configured(&pulse->roll, pulse->configured, pulse->configured_count, write_event, keeper);
	if (pulse->has_list)
		tell_care(keeper);
	keeper_judge(keeper);
	return began_ms + KEEPER_PULSE_MS;
}

void keeper_pulse_end(struct keeper *keeper)
{
	struct keeper_pulse *pulse = &keeper->pulse;
	if (pulse->lease == 0)
		return;
	enum etcd_outcome outcome = etcd_lease_revoke(pulse->etcd, pulse->lease, monotonic_ms() + ETCD_ATTEMPT_MS);
	if (outcome != ETCD_OK && outcome != ETCD_NOT_FOUND)
		diagnose_warning("keeper: the others will see this member for %d more seconds: %s", KEEPER_LEASE_S, etcd_last_error(pulse->etcd));
	pulse->lease = 0;
}
