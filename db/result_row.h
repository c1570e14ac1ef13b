/*
 * result_row: how a decision is read back from the rows that keep it: a purchase's from its order, every other one from `results`.
 *
 * Used by apply, which looks whether a request key is known, and by recorded, which tells a proposer what was decided.
 */
#ifndef PYGMY_DB_RESULT_ROW_H
#define PYGMY_DB_RESULT_ROW_H

#include "db/command.h"
#include "db/database.h"
#include "db/result.h"

/* ?1 is the request key; at most one row. */
#define RESULT_ROW_ORDER_SQL "SELECT id, item_id, quantity, revision, topic_slot, payload_hash FROM orders WHERE request_key = ?1"
#define RESULT_ROW_RESULT_SQL "SELECT error, revision, id, quantity, slots, payload_hash FROM results WHERE request_key = ?1"

/*
 * Looks for command's request key. *found tells whether there is a record; then *result is what it says, repeated is set, and error is
 * KEY_REUSED (with *result otherwise as it was) when the record is that of another request. Errors: STORAGE_*, BUSY.
 */
enum pygmy_error result_row_find_order(struct database *database, sqlite3_stmt *statement, const struct command *command, bool *found,
				       struct result *result);
enum pygmy_error result_row_find_result(struct database *database, sqlite3_stmt *statement, const struct command *command, bool *found,
					struct result *result);

#endif
