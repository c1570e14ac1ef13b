/*
 * snapshot_make: the copies that a worker makes of its database. See snapshot.h.
 *
 * SQLite's backup API copies page after page inside one read transaction, so the copy is of one moment, and writers go on meanwhile:
 * what they write stays in the WAL until the copy is done, which is why a copy has a time limit. The new file is written without
 * journal and syncs, and synced once at the end. (Measured with a million items and a million orders, 282 MB: 0.3 s, and 0.1 s for the
 * sync; VACUUM INTO takes five times as long.)
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/monotonic.h"
#include "db/snapshot_folder.h"
#include "db/snapshot_internal.h"

#define CHUNK_PAGES 1024              /* between two looks at the time */

/* What making a copy came to, for all who share it. */
struct copy {
	enum pygmy_error error;
	char path[PATH_MAX];          /* "": none */
	struct snapshot_info info;
};

struct snapshot_maker {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	atomic_bool stopping;
	bool making;
	int askers;
	uint64_t begun, ended;        /* copies */
	struct copy last;             /* the last one to end */
	struct copy whole;            /* the last good one; of whoever is making */
	char *db_path;
	char *folder;
};

/* ---- one copy ---------------------------------------------------------------------------------------- */

/* Page by page, while the source's read transaction is open. */
static enum pygmy_error copy_pages(struct snapshot_maker *maker, struct database *source, struct database *target)
{
	int64_t deadline_ms = monotonic_ms() + SNAPSHOT_MAKE_MS;
	enum pygmy_error error = PYGMY_OK;
	int rc = SQLITE_OK;
	sqlite3_backup *backup = sqlite3_backup_init(target->handle, "main", source->handle, "main");
	if (backup == NULL)
		return database_error(target, sqlite3_extended_errcode(target->handle), "snapshot");
	while (error == PYGMY_OK && rc == SQLITE_OK) {
		rc = sqlite3_backup_step(backup, CHUNK_PAGES);
		if (atomic_load(&maker->stopping))
			error = PYGMY_STOPPING;
		else if (rc == SQLITE_OK && monotonic_ms() >= deadline_ms)
			error = PYGMY_BUSY;
	}
	rc = sqlite3_backup_finish(backup);
	return error != PYGMY_OK ? error : database_error(target, rc, "snapshot");
}

/* Whether the last good copy shows the same as the database does now: then it is as good as a new one. */
static bool is_unchanged(const struct snapshot_maker *maker, const struct snapshot_info *now)
{
	const struct snapshot_info *then = &maker->whole.info;
	struct stat status;
	return maker->whole.path[0] != '\0' && then->index == now->index && memcmp(then->chain, now->chain, CHAIN_BYTES) == 0
		&& memcmp(then->log_id, now->log_id, sizeof now->log_id) == 0 && then->cluster_id == now->cluster_id
		&& then->create_revision == now->create_revision
		&& stat(maker->whole.path, &status) == 0 && status.st_size == then->bytes
		&& utimensat(AT_FDCWD, maker->whole.path, NULL, 0) == 0;      /* the newest again: not to be removed */
}

static int64_t database_bytes(struct database *database)
{
	static const char sql[] = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
	sqlite3_stmt *statement;
	int64_t bytes = 0;
	if (sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		bytes = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return bytes;
}

static enum pygmy_error fill(struct snapshot_maker *maker, struct database *source, const char *path)
{
	struct database target;
	enum pygmy_error error = database_open(&target, path, DATABASE_COPY);
	if (error != PYGMY_OK)
		return error;
	error = copy_pages(maker, source, &target);
	database_rollback(source);
	database_close(&target);
	return error;
}

/* The header that came along says that there is a WAL. Counting needs no transaction of the store's, so it is done in the copy. */
static enum pygmy_error complete(struct snapshot_part *part, struct snapshot_info *info)
{
	struct database copy;
	struct stat status;
	if (!snapshot_unmark_wal(part->fd) || fstat(part->fd, &status) != 0)
		return snapshot_file_error(errno, part->path, NULL);
	enum pygmy_error error = database_open(&copy, part->path, DATABASE_FOREIGN);
	if (error != PYGMY_OK)
		return error;
	error = snapshot_read_info(&copy, info);
	info->bytes = (int64_t)status.st_size;
	database_close(&copy);
	return error;
}

static enum pygmy_error make_file(struct snapshot_maker *maker, struct database *source, struct copy *copy)
{
	struct snapshot_part part;
	snapshot_folder_tidy(maker->folder, 1);
	enum pygmy_error error = snapshot_part_create(maker->folder, &part);
	if (error != PYGMY_OK)
		return error;
	if (!snapshot_fits(part.fd, database_bytes(source))) {
		diagnose_error("snapshot: a copy of the database does not fit on the disk of %s", maker->folder);
		error = PYGMY_STORAGE_FULL;
	}
	if (error == PYGMY_OK)
		error = fill(maker, source, part.path);
	if (error == PYGMY_OK)
		error = complete(&part, &copy->info);
	return snapshot_part_end(&part, error, copy->info.index, copy->path);
}

/* The read transaction begins here, so it shows what was committed before. */
static enum pygmy_error make(struct snapshot_maker *maker, struct copy *copy)
{
	struct database source;
	int64_t began_ms = monotonic_ms();
	enum pygmy_error error = database_open(&source, maker->db_path, DATABASE_READ);
	if (error != PYGMY_OK)
		return error;
	error = database_exec(&source, "BEGIN");
	if (error == PYGMY_OK)
		error = snapshot_read_position(&source, &copy->info);
	if (error == PYGMY_OK && is_unchanged(maker, &copy->info)) {
		*copy = maker->whole;
	} else if (error == PYGMY_OK) {
		error = make_file(maker, &source, copy);
		if (error == PYGMY_OK)
			diagnose_info("snapshot: copied %" PRId64 " bytes at revision %" PRIu64 " in %" PRId64 " ms", copy->info.bytes,
				      copy->info.index, monotonic_ms() - began_ms);
		else
			diagnose_error("snapshot: no copy was made: %s", error_text(error));
	}
	database_rollback(&source);
	database_close(&source);
	return error;
}

/* ---- sharing ----------------------------------------------------------------------------------------- */

/* With the mutex held, which is given back meanwhile. */
static void make_shared(struct snapshot_maker *maker)
{
	struct copy copy = { .path = "" };
	uint64_t number = ++maker->begun;
	maker->making = true;
	pthread_mutex_unlock(&maker->mutex);
	copy.error = make(maker, &copy);
	if (copy.error == PYGMY_OK)
		maker->whole = copy;
	pthread_mutex_lock(&maker->mutex);
	maker->making = false;
	maker->ended = number;
	maker->last = copy;
	pthread_cond_broadcast(&maker->changed);
}

/* A copy that began before the question may lack what the asker knows of: only the next one will do. */
enum pygmy_error snapshot_make(struct snapshot_maker *maker, char path[PATH_MAX], struct snapshot_info *info)
{
	enum pygmy_error error = PYGMY_BUSY;
	pthread_mutex_lock(&maker->mutex);
	if (maker->askers < SNAPSHOT_ASKERS_MAX) {
		maker->askers++;
		uint64_t wanted = maker->begun + 1;
		while (maker->ended < wanted && !atomic_load(&maker->stopping)) {
			if (maker->making)
				pthread_cond_wait(&maker->changed, &maker->mutex);
			else
				make_shared(maker);
		}
		error = maker->ended < wanted ? PYGMY_STOPPING : maker->last.error;
		if (error == PYGMY_OK) {
			memcpy(path, maker->last.path, PATH_MAX);
			*info = maker->last.info;
		}
		maker->askers--;
	}
	pthread_mutex_unlock(&maker->mutex);
	return error;
}

/* ---- set-up ------------------------------------------------------------------------------------------ */

enum pygmy_error snapshot_maker_create(const char *db_path, const char *folder, struct snapshot_maker **out)
{
	struct snapshot_maker *maker = calloc(1, sizeof *maker);
	*out = NULL;
	if (maker == NULL)
		return PYGMY_OUT_OF_MEMORY;
	pthread_mutex_init(&maker->mutex, NULL);
	pthread_cond_init(&maker->changed, NULL);
	maker->db_path = strdup(db_path);
	if (asprintf(&maker->folder, "%s/snapshots", folder) < 0)
		maker->folder = NULL;
	if (maker->db_path == NULL || maker->folder == NULL) {
		snapshot_maker_destroy(maker);
		return PYGMY_OUT_OF_MEMORY;
	}
	snapshot_folder_tidy(maker->folder, 1);
	*out = maker;
	return PYGMY_OK;
}

void snapshot_maker_stop(struct snapshot_maker *maker)
{
	pthread_mutex_lock(&maker->mutex);
	atomic_store(&maker->stopping, true);
	pthread_cond_broadcast(&maker->changed);
	pthread_mutex_unlock(&maker->mutex);
}

void snapshot_maker_destroy(struct snapshot_maker *maker)
{
	if (maker == NULL)
		return;
	pthread_cond_destroy(&maker->changed);
	pthread_mutex_destroy(&maker->mutex);
	free(maker->db_path);
	free(maker->folder);
	free(maker);
}
