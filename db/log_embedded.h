/*
 * log_embedded: the log of a store on one machine. An entry is applied to the database in one transaction with
 * synchronous=FULL (group commit); the database is the log's only copy, and the entry itself is not kept.
 *
 * Several processes may share the file: the transaction is BEGIN IMMEDIATE, and the position is read inside it.
 */
#ifndef PYGMY_DB_LOG_EMBEDDED_H
#define PYGMY_DB_LOG_EMBEDDED_H

#include "db/log.h"
#include "db/schema.h"

/*
 * Opens or creates the database. *created tells whether the store is new. When it is new, or its
 * first catalogue was never loaded, and catalogue_path is not NULL, that file is loaded in one transaction.
 * Errors: as replica_open.
 */
enum pygmy_error log_embedded_open(const char *db_path, const char *catalogue_path, bool *created, struct log **out);

#endif
