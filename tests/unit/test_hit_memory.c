/* hit_memory: what was put is found, byte for byte; the table stays of its size; what is too large stays away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nginx/hit_memory.h"

static int setup(void **state)
{
	*state = hit_memory_create();
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	hit_memory_destroy(*state);
	return 0;
}

static struct hit make_hit(const char *body)
{
	return (struct hit){ .content_type = SLICE_LITERAL("application/json"),
			     .body = slice_of(body),
			     .header_count = 2,
			     .headers = { { SLICE_LITERAL("ETag"), SLICE_LITERAL("\"1\"") },
					  { SLICE_LITERAL("X-Pygmy-Revision"), SLICE_LITERAL("7") } } };
}

static void assert_slice(struct slice slice, const char *text)
{
	assert_int_equal(slice.len, strlen(text));
	assert_memory_equal(slice.ptr, text, slice.len);
}

static void test_finds_a_copy_of_what_was_put(void **state)
{
	char body[] = "{\"item\":[]}";
	char key[] = "1@2#x.1/item:3";
	struct hit hit = make_hit(body);
	assert_null(hit_memory_get(*state, slice_of(key)));
	hit_memory_put(*state, slice_of(key), &hit);
	memset(body, '?', sizeof body - 1);
	const struct hit *found = hit_memory_get(*state, slice_of("1@2#x.1/item:3"));
	assert_non_null(found);
	assert_slice(found->body, "{\"item\":[]}");
	assert_slice(found->content_type, "application/json");
	assert_int_equal(found->header_count, 2);
	assert_slice(found->headers[0].name, "ETag");
	assert_slice(found->headers[1].value, "7");
}

static void test_keys_are_told_apart_to_the_last_byte(void **state)
{
	struct hit hit = make_hit("a");
	hit_memory_put(*state, slice_of("1@2#x.1/item:3"), &hit);
	assert_null(hit_memory_get(*state, slice_of("1@2#x.1/item:33")));
	assert_null(hit_memory_get(*state, slice_of("1@2#x.1/item:")));
	assert_null(hit_memory_get(*state, slice_of("1@3#x.1/item:3")));
	assert_null(hit_memory_get(*state, SLICE_EMPTY));
}

static void test_the_same_key_again_replaces(void **state)
{
	struct hit first = make_hit("first"), second = make_hit("second");
	hit_memory_put(*state, slice_of("key"), &first);
	hit_memory_put(*state, slice_of("key"), &second);
	assert_slice(hit_memory_get(*state, slice_of("key"))->body, "second");
}

static void test_what_is_too_large_is_not_kept(void **state)
{
	static char large[HIT_MAX_BYTES + 1];
	memset(large, 'x', sizeof large - 1);
	struct hit hit = make_hit(large);
	hit_memory_put(*state, slice_of("large"), &hit);
	assert_null(hit_memory_get(*state, slice_of("large")));
	hit = make_hit("small");
	hit.header_count = HIT_HEADERS_MAX + 1;
	hit_memory_put(*state, slice_of("small"), &hit);
	assert_null(hit_memory_get(*state, slice_of("small")));
}

/* Many more keys than places: none is ever found with another's body, and no more are kept than there are places. */
static void test_a_full_table_gives_up_the_oldest(void **state)
{
	char key[32], body[32];
	int kept = 0;
	for (int i = 0; i < 20 * HIT_MEMORY_PLACES; i++) {
		snprintf(key, sizeof key, "key %d", i);
		snprintf(body, sizeof body, "body %d", i);
		struct hit hit = make_hit(body);
		hit_memory_put(*state, slice_of(key), &hit);
		assert_slice(hit_memory_get(*state, slice_of(key))->body, body);
	}
	for (int i = 0; i < 20 * HIT_MEMORY_PLACES; i++) {
		snprintf(key, sizeof key, "key %d", i);
		snprintf(body, sizeof body, "body %d", i);
		const struct hit *found = hit_memory_get(*state, slice_of(key));
		if (found == NULL)
			continue;
		assert_slice(found->body, body);
		kept++;
	}
	assert_in_range(kept, HIT_MEMORY_PLACES / 2, HIT_MEMORY_PLACES);
}

/* A hot key is asked for between all others, and so outlives them. */
static void test_what_is_used_stays(void **state)
{
	char key[32];
	struct hit hot = make_hit("hot");
	hit_memory_put(*state, slice_of("hot"), &hot);
	for (int i = 0; i < 20 * HIT_MEMORY_PLACES; i++) {
		snprintf(key, sizeof key, "key %d", i);
		struct hit hit = make_hit("cold");
		hit_memory_put(*state, slice_of(key), &hit);
		assert_non_null(hit_memory_get(*state, slice_of("hot")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_finds_a_copy_of_what_was_put, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_are_told_apart_to_the_last_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_same_key_again_replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_too_large_is_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_table_gives_up_the_oldest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_used_stays, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
