/*
 * id_set: the ids of a catalogue file, in little memory.
 *
 * Kept as ranges: ids that come in rising order without gaps take no more room than one. Any order is fine; the set is sorted
 * once, when it is first asked.
 */
#ifndef PYGMY_CLIENT_ID_SET_H
#define PYGMY_CLIENT_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_SET_RANGES_MAX ((size_t)1 << 24)   /* 256 MiB */

struct id_range {
	int64_t first, last;
};

struct id_set {
	struct id_range *ranges;
	size_t count, capacity;
	bool sorted;
};

void id_set_init(struct id_set *set);
void id_set_close(struct id_set *set);

/* Errors: false without memory or with more than ID_SET_RANGES_MAX ranges. */
bool id_set_add(struct id_set *set, int64_t id);

bool id_set_has(struct id_set *set, int64_t id);

#endif
