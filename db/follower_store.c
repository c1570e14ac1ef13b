/*
 * follower_store: the database of the replica that follows: opening it, applying to it, and what its failures mean.
 *
 * A local failure never skips an entry: the position stays, and the entry is applied again later. A file that was deleted or replaced
 * while it is open is given up: whoever did that wants another one. What it leaves behind, its write-ahead log and their
 * index, would be taken for those of the new file, so they are removed before that is opened.
 */
#include "db/follower_internal.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/limits.h"
#include "db/monotonic.h"

#define LONG_WAY_ENTRIES 1000         /* so far behind is worth a word in the log */
#define PROGRESS_MS 5000
#define REBUILD_PAUSE_MS 10000

/* ---- the files ------------------------------------------------------------------------------------------- */

static struct file_identity identify(const char *db_path, const char *suffix)
{
	char path[PATH_MAX];
	struct stat status;
	int len = snprintf(path, sizeof path, "%s%s", db_path, suffix);
	if (len < 0 || len >= (int)sizeof path || lstat(path, &status) != 0)
		return (struct file_identity){ 0 };
	return (struct file_identity){ status.st_dev, status.st_ino };
}

static bool is_same_file(struct file_identity a, struct file_identity b)
{
	return a.inode != 0 && a.inode == b.inode && a.device == b.device;
}

static void remove_left_behind(const char *db_path, const char *suffix, struct file_identity old)
{
	char path[PATH_MAX];
	if (!is_same_file(identify(db_path, suffix), old))
		return;
	snprintf(path, sizeof path, "%s%s", db_path, suffix);
	if (unlink(path) != 0)
		diagnose_warning("follower: can't remove %s", path);
}

void store_check_file(struct follower *follower)
{
	struct follower_store *store = &follower->store;
	const char *path = follower->config->db_path;
	follower->checked_ms = monotonic_ms();
	if (store->applier == NULL)
		return;
	if (!database_has_moved(applier_database(store->applier))) {
		store->wal = identify(path, "-wal");
		store->shm = identify(path, "-shm");
		return;
	}
	diagnose_warning("follower: the database file %s was deleted or replaced: it is opened again", path);
	store_close(follower);
	remove_left_behind(path, "-wal", store->wal);
	remove_left_behind(path, "-shm", store->shm);
}

/* ---- opening and closing ----------------------------------------------------------------------------------- */

/* What everybody is told about the database that is open now. */
static void publish(struct follower *follower)
{
	const struct applier_log *log = applier_log(follower->store.applier);
	uint64_t index = applier_position(follower->store.applier)->index;
	follower->sequencer = (struct sequencer){ .cluster_id = log->cluster_id,
						  .create_revision = log->create_revision,
						  .base_index = log->base_index,
						  .applied_index = index,
						  .mod_revision = log->mod_revision };
	node_state_set_log(follower->state, log->cluster_id, log->create_revision, log->base_index);
	node_state_set_applied(follower->state, index);
	checkpointer_set_applied(follower->store.checkpointer, index);
	atomic_store(&follower->durable, checkpointer_durable(follower->store.checkpointer));
}

enum step store_open(struct follower *follower)
{
	struct follower_store *store = &follower->store;
	const char *path = follower->config->db_path;
	if (store->applier != NULL) {
		publish(follower);    /* a commit that failed may have happened */
		return STEP_GO_ON;
	}
	enum pygmy_error error = applier_open(path, store->turn, &store->applier);
	if (error != PYGMY_OK)
		return store_fails(follower, error);
	store->wal = identify(path, "-wal");
	store->shm = identify(path, "-shm");
	error = checkpointer_create(path, applier_database(store->applier), store->turn, &store->checkpointer);
	if (error != PYGMY_OK)
		return store_fails(follower, error);
	publish(follower);
	return STEP_GO_ON;
}

void store_close(struct follower *follower)
{
	struct follower_store *store = &follower->store;
	atomic_store(&follower->durable, 0);
	checkpointer_destroy(store->checkpointer);
	applier_close(store->applier);
	store->checkpointer = NULL;
	store->applier = NULL;
}

/* ---- failures ---------------------------------------------------------------------------------------------- */

/*
 * An entry that the database refuses twice, for no reason that lies in disk or memory, meets a state in which it breaks a constraint: that
 * state is wrong. (If it is the program that is wrong, rebuilding changes nothing, so it is not done again and again.)
 */
static bool is_refused_again(struct follower *follower, enum pygmy_error error)
{
	struct follower_store *store = &follower->store;
	uint64_t index = follower->sequencer.applied_index + 1;
	int64_t now_ms = monotonic_ms();
	bool again = store->refused_index == index;
	if (error != PYGMY_INTERNAL)
		return false;
	store->refused_index = index;
	if (!again || now_ms < store->rebuilt_ms + REBUILD_PAUSE_MS)
		return false;
	store->rebuilt_ms = now_ms;
	return true;
}

enum step store_fails(struct follower *follower, enum pygmy_error error)
{
	bool has_moved = follower->store.applier != NULL && database_has_moved(applier_database(follower->store.applier));
	if (error == PYGMY_BUSY)
		return STEP_PAUSE;
	if (has_moved) {
		store_check_file(follower);
		return STEP_AGAIN;
	}
	store_close(follower);
	if (is_refused_again(follower, error)) {
		diagnose_error("follower: the database refuses entry %llu: it is rebuilt", (unsigned long long)follower->store.refused_index);
		follower->is_wrong = true;
		return STEP_AGAIN;
	}
	if (error == PYGMY_STORAGE_CORRUPT) {
		follower_say(follower, "the database is damaged, and is rebuilt", follower->config->db_path);
		return STEP_REBUILD;
	}
	follower_say(follower, "the database can't be written", error_text(error));
	follower->store.failed = true;
	node_state_set_phase(follower->state, error == PYGMY_INCOMPATIBLE ? NODE_INCOMPATIBLE : NODE_STORAGE_FAILED);
	return STEP_PAUSE;
}

/* ---- applying ---------------------------------------------------------------------------------------------- */

static void tell_progress(struct follower *follower)
{
	struct node_view view;
	int64_t now_ms = monotonic_ms();
	node_state_view(follower->state, &view);
	uint64_t left = view.end > view.applied ? view.end - view.applied : 0;
	if (!follower->catch_up.active && left >= LONG_WAY_ENTRIES) {
		follower->catch_up.active = true;
		follower->catch_up.began_ms = follower->catch_up.said_ms = now_ms;
		follower->catch_up.from = view.applied;
		diagnose_info("follower: %llu entries behind", (unsigned long long)left);
	} else if (follower->catch_up.active && left == 0) {
		follower->catch_up.active = false;
		diagnose_info("follower: caught up: %llu entries in %lld ms", (unsigned long long)(view.applied - follower->catch_up.from),
			      (long long)(now_ms - follower->catch_up.began_ms));
	} else if (follower->catch_up.active && now_ms >= follower->catch_up.said_ms + PROGRESS_MS) {
		follower->catch_up.said_ms = now_ms;
		diagnose_info("follower: at entry %llu, %llu are left", (unsigned long long)view.applied, (unsigned long long)left);
	}
}

enum step store_apply(struct follower *follower, const struct etcd_value *values, size_t count)
{
	if (count == 0)
		return STEP_GO_ON;
	enum pygmy_error error = applier_apply(follower->store.applier, values, count, NULL, NULL);
	if (error != PYGMY_OK)
		return store_fails(follower, error);
	for (size_t i = 0; i < count; i++)
		sequencer_advance(&follower->sequencer, &values[i].position);
	uint64_t index = follower->sequencer.applied_index;
	checkpointer_set_applied(follower->store.checkpointer, index);
	atomic_store(&follower->durable, checkpointer_durable(follower->store.checkpointer));
	node_state_set_applied(follower->state, index);
	if (follower->store.failed) {
		follower->store.failed = false;
		node_state_set_phase(follower->state, NODE_CATCHING_UP);
	}
	tell_progress(follower);
	return STEP_GO_ON;
}
