/*
 * database: an SQLite connection with Pygmy's settings, its statements prepared once, and SQLite's result codes translated.
 *
 * Every statement of a connection stands in a table of its owner (apply.c, reader.c); this file prepares, runs and resets
 * them. A connection belongs to one thread at a time. Nothing but database*.c calls sqlite3_open.
 */
#ifndef PYGMY_DB_DATABASE_H
#define PYGMY_DB_DATABASE_H

#include <sqlite3.h>
#include <stdint.h>

#include "db/error.h"
#include "db/slice.h"

enum database_mode {
	DATABASE_WRITE,               /* creates it, 0600 by the process's umask */
	DATABASE_READ,
	DATABASE_COPY,                /* for this connection alone, without journal and syncs: a failure leaves rubbish. Creates it, too */
	DATABASE_FOREIGN              /* reads a file that may hold anything and that nobody changes; looks at no journal beside it */
};

struct database {
	sqlite3 *handle;
	sqlite3_stmt **statements;
	int statement_count;
};

/* How long a statement waits for another connection's lock before BUSY. */
#define DATABASE_BUSY_MS 2000

/*
 * Opens path. sql is a static table of statement texts, prepared by database_prepare. Errors: STORAGE_*, BUSY, OUT_OF_MEMORY, INCOMPATIBLE (not a Pygmy database); logged. On error
 * database is closed.
 */
enum pygmy_error database_open(struct database *database, const char *path, enum database_mode mode);
enum pygmy_error database_prepare(struct database *database, const char *const *sql, int count);
void database_close(struct database *database);

/*
 * Makes path an empty database, whatever it was: damaged, cut off, of zero length, no database at all, missing. Others may have
 * it open; they see it emptied by a transaction like any other (unless the file was missing: what they have open is another one then).
 * Errors: STORAGE_*, BUSY, OUT_OF_MEMORY.
 */
enum pygmy_error database_reset(const char *path);

/* Whether the file that is open is no longer the one at its path: removed, or replaced. */
bool database_has_moved(const struct database *database);

/* Translates an SQLite result code; logs what is not BUSY. during names the action for the log. */
enum pygmy_error database_error(struct database *database, int rc, const char *during);

/* Runs SQL without parameters or rows. */
enum pygmy_error database_exec(struct database *database, const char *sql);

/* Rolls back if a transaction is open. Never fails in a way that matters: the connection is idle afterwards. */
void database_rollback(struct database *database);

/* Parameter binding; the bytes must stay valid until the statement is reset. */
void bind_int(sqlite3_stmt *statement, int index, int64_t value);
void bind_text(sqlite3_stmt *statement, int index, struct slice text);
void bind_blob(sqlite3_stmt *statement, int index, struct slice bytes);

struct slice column_text(sqlite3_stmt *statement, int column);
struct slice column_blob(sqlite3_stmt *statement, int column);

/* Steps a statement that returns no row, and resets it. Errors: as database_error. */
enum pygmy_error statement_run(struct database *database, sqlite3_stmt *statement, const char *during);

#endif
