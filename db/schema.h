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
 * changes  a ring of the last CHANGES_RING_ENTRIES entries: the slots that each changed (16-bit little endian each; NULL: everything),
 *          the chain hash behind it (NULL: written by version 1), etcd's mod_revision of it (0: embedded), and log_bytes as of it
 * members  the configured members of the cluster
 * log      one row: which log the database belongs to (64-bit numbers as two's complement). No part of the replicated state
 *
 * Version 2 added members, log, the audit's cursors, log_bytes and the ring's chain hashes. A database of version 1 is brought to it.
 */
#ifndef PYGMY_DB_SCHEMA_H
#define PYGMY_DB_SCHEMA_H

#include "db/database.h"

#define SCHEMA_VERSION 2
#define SCHEMA_APPLICATION_ID 0x50474d59      /* "PGMY" */

#define LOG_ID_TEXT_LEN 16
#define CHAIN_BYTES 32

/* log_id of a store in a cluster that has no log yet. */
#define LOG_ID_NONE "0000000000000000"

/*
 * Creates the tables in an empty database, checks that they are those of this version, or changes those of version 1 to it, within the
 * caller's BEGIN IMMEDIATE. log_id is used for a new store. *created tells whether it is one. Errors: INCOMPATIBLE, STORAGE_*.
 */
enum pygmy_error schema_ensure(struct database *database, const char *log_id, bool *created);

/* Whether database is one of this version, and changes nothing. Errors: INCOMPATIBLE, STORAGE_*. */
enum pygmy_error schema_check(struct database *database);

#endif
