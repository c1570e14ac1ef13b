/*
 * arena: memory that is freed all at once.
 *
 * One arena per request: whatever a request needs is taken from it and nothing is freed singly. It grows by chunks up
 * to the maximum given at init, so one request can't take the worker's memory. Not thread-safe: one thread at a time.
 */
#ifndef PYGMY_DB_ARENA_H
#define PYGMY_DB_ARENA_H

#include "db/slice.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *first;    /* newest chunk */
	size_t allocated_bytes;       /* of all chunks */
	size_t max_bytes;
};

void arena_init(struct arena *arena, size_t max_bytes);

/* Frees all but the first chunk, for the next request of the same thread. All memory taken before is invalid. */
void arena_reset(struct arena *arena);

/* Frees everything. */
void arena_close(struct arena *arena);

/* Aligned for any type, not zeroed; valid until reset or close. NULL when malloc fails or max_bytes would be passed. */
void *arena_take(struct arena *arena, size_t size);

/* A copy of bytes, with a NUL behind it that len does not count. ptr is NULL when there is no memory. */
struct slice arena_copy(struct arena *arena, struct slice bytes);

/* printf into the arena. ptr is NULL when there is no memory. */
struct slice arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
