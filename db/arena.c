/* arena: a list of malloc'ed chunks, newest first; see arena.h. */
#include "db/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES ((size_t)16 * 1024)

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	size_t used;
	_Alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
	*arena = (struct arena){ .max_bytes = max_bytes };
}

static void free_chunks(struct arena_chunk *chunk)
{
	while (chunk != NULL) {
		struct arena_chunk *next = chunk->next;
		free(chunk);
		chunk = next;
	}
}

void arena_reset(struct arena *arena)
{
	struct arena_chunk *keep = arena->first;
	while (keep != NULL && keep->next != NULL) {
		struct arena_chunk *next = keep->next;
		free(keep);
		keep = next;
	}
	if (keep != NULL && keep->size > CHUNK_BYTES) {
		free(keep);
		keep = NULL;
	}
	if (keep != NULL)
		keep->used = 0;
	arena->first = keep;
	arena->allocated_bytes = keep != NULL ? keep->size : 0;
}

void arena_close(struct arena *arena)
{
	free_chunks(arena->first);
	*arena = (struct arena){ .max_bytes = arena->max_bytes };
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t size)
{
	size_t chunk_size = size > CHUNK_BYTES ? size : CHUNK_BYTES;
	if (chunk_size > arena->max_bytes || arena->allocated_bytes > arena->max_bytes - chunk_size)
		return NULL;
	struct arena_chunk *chunk = malloc(sizeof *chunk + chunk_size);
	if (chunk == NULL)
		return NULL;
	*chunk = (struct arena_chunk){ .next = arena->first, .size = chunk_size };
	arena->first = chunk;
	arena->allocated_bytes += chunk_size;
	return chunk;
}

void *arena_take(struct arena *arena, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	if (size > arena->max_bytes)
		return NULL;
	size = (size + align - 1) / align * align;
	struct arena_chunk *chunk = arena->first;
	if (chunk == NULL || chunk->size - chunk->used < size)
		chunk = add_chunk(arena, size);
	if (chunk == NULL)
		return NULL;
	void *taken = chunk->bytes + chunk->used;
	chunk->used += size;
	return taken;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
	char *copy = arena_take(arena, bytes.len + 1);
	if (copy == NULL)
		return SLICE_EMPTY;
	if (bytes.len > 0)
		memcpy(copy, bytes.ptr, bytes.len);
	copy[bytes.len] = '\0';
	return (struct slice){ copy, bytes.len };
}

struct slice arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	char *text = len < 0 ? NULL : arena_take(arena, (size_t)len + 1);
	if (text != NULL)
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	return text == NULL ? SLICE_EMPTY : (struct slice){ text, (size_t)len };
}
