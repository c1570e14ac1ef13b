/*
 * checkpointer: copies SQLite's write-ahead log back into the database, off the write path.
 *
 * A thread with a connection of its own. When the WAL has grown past CHECKPOINT_PAGES it copies what is there while writers go
 * on, then takes the writers' turn for the short rest and until nobody reads from the WAL, so that the next writer starts it
 * from its beginning again: the file keeps its size, and commits overwrite it in place, which syncs faster than growing it.
 *
 * In a cluster, where commits are not synced, it also tells up to which index the database would survive a power cut: it is told
 * what is applied, and makes a checkpoint at least every CHECKPOINT_INTERVAL_MS while there is something that none has covered.
 */
#ifndef PYGMY_DB_CHECKPOINTER_H
#define PYGMY_DB_CHECKPOINTER_H

#include "db/database.h"
#include "db/writer_turn.h"

struct checkpointer;

#define CHECKPOINT_PAGES 4000
#define CHECKPOINT_INTERVAL_MS 2000

/* writer is the connection whose commits are counted; turn may be NULL. Errors: STORAGE_*, OUT_OF_MEMORY. */
enum pygmy_error checkpointer_create(const char *db_path, struct database *writer, struct writer_turn *turn, struct checkpointer **out);

/* Entries up to index are committed. Never called in the embedded store, whose commits are synced. Any thread. */
void checkpointer_set_applied(struct checkpointer *checkpointer, uint64_t index);
/* The index that the last completed checkpoint covers, 0 for none. Any thread. */
uint64_t checkpointer_durable(const struct checkpointer *checkpointer);

/* Ends the thread; waits for a checkpoint that runs. NULL is allowed. */
void checkpointer_destroy(struct checkpointer *checkpointer);

#endif
