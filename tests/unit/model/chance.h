/*
 * chance: what is random in a model: a sequence that follows from its seed (xorshift64).
 */
#ifndef PYGMY_TESTS_MODEL_CHANCE_H
#define PYGMY_TESTS_MODEL_CHANCE_H

#include <stdint.h>

struct chance {
	uint64_t state;
};

static inline void chance_seed(struct chance *chance, uint64_t seed)
{
	chance->state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* 0 to below bound, which is above 0. */
static inline uint64_t chance_below(struct chance *chance, uint64_t bound)
{
	chance->state ^= chance->state << 13;
	chance->state ^= chance->state >> 7;
	chance->state ^= chance->state << 17;
	return chance->state % bound;
}

#endif
