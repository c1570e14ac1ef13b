/* snapshot_internal: what the files of snapshot share. */
#ifndef PYGMY_DB_SNAPSHOT_INTERNAL_H
#define PYGMY_DB_SNAPSHOT_INTERNAL_H

#include "db/database.h"
#include "db/snapshot.h"

/* Fills in what the database says of itself: position, log, counts; not bytes. Errors: STORAGE_*. */
enum pygmy_error snapshot_read_info(struct database *database, struct snapshot_info *info);

/* Only the position and the log: cheap, whatever the database's size. Errors: STORAGE_*. */
enum pygmy_error snapshot_read_position(struct database *database, struct snapshot_info *info);

/* The part of snapshot_check that comes before SQLite opens the file: header, size, nothing beside it. Errors: as snapshot_check. */
enum pygmy_error snapshot_check_header(const char *path, int64_t *bytes, char why[SNAPSHOT_WHY_BYTES]);

/* What the failure of a statement means on a file that may hold anything; tells it in why. */
enum pygmy_error snapshot_read_error(struct database *database, int rc, char why[SNAPSHOT_WHY_BYTES]);

/* The part that is about the rows' CHECK constraints; reference is a new store with the same schema. Errors: as snapshot_check. */
enum pygmy_error snapshot_check_constraints(struct database *database, struct database *reference, char why[SNAPSHOT_WHY_BYTES]);

/* The part that is about orders and stock. Errors: as snapshot_check. */
enum pygmy_error snapshot_check_books(struct database *database, const struct snapshot_info *info, char why[SNAPSHOT_WHY_BYTES]);

/* Whether bytes more fit on the file's disk, with SNAPSHOT_SPARE_BYTES left. */
bool snapshot_fits(int fd, int64_t bytes);

/*
 * Makes the header of a database that is complete say that it has no WAL. SQLite would do that with a journal, which could be left
 * behind. False with errno.
 */
bool snapshot_unmark_wal(int fd);

/* What an errno value of a file operation means; logged, and told in why (may be NULL). */
enum pygmy_error snapshot_file_error(int number, const char *path, char why[SNAPSHOT_WHY_BYTES]);

#endif
