/* slot: FNV-1a over the resource's name, folded to SLOT_COUNT. See slot.h. */
#include "db/slot.h"

#include <inttypes.h>
#include <stdio.h>

#include "db/limits.h"

_Static_assert((SLOT_COUNT & (SLOT_COUNT - 1)) == 0, "the fold needs a power of two");

#define FNV_OFFSET_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t fnv1a(uint64_t hash, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		hash ^= (unsigned char)bytes.ptr[i];
		hash *= FNV_PRIME;
	}
	return hash;
}

static uint32_t fold(uint64_t hash)
{
	return (uint32_t)((hash ^ (hash >> 32)) & (SLOT_COUNT - 1));
}

uint32_t slot_of_resource(struct slice resource)
{
	return fold(fnv1a(FNV_OFFSET_BASIS, resource));
}

uint32_t slot_of_item(int64_t item_id)
{
	char name[32];
	int len = snprintf(name, sizeof name, "item:%" PRId64, item_id);
	return slot_of_resource((struct slice){ name, (size_t)len });
}

uint32_t slot_of_topic(struct slice topic)
{
	uint64_t hash = fnv1a(FNV_OFFSET_BASIS, SLICE_LITERAL("topic:"));
	return fold(fnv1a(hash, topic));
}

uint32_t slot_of_all(void)
{
	return slot_of_resource(SLICE_LITERAL("all"));
}
