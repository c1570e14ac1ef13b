/*
 * reader: the read side of a replica: short read transactions on pooled connections.
 *
 * A pool holds at most `max` connections, opened when first needed and reused newest first, so that a calm worker keeps few.
 * The operations on a reader are those of replica.h.
 */
#ifndef PYGMY_DB_READER_H
#define PYGMY_DB_READER_H

#include "db/replica.h"

struct reader_pool;

/* path is copied. Errors: OUT_OF_MEMORY. */
enum pygmy_error reader_pool_create(const char *path, int max, struct reader_pool **out);
/* No reader may be out. NULL is allowed. */
void reader_pool_destroy(struct reader_pool *pool);

/* Begins a read transaction at the newest position of the file, which may be stale_ms behind the store. Errors: BUSY (all connections are in use), STORAGE_*. */
enum pygmy_error reader_pool_begin(struct reader_pool *pool, int64_t stale_ms, struct reader **out);

/* Whether the first catalogue is loaded at the reader's position. */
bool reader_catalogue_loaded(const struct reader *reader);

#endif
