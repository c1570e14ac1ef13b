/*
 * rotation_memory: how the rotation stands in the memory that processes share; for rotation.c and rotation_list.c only.
 *
 * The list stands there as words, so that a copy that is made while it is changed is no data race, only a wrong copy, which the generation
 * tells (a seqlock).
 */
#ifndef PYGMY_NGINX_ROTATION_MEMORY_H
#define PYGMY_NGINX_ROTATION_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "nginx/rotation.h"

#define ROTATION_LIST_WORDS ((sizeof(struct rotation_list) + 7) / 8)

/* The parts of a state. */
#define ROTATION_ID_BITS 16
#define ROTATION_STATE_BITS 2
#define ROTATION_TIME_BITS (64 - ROTATION_ID_BITS - ROTATION_STATE_BITS)

typedef _Atomic uint64_t word;

struct rotation {
	pthread_mutex_t lock;
	word generation;                              /* odd: the list is being changed */
	word list[ROTATION_LIST_WORDS];
	word seeds_hash, next_id, list_asked_at_ms;
	uint32_t seed_count;                          /* these two are of who holds the lock */
	struct rotation_seed seeds[ROTATION_NODES_MAX];
	word states[ROTATION_NODES_MAX][ROTATION_KINDS];      /* id, state, when the verdict was asked for */
	word leaves[ROTATION_NODES_MAX][ROTATION_KINDS];
	word left_at_ms[ROTATION_NODES_MAX][ROTATION_KINDS];
	word probed_at_ms[ROTATION_NODES_MAX][ROTATION_KINDS];
	word named_at_ms[ROTATION_NODES_MAX][ROTATION_KINDS];
};

static inline uint64_t rotation_pack(uint32_t id, enum rotation_state state, int64_t asked_at_ms)
{
	uint64_t time = (uint64_t)asked_at_ms & ((UINT64_C(1) << ROTATION_TIME_BITS) - 1);
	return (uint64_t)id << (ROTATION_STATE_BITS + ROTATION_TIME_BITS) | (uint64_t)state << ROTATION_TIME_BITS | time;
}

#endif
