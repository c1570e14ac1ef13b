/*
 * cache_key: the first byte chooses the route, the rest are the arguments. Keys fit, name the slot of their resource, depend on nothing
 * but the arguments, and whatever has a key has a tag for the same slot, by which its slot can be raised.
 */
#include <stdint.h>
#include <stdlib.h>

#include "nginx/cache_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LEASE_MS 2000

/* One table for all inputs: none of them can change it but by raising slots, never past 40. */
static struct coherence_table *leased_table(void)
{
	static struct coherence_table *table;
	static const struct slice reset = SLICE_LITERAL("pygmy-changes 1 1111111111111111 reset 40\n");
	struct coherence_question question;

	if (table != NULL)
		return table;
	table = coherence_table_create();
	for (int i = 0; table != NULL && i < 2; i++) {
		coherence_table_ask(table, 1, &question);
		coherence_table_answer(table, &question, reset);
	}
	return table;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coherence_table *table = leased_table();
	char key[CACHE_KEY_MAX_BYTES], again[CACHE_KEY_MAX_BYTES], tag[CACHE_KEY_MAX_BYTES];

	if (table == NULL)
		abort();
	if (size == 0)
		return 0;
	enum cache_route route = data[0] % 2 == 0 ? CACHE_ROUTE_LOOKUP : CACHE_ROUTE_SEARCH;
	struct slice args = { (const char *)data + 1, size - 1 };
	size_t len = cache_key_write(table, route, args, 2, LEASE_MS, key);
	size_t tag_len = cache_key_write_tag(table, route, args, tag);
	if (len > sizeof key || tag_len > sizeof tag)
		abort();
	if (tag_len > 0 && !cache_key_raise(table, (struct slice){ tag, tag_len }, SLICE_LITERAL("1"), 1))
		abort();
	if (len == 0)
		return 0;
	if (cache_key_write(table, route, args, 3, LEASE_MS, again) != len || memcmp(key, again, len) != 0)
		abort();
	const char *end = memchr(key, '@', len);
	if (tag_len == 0 || end == NULL || memcmp(key, tag, (size_t)(end - key)) != 0)
		abort();
	for (size_t i = 0; i < len; i++) {
		if (key[i] <= ' ' || key[i] > '~')
			abort();
	}
	/* Any bytes as a key or a revision are harmless. */
	cache_key_raise(table, args, (struct slice){ key, len }, 1);
	return 0;
}
