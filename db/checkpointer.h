/*
 * checkpointer: copies SQLite's write-ahead log back into the database, off the write path.
 *
 * A thread with a connection of its own. When the WAL has grown past CHECKPOINT_PAGES it copies what is there while writers go
 * on, then takes the writers' turn for the short rest and until nobody reads from the WAL, so that the next writer starts it
 * from its beginning again: the file keeps its size, and commits overwrite it in place, which syncs faster than growing it.
 */
#ifndef PYGMY_DB_CHECKPOINTER_H
#define PYGMY_DB_CHECKPOINTER_H

#include "db/database.h"
#include "db/writer_turn.h"

struct checkpointer;

#define CHECKPOINT_PAGES 4000

/* writer is the connection whose commits are counted; turn may be NULL. Errors: STORAGE_*, OUT_OF_MEMORY. */
enum pygmy_error checkpointer_create(const char *db_path, struct database *writer, struct writer_turn *turn, struct checkpointer **out);

/* Ends the thread; waits for a checkpoint that runs. NULL is allowed. */
void checkpointer_destroy(struct checkpointer *checkpointer);

#endif
