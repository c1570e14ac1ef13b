/*
 * hit_memory: the answers that one nginx worker has served from the cache lately, in that worker's memory.
 *
 * nginx's cache keeps answers in files; opening, reading and parsing one costs more than all else about a hit. What was found
 * there is therefore kept here, ready to be sent. Nothing has to be invalidated: a key names a revision, and what stands
 * under a key never changes (cache_key.h), so an answer that is outdated is simply never asked for again.
 *
 * A table of fixed size: a key has two places, and the one that was used longer ago is given up. Not shared, no locks: one process, one
 * thread. Memory: at most HIT_MEMORY_PLACES answers of HIT_MAX_BYTES.
 */
#ifndef PYGMY_NGINX_HIT_MEMORY_H
#define PYGMY_NGINX_HIT_MEMORY_H

#include <stdint.h>

#include "db/slice.h"

#define HIT_MEMORY_PLACES 2048
#define HIT_MAX_BYTES 4096            /* key, headers and body of one answer; larger ones stay with nginx's cache */
#define HIT_HEADERS_MAX 12

struct hit_header {
	struct slice name;
	struct slice value;
};

/* An answer with status 200. */
struct hit {
	struct slice content_type;
	struct slice body;
	unsigned header_count;
	struct hit_header headers[HIT_HEADERS_MAX];
};

struct hit_memory;

/* NULL without memory. */
struct hit_memory *hit_memory_create(void);
void hit_memory_destroy(struct hit_memory *memory);

/* Keeps a copy. An answer that is too large, or for which there is no memory, is not kept: it is only slower then. */
void hit_memory_put(struct hit_memory *memory, struct slice key, const struct hit *hit);

/* NULL when the key is not there. Valid until the next put. */
const struct hit *hit_memory_get(struct hit_memory *memory, struct slice key);

#endif
