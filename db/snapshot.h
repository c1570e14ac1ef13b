/*
 * snapshot: a consistent copy of a replica's database as one file: made here for peers and backups, fetched from a peer,
 * and checked before anything of it is used.
 *
 * A snapshot is an SQLite database without a log of its own beside it. Who receives one trusts nothing in it until
 * snapshot_check has looked at all of it. Made, checked and fetched with bounded memory, whatever its size.
 */
#ifndef PYGMY_DB_SNAPSHOT_H
#define PYGMY_DB_SNAPSHOT_H

#include <limits.h>
#include <stdatomic.h>

#include "db/cluster.h"
#include "db/error.h"
#include "db/schema.h"

#define SNAPSHOT_MAX_BYTES (INT64_C(64) * 1024 * 1024 * 1024)
#define SNAPSHOT_MAKE_MS 120000       /* a copy that takes longer is given up: while it is made, the database's WAL can't be emptied */
#define SNAPSHOT_STALL_MS 5000        /* a transfer that brings less than SNAPSHOT_STALL_BYTES in so long is given up */
#define SNAPSHOT_STALL_BYTES 65536
#define SNAPSHOT_ASKERS_MAX 4         /* threads that make a copy or wait for one */
#define SNAPSHOT_SPARE_BYTES (INT64_C(16) * 1024 * 1024)   /* what a copy leaves free on its disk, for the store itself */
#define SNAPSHOT_CONTENT_TYPE "application/vnd.sqlite3"

struct snapshot_info {
	uint64_t index;
	uint8_t chain[CHAIN_BYTES];
	char log_id[LOG_ID_TEXT_LEN + 1];
	uint64_t cluster_id, create_revision, base_index;     /* 0: of an embedded store */
	int64_t items, orders;
	int64_t bytes;
};

/* A sentence for people, without the full stop; may hold what stands in a file: show it only through something that makes it safe. */
#define SNAPSHOT_WHY_BYTES 300

/* ---- making ------------------------------------------------------------------------------------------ */

struct snapshot_maker;

/* Copies go to the subfolder `snapshots` of folder. Strings are copied. Removes what a killed process left there. Errors: OUT_OF_MEMORY. */
enum pygmy_error snapshot_maker_create(const char *db_path, const char *folder, struct snapshot_maker **out);

/* No thread may be in snapshot_make any more. NULL is allowed. The copies stay. */
void snapshot_maker_destroy(struct snapshot_maker *maker);

/* From now on copies that are being made, or waited for, end with STOPPING. */
void snapshot_maker_stop(struct snapshot_maker *maker);

/*
 * Copies the database to a new file (0600), which shows at least what was committed before the call. Those who ask while a copy is
 * being made share the next one; while nothing is written, everybody gets the same. At most two copies stay in the folder, and a file
 * may be removed as soon as two newer ones are there: open it at once. path is absolute. Any thread; blocks for at most twice
 * SNAPSHOT_MAKE_MS. There is no partial file on error. Errors: STORAGE_* (FULL also when it would leave less than SNAPSHOT_SPARE_BYTES
 * free), BUSY (SNAPSHOT_ASKERS_MAX others are waiting, or SNAPSHOT_MAKE_MS is over), OUT_OF_MEMORY, STOPPING.
 */
enum pygmy_error snapshot_make(struct snapshot_maker *maker, char path[PATH_MAX], struct snapshot_info *info);

/* ---- checking ---------------------------------------------------------------------------------------- */

/*
 * Checks a database file that nobody has open: that it has exactly the tables of this version, PRAGMA integrity_check, that every
 * order is of an item, supplied = count + sold, the orders of each item add up to what was sold, and that its position makes sense.
 * Nothing is changed, and nothing beside the file is read. why (may be NULL) tells what is wrong. Blocks: seconds for a million items.
 * Errors: STORAGE_CORRUPT (what is wrong with its content), INCOMPATIBLE (another program's, or another version's), STORAGE_FAILED
 * (it can't be read, or is in use), OUT_OF_MEMORY.
 */
enum pygmy_error snapshot_check(const char *path, struct snapshot_info *info, char why[SNAPSHOT_WHY_BYTES]);

/*
 * Makes the database file `to` (0600; there must be none) of the snapshot `from`, after checking it: the same content at the same
 * position, but of no log any more. The embedded store that opens it goes on under a log id that nobody has seen (a position of the log
 * that was must not be taken for one of what comes now); a cluster's node adopts a log that continues its position. There is no file on
 * error. Errors: as snapshot_check, STORAGE_FULL.
 */
enum pygmy_error snapshot_restore(const char *from, const char *to, struct snapshot_info *info, char why[SNAPSHOT_WHY_BYTES]);

/* Makes durable that the file is in its folder (under this name), as far as the file system does that. */
void snapshot_sync_folder(const char *path);

/* ---- fetching ---------------------------------------------------------------------------------------- */

/* Where a snapshot is fetched from. Strings belong to the caller. */
struct snapshot_source {
	const char *url;              /* http(s)://address:port, without a slash at the end */
	const char *token;            /* the peer's or the administrator's; "": none */
	const struct tls_files *tls;  /* NULL: libcurl's own rules */
	bool complete;                /* it must hold all that was acknowledged before; else what the replica has, however old, will do */
	/* Called at least once a second, total 0 while it is not known; false ends the transfer. May be NULL. */
	bool (*go_on)(void *context, int64_t bytes, int64_t total);
	void *context;
};

/*
 * Gets <url>/snapshot into fd, an empty file. status (may be NULL) gets the HTTP status, 0 without an answer; why (may be NULL) what
 * went wrong. Blocks until it is whole, stalls, or go_on says no. Not checked: see snapshot_check.
 * Errors: NOT_READY (no whole snapshot came), STORAGE_FULL, STORAGE_FAILED, OUT_OF_MEMORY, STOPPING (go_on).
 */
enum pygmy_error snapshot_download(const struct snapshot_source *source, int fd, long *status, char why[SNAPSHOT_WHY_BYTES]);

/*
 * Fetches the peer's snapshot, with the peer credential, into the new file path (0600; there is none on error), and tells the log how
 * it goes. Blocks as snapshot_download, or until *stop becomes true. Errors: as snapshot_download.
 */
enum pygmy_error snapshot_fetch(const struct cluster_config *config, const char *peer_url, const char *path, const atomic_bool *stop);

#endif
