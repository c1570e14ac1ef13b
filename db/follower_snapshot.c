/*
 * follower_snapshot: builds the replica's database anew.
 *
 * The members whose heartbeats say that they are ready are asked for a snapshot, those that agree with most others first. It is checked in
 * a file of its own, and must be of the log that is in etcd now, before it takes the database's place. A wrong or damaged database of which
 * nobody has a copy is built from the log, if that still has its beginning; else it is kept, and all of this is tried again.
 */
#include "db/follower_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/limits.h"
#include "db/member.h"
#include "db/monotonic.h"
#include "db/snapshot.h"

struct peers {
	const char *own_name;
	int count;
	struct member members[MEMBERS_MAX];
};

/* ---- whom to ask --------------------------------------------------------------------------------------------- */

static void note_member(void *context, struct slice key, struct slice value, uint64_t lease)
{
	struct peers *peers = context;
	struct member member;
	(void)key;
	(void)lease;
	if (peers->count == MEMBERS_MAX || !member_parse(value, &member) || member.phase != NODE_READY || member.catalog_url[0] == '\0' ||
	    strcmp(member.name, peers->own_name) == 0)
		return;
	peers->members[peers->count++] = member;
}

/* Who agrees with most of the others comes first: it is right. Then who is furthest. */
static int compare_members(const void *a, const void *b)
{
	const struct member *first = a, *second = b;
	if (first->agreement_count != second->agreement_count)
		return first->agreement_count < second->agreement_count ? 1 : -1;
	return (first->applied < second->applied) - (first->applied > second->applied);
}

static bool find_peers(struct follower *follower, struct peers *peers)
{
	peers->own_name = follower->config->node;
	peers->count = 0;
	if (etcd_list(follower->etcd, CLUSTER_MEMBERS_PREFIX, monotonic_ms() + FOLLOWER_ETCD_MS, note_member, peers) != ETCD_OK)
		return false;
	qsort(peers->members, (size_t)peers->count, sizeof peers->members[0], compare_members);
	return peers->count > 0;
}

/* ---- one snapshot --------------------------------------------------------------------------------------------- */

/* A database that is right but behind is replaced by a newer one only; a wrong one by any. */
static bool is_useful(const struct follower *follower, const struct snapshot_info *info, bool is_wrong)
{
	return info->cluster_id == follower->log.cluster_id && info->create_revision == follower->log.create_revision &&
	       (is_wrong || info->index > follower->sequencer.applied_index);
}

/* Whether the file at path is a snapshot that may take the database's place. */
static bool fetch_from(struct follower *follower, const struct member *peer, const char *path, bool is_wrong)
{
	struct snapshot_info info;
	char why[SNAPSHOT_WHY_BYTES];
	enum pygmy_error error = snapshot_fetch(follower->config, peer->catalog_url, path, &follower->stopping);
	if (error != PYGMY_OK) {
		diagnose_warning("follower: no snapshot from member %s: %s", peer->name, error_text(error));
		return false;
	}
	error = snapshot_check(path, &info, why);
	if (error != PYGMY_OK) {
		diagnose_error("follower: the snapshot of member %s is not sound: %s", peer->name, why);
		return false;
	}
	bool useful = is_useful(follower, &info, is_wrong);
	diagnose_info("follower: a snapshot of member %s at entry %llu, %lld bytes%s", peer->name, (unsigned long long)info.index,
		      (long long)info.bytes, useful ? "" : ": not of the log in etcd, or not newer than what is here");
	return useful;
}

/* A damaged database can't be opened: it is emptied first. */
static enum pygmy_error install(struct follower *follower, const char *path, bool is_wrong)
{
	struct follower_store *store = &follower->store;
	enum pygmy_error error = PYGMY_OK;
	if (store->applier == NULL && is_wrong)
		error = applier_reset(follower->config->db_path);
	if (error == PYGMY_OK && store->applier == NULL)
		error = applier_open(follower->config->db_path, store->turn, &store->applier);
	return error == PYGMY_OK ? applier_install(store->applier, path) : error;
}

/* ---- without a peer ------------------------------------------------------------------------------------------- */

/* Whether a new database could follow the log from its first entry. */
static bool log_is_whole(struct follower *follower)
{
	struct etcd_value genesis;
	arena_reset(&follower->arena);
	return etcd_log_read(follower->etcd, CLUSTER_LOG_KEY, follower->log.create_revision, monotonic_ms() + FOLLOWER_ETCD_MS, &follower->arena,
			     &genesis) == ETCD_OK && genesis.position.version == 1;
}

static enum step begin_anew(struct follower *follower)
{
	store_close(follower);
	diagnose_warning("follower: the database is built anew from the log");
	enum pygmy_error error = applier_reset(follower->config->db_path);
	return error == PYGMY_OK ? STEP_AGAIN : store_fails(follower, error);
}

/* ---- all together --------------------------------------------------------------------------------------------- */

static enum step install_one_of(struct follower *follower, const struct peers *peers, const char *path, bool is_wrong)
{
	for (int i = 0; i < peers->count && !follower_must_leave(follower); i++) {
		unlink(path);
		if (!fetch_from(follower, &peers->members[i], path, is_wrong))
			continue;
		enum pygmy_error error = install(follower, path, is_wrong);
		unlink(path);
		if (error != PYGMY_OK)
			return store_fails(follower, error);
		store_close(follower);
		return STEP_AGAIN;
	}
	unlink(path);
	return STEP_PAUSE;
}

/* Which log a snapshot must be of. */
static bool ask_log(struct follower *follower)
{
	return etcd_log_position(follower->etcd, CLUSTER_LOG_KEY, monotonic_ms() + FOLLOWER_ETCD_MS, &follower->log) == ETCD_OK &&
	       follower->log.version > 0;
}

enum step snapshot_load(struct follower *follower, bool is_wrong)
{
	char path[PATH_MAX];
	struct peers *peers = malloc(sizeof *peers);
	enum step step = STEP_PAUSE;
	if (peers == NULL || !ask_log(follower)) {
		free(peers);
		return STEP_PAUSE;
	}
	int len = snprintf(path, sizeof path, "%s/incoming.snapshot", follower->config->state_dir);
	node_state_set_phase(follower->state, NODE_LOADING_SNAPSHOT);
	node_state_object(follower->state, NODE_READY);
	if (len > 0 && len < (int)sizeof path && find_peers(follower, peers))
		step = install_one_of(follower, peers, path, is_wrong);
	free(peers);
	if (step == STEP_PAUSE && is_wrong && !follower_must_leave(follower) && log_is_whole(follower))
		step = begin_anew(follower);
	if (step == STEP_PAUSE)
		follower_say(follower, "the database must be replaced, and no member has a snapshot to give: trying again", NULL);
	else if (step == STEP_AGAIN)
		follower->is_wrong = false;
	return step;
}
