/*
 * schema: the tables of a replica, and what may be in them.
 *
 * The constraints here are the last line of defence: apply checks first, and the database refuses what apply would have
 * missed. Money is integer minor units; times are milliseconds since the epoch, UTC; revisions are log indexes.
 *
 * store    one row: where in the log this replica stands, and facts about the whole store
 * items    the catalogue. supplied = count + sold, always; a deleted item stays as a row because orders refer to it
 * orders   one row per purchase, for ever. The request key is UNIQUE: this is what makes a retried purchase one order
 * results  what was decided about every other request, by key. kept = 0: forgotten RESULT_WINDOW_ENTRIES entries later
 * slots    the revision at which each coherence slot last changed (slot.h)
 * changes  a ring of the last CHANGES_RING_ENTRIES entries' changed slots (16-bit little endian each; NULL: everything)
 */
#ifndef PYGMY_DB_SCHEMA_H
#define PYGMY_DB_SCHEMA_H

#include "db/database.h"

#define SCHEMA_VERSION 1
#define SCHEMA_APPLICATION_ID 0x50474d59      /* "PGMY" */

#define LOG_ID_TEXT_LEN 16
#define CHAIN_BYTES 32

/*
 * Creates the tables in an empty database, or checks that they are those of this version, within the caller's
 * BEGIN IMMEDIATE. log_id is used for a new store. *created tells which. Errors: INCOMPATIBLE, STORAGE_*.
 */
enum pygmy_error schema_ensure(struct database *database, const char *log_id, bool *created);

#endif
