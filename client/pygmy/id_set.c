/*
 * id_set: appends, merges with the last range when it can; sorts and merges before the first search.
 */
#include "client/pygmy/id_set.h"

#include <stdlib.h>

#define ID_SET_FIRST_CAPACITY 64

void id_set_init(struct id_set *set)
{
	*set = (struct id_set){ .sorted = true };
}

void id_set_close(struct id_set *set)
{
	free(set->ranges);
	id_set_init(set);
}

static bool grow(struct id_set *set)
{
	size_t capacity = set->capacity == 0 ? ID_SET_FIRST_CAPACITY : set->capacity * 2;
	if (capacity > ID_SET_RANGES_MAX)
		return false;
	struct id_range *ranges = realloc(set->ranges, capacity * sizeof(*ranges));
	if (ranges == NULL)
		return false;
	set->ranges = ranges;
	set->capacity = capacity;
	return true;
}

bool id_set_add(struct id_set *set, int64_t id)
{
	struct id_range *last = set->count == 0 ? NULL : &set->ranges[set->count - 1];
	if (last != NULL && id >= last->first && id <= last->last)
		return true;
	if (last != NULL && id == last->last + 1) {
		last->last = id;
		return true;
	}
	if (set->count == set->capacity && !grow(set))
		return false;
	set->sorted = set->sorted && (set->count == 0 || id > set->ranges[set->count - 1].last);
	set->ranges[set->count++] = (struct id_range){ id, id };
	return true;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct id_range *left = a, *right = b;
	return (left->first > right->first) - (left->first < right->first);
}

static void sort(struct id_set *set)
{
	qsort(set->ranges, set->count, sizeof(*set->ranges), compare_ranges);
	size_t kept = 0;
	for (size_t i = 1; i < set->count; i++) {
		if (set->ranges[i].first > set->ranges[kept].last + 1)
			set->ranges[++kept] = set->ranges[i];
		else if (set->ranges[i].last > set->ranges[kept].last)
			set->ranges[kept].last = set->ranges[i].last;
	}
	set->count = set->count == 0 ? 0 : kept + 1;
	set->sorted = true;
}

bool id_set_has(struct id_set *set, int64_t id)
{
	if (!set->sorted)
		sort(set);
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (set->ranges[middle].last < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count && set->ranges[low].first <= id;
}
