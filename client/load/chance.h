/* chance: numbers that follow from a seed (splitmix64), and a Zipf distribution over ranks. */
#ifndef PYGMY_LOAD_CHANCE_H
#define PYGMY_LOAD_CHANCE_H

#include <stddef.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

uint64_t chance_number(struct chance *chance);

/* 0 to below 1. */
double chance_share(struct chance *chance);

/* 0 to below bound, which is above 0. */
size_t chance_below(struct chance *chance, size_t bound);

/*
 * Ranks 0 to count - 1, of which rank r comes with a weight of 1 / (r + 1)^exponent. Drawn by inversion: one even number is looked up among the
 * weights' running sums by bisection, which is exact for any exponent, and quick enough (17 steps for 100,000 ranks).
 */
struct zipf {
	double *sums;                 /* owned */
	size_t count;
};

/* False without memory. exponent 0: all the same. */
_Bool zipf_init(struct zipf *zipf, size_t count, double exponent);
void zipf_close(struct zipf *zipf);
size_t zipf_rank(const struct zipf *zipf, struct chance *chance);

#endif
