/*
 * load_best: how many lookups the frontends' caches could have answered at best.
 *
 * However good a cache is that never answers with something older than an acknowledged write, it can only know what passed through it: a
 * lookup can be a hit if its item was looked up at the same frontend before, and not bought anywhere since. That is computed for the
 * very requests that are sent, in the order in which they are sent, from an empty cache on; the hits of a run are worth as much as they come near it.
 *
 * (Of requests that are under way at the same time nobody knows which was first: with many connections a few hits more than these are possible.)
 */
#ifndef PYGMY_LOAD_BEST_H
#define PYGMY_LOAD_BEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_best {
	size_t items, frontends;
	uint32_t *writes;             /* of each item; owned */
	uint32_t *known;              /* of each item at each frontend: its writes at the last lookup there, plus one; 0: never. Owned */
};

/* False without memory. */
bool load_best_open(struct load_best *best, size_t items, size_t frontends);
void load_best_close(struct load_best *best);

void load_best_write(struct load_best *best, size_t item);

/* Whether this lookup can be a hit. */
bool load_best_read(struct load_best *best, size_t item, size_t frontend);

#endif
