/* hit_memory: see hit_memory.h. An entry is one block: the struct, and behind it all its bytes. */
#include "nginx/hit_memory.h"

#include <stdlib.h>

#define WAYS 2
#define SETS (HIT_MEMORY_PLACES / WAYS)

_Static_assert((SETS & (SETS - 1)) == 0, "a set is chosen by the hash's low bits");

struct entry {
	struct slice key;
	uint64_t used;                /* the memory's clock when it was last asked for */
	struct hit hit;
	char bytes[];
};

struct hit_memory {
	uint64_t clock;
	struct entry *entries[SETS][WAYS];
};

struct hit_memory *hit_memory_create(void)
{
	return calloc(1, sizeof(struct hit_memory));
}

void hit_memory_destroy(struct hit_memory *memory)
{
	for (size_t i = 0; memory != NULL && i < HIT_MEMORY_PLACES; i++)
		free(memory->entries[i / WAYS][i % WAYS]);
	free(memory);
}

/* FNV-1a, 64 bits, folded. */
static struct entry **set_of(struct hit_memory *memory, struct slice key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.ptr[i]) * UINT64_C(0x100000001b3);
	return memory->entries[(hash ^ (hash >> 32)) & (SETS - 1)];
}

static size_t bytes_of(struct slice key, const struct hit *hit)
{
	size_t bytes = key.len + hit->content_type.len + hit->body.len;
	for (unsigned i = 0; i < hit->header_count; i++)
		bytes += hit->headers[i].name.len + hit->headers[i].value.len;
	return bytes;
}

static struct slice copy_to(char **to, struct slice bytes)
{
	struct slice copy = { *to, bytes.len };
	if (bytes.len > 0)
		memcpy(*to, bytes.ptr, bytes.len);
	*to += bytes.len;
	return copy;
}

static struct entry *entry_create(struct slice key, const struct hit *hit)
{
	if (hit->header_count > HIT_HEADERS_MAX)
		return NULL;
	size_t bytes = bytes_of(key, hit);
	if (bytes > HIT_MAX_BYTES)
		return NULL;
	struct entry *entry = malloc(sizeof *entry + bytes);
	if (entry == NULL)
		return NULL;
	char *to = entry->bytes;
	entry->key = copy_to(&to, key);
	entry->hit.content_type = copy_to(&to, hit->content_type);
	entry->hit.body = copy_to(&to, hit->body);
	entry->hit.header_count = hit->header_count;
	for (unsigned i = 0; i < hit->header_count; i++) {
		entry->hit.headers[i].name = copy_to(&to, hit->headers[i].name);
		entry->hit.headers[i].value = copy_to(&to, hit->headers[i].value);
	}
	return entry;
}

static struct entry **find(struct entry **set, struct slice key)
{
	for (unsigned way = 0; way < WAYS; way++)
		if (set[way] != NULL && slice_equal(set[way]->key, key))
			return &set[way];
	return NULL;
}

static struct entry **choose_place(struct entry **set, struct slice key)
{
	struct entry **place = find(set, key);
	for (unsigned way = 0; place == NULL && way < WAYS; way++)
		if (set[way] == NULL)
			place = &set[way];
	if (place == NULL)
		place = set[0]->used <= set[1]->used ? &set[0] : &set[1];
	return place;
}

void hit_memory_put(struct hit_memory *memory, struct slice key, const struct hit *hit)
{
	struct entry *entry = entry_create(key, hit);
	if (entry == NULL)
		return;
	struct entry **place = choose_place(set_of(memory, key), key);
	free(*place);
	entry->used = ++memory->clock;
	*place = entry;
}

const struct hit *hit_memory_get(struct hit_memory *memory, struct slice key)
{
	struct entry **place = find(set_of(memory, key), key);
	if (place == NULL)
		return NULL;
	(*place)->used = ++memory->clock;
	return &(*place)->hit;
}
