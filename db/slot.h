/*
 * slot: which of the fixed number of version counters a resource belongs to.
 *
 * A resource is a text: `item:<id>`, `topic:<topic>` or `all`. Its slot is FNV-1a (64 bit, the
 * constants of Fowler, Noll and Vo; draft-eastlake-fnv) of those bytes, folded to 16 bits. Two resources
 * in one slot are harmless: a write to one makes the other be fetched again.
 *
 * Workers and nginx call this same function (nginx through its library), so they can't disagree.
 * No allocation, no I/O, any thread.
 */
#ifndef PYGMY_DB_SLOT_H
#define PYGMY_DB_SLOT_H

#include <stdint.h>

#include "db/slice.h"

/* The slot of a whole resource name. [0, SLOT_COUNT) */
uint32_t slot_of_resource(struct slice resource);

/* The slots of the resources that the store has. */
uint32_t slot_of_item(int64_t item_id);
uint32_t slot_of_topic(struct slice topic);
uint32_t slot_of_all(void);

#endif
