/* cache_key: what is one resource has one key, what is not canonical has none, and keys change with slot, floor and era. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/limits.h"
#include "db/slot.h"
#include "nginx/cache_key.h"

#define LOG "1111111111111111"
#define LEASE_MS 2000

static struct coherence_table *table;

static void learn(const char *text)
{
	struct coherence_question question;
	coherence_table_ask(table, 1000, &question);
	enum coherence_outcome outcome = coherence_table_answer(table, &question, slice_of(text));
	assert_true(outcome == COHERENCE_DONE || outcome == COHERENCE_ASK_AGAIN);
}

static int make_table(void **state)
{
	(void)state;
	table = coherence_table_create();
	assert_non_null(table);
	learn("pygmy-changes 1 " LOG " reset 40\n");
	learn("pygmy-changes 1 " LOG " reset 40\n");
	return 0;
}

static int end_table(void **state)
{
	(void)state;
	coherence_table_destroy(table);
	return 0;
}

/* The key without the nonce, in a buffer that the next call overwrites; "" when there is none. */
static const char *key_at(enum cache_route route, const char *args, size_t len, int64_t now_ms)
{
	static char shown[CACHE_KEY_MAX_BYTES + 1];
	char *copy = malloc(len == 0 ? 1 : len);
	char *key = malloc(CACHE_KEY_MAX_BYTES);       /* exact, for ASan */
	assert_true(copy != NULL && key != NULL);
	memcpy(copy, args, len);
	size_t key_len = cache_key_write(table, route, (struct slice){ copy, len }, now_ms, LEASE_MS, key);
	assert_true(key_len <= CACHE_KEY_MAX_BYTES);
	size_t at = 0;
	if (key_len > 0) {
		char *nonce = memchr(key, '#', key_len);
		assert_non_null(nonce);
		assert_memory_equal(nonce + 1, coherence_table_nonce(table), COHERENCE_NONCE_HEX_LEN);
		at = (size_t)(nonce + 1 - key);
		memcpy(shown, key, at);
		memcpy(shown + at, nonce + 1 + COHERENCE_NONCE_HEX_LEN, key_len - at - COHERENCE_NONCE_HEX_LEN);
		at = key_len - COHERENCE_NONCE_HEX_LEN;
	}
	shown[at] = '\0';
	free(copy);
	free(key);
	return shown;
}

static const char *lookup(const char *args)
{
	return key_at(CACHE_ROUTE_LOOKUP, args, strlen(args), 1001);
}

static const char *search(const char *args)
{
	return key_at(CACHE_ROUTE_SEARCH, args, strlen(args), 1001);
}

static void test_lookup(void **state)
{
	(void)state;
	assert_string_equal(lookup("id=1"), "21068@40#.1/item:1");
	assert_string_equal(lookup("id=999999999999999999"), "2492@40#.1/item:999999999999999999");
}

static void test_what_is_not_canonical_bypasses_lookup(void **state)
{
	(void)state;
	static const char *const args[] = {
		"", "id", "id=", "id=0", "id=01", "id=-1", "id=+1", "id=1 ", "id=1x", "id=1.0", "id=0x1", "id=1000000000000000000",
		"id=%31", "i%64=1", "ID=1", "id=1&", "&id=1", "id=1&id=1", "id=1&x=2", "x=2&id=1", "id=1&after=0", "id=1%00", "id=1+", "topic=x"
	};
	for (size_t i = 0; i < sizeof args / sizeof args[0]; i++)
		assert_string_equal(lookup(args[i]), "");
	assert_string_equal(key_at(CACHE_ROUTE_LOOKUP, "id=1\0", 5, 1001), "");
}

static void test_search(void **state)
{
	(void)state;
	const char *expected = "49805@40#.1/topic:distributed%20systems?after=0&limit=100";
	assert_string_equal(search("topic=distributed%20systems"), expected);
	assert_string_equal(search("topic=distributed+systems"), expected);
	assert_string_equal(search("limit=100&topic=%64istributed+systems&after=0"), expected);
	assert_string_equal(search("topic=distributed+systems&after=7&limit=1"), "49805@40#.1/topic:distributed%20systems?after=7&limit=1");
	assert_string_equal(search("topic=%C3%A4%E2%82%AC"), "32312@40#.1/topic:%C3%A4%E2%82%AC?after=0&limit=100");
	/* A topic can't pretend to have parameters, or to be another one. */
	assert_string_equal(search("topic=x%3Fafter%3D0%26limit%3D100") + 5, "@40#.1/topic:x%3Fafter%3D0%26limit%3D100?after=0&limit=100");
	assert_string_equal(search("topic=%2520") + 5, "@40#.1/topic:%2520?after=0&limit=100");
}

static void test_what_the_workers_refuse_bypasses_search(void **state)
{
	(void)state;
	static const char *const args[] = {
		"", "topic", "topic=", "after=1", "topic=x&topic=x", "topic=x&after=1&after=1", "topic=x&limit=0", "topic=x&limit=1001",
		"topic=x&limit=", "topic=x&limit=010", "topic=x&limit=-1", "topic=x&after=", "topic=x&after=01", "topic=x&after=-1",
		"topic=x&after=1000000000000000000", "topic=x&page=2", "topic=%", "topic=%ff", "topic=%00", "topic=x&&after=1", "topic=x&",
		"&topic=x", "id=1", "Topic=x"
	};
	for (size_t i = 0; i < sizeof args / sizeof args[0]; i++)
		assert_string_equal(search(args[i]), "");
}

static void test_the_longest_key_fits(void **state)
{
	(void)state;
	static const char start[] = "after=999999999999999999&limit=1000&topic=";
	char args[sizeof start + 3 * (TOPIC_MAX_BYTES + 1)];
	char text[128];

	memcpy(args, start, sizeof start);
	size_t len = sizeof start - 1;
	for (int i = 0; i < TOPIC_MAX_BYTES; i++, len += 3)
		memcpy(args + len, "%01", 4);
	assert_int_equal(strlen(search(args)), strlen("NNNNN@40#.1/topic:?after=999999999999999999&limit=1000") + 3 * TOPIC_MAX_BYTES);
	snprintf(text, sizeof text, "pygmy-changes 1 " LOG " reset %" PRIu64 "\n", COHERENCE_REVISION_MAX);
	learn(text);
	assert_int_equal(strlen(search(args)),
		strlen("NNNNN@281474976710655#.1/topic:?after=999999999999999999&limit=1000") + 3 * TOPIC_MAX_BYTES);
	memcpy(args + len, "x", 2);
	assert_string_equal(search(args), "");
}

static void test_keys_need_a_lease(void **state)
{
	(void)state;
	assert_string_not_equal(key_at(CACHE_ROUTE_LOOKUP, "id=1", 4, 1000 + LEASE_MS - 1), "");
	assert_string_equal(key_at(CACHE_ROUTE_LOOKUP, "id=1", 4, 1000 + LEASE_MS), "");
}

static void test_keys_follow_the_table(void **state)
{
	(void)state;
	learn("pygmy-changes 1 " LOG " delta 42\n41 21068\n");
	assert_string_equal(lookup("id=1"), "21068@41#.1/item:1");
	assert_string_equal(lookup("id=3"), "20950@40#.1/item:3");
	learn("pygmy-changes 1 " LOG " reset 50\n");
	assert_string_equal(lookup("id=1"), "21068@50#.1/item:1");
	assert_int_equal(coherence_table_push(table, SLICE_LITERAL("pygmy-changes 1 2222222222222222 push 3\n3 21068\n")), COHERENCE_DONE);
	assert_string_equal(lookup("id=1"), "");
	learn("pygmy-changes 1 2222222222222222 reset 3\n");
	assert_string_equal(lookup("id=1"), "21068@3#.2/item:1");
}

static size_t tag(enum cache_route route, const char *args, char *to)
{
	return cache_key_write_tag(table, route, slice_of(args), to);
}

static void test_tags(void **state)
{
	(void)state;
	char text[CACHE_KEY_MAX_BYTES], expected[64];
	snprintf(expected, sizeof expected, "21068@0#%s.1/", coherence_table_nonce(table));
	static const char *const same[] = { "id=1", "id=%31", "i%64=1" };
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		size_t len = tag(CACHE_ROUTE_LOOKUP, same[i], text);
		assert_true(slice_equal((struct slice){ text, len }, slice_of(expected)));
	}
	assert_int_equal(tag(CACHE_ROUTE_LOOKUP, "id=01", text), 0);
	assert_int_equal(tag(CACHE_ROUTE_LOOKUP, "", text), 0);
	assert_int_equal(tag(CACHE_ROUTE_SEARCH, "topic=", text), 0);
	assert_true(tag(CACHE_ROUTE_SEARCH, "topic=x", text) > 0);
}

static bool raise_by(const char *key, const char *changed)
{
	return cache_key_raise(table, slice_of(key), slice_of(changed), 1);
}

static void test_raise(void **state)
{
	(void)state;
	char key[CACHE_KEY_MAX_BYTES + 1];

	key[cache_key_write(table, CACHE_ROUTE_LOOKUP, SLICE_LITERAL("id=1"), 1001, LEASE_MS, key)] = '\0';
	assert_true(raise_by(key, "39"));
	assert_string_equal(lookup("id=1"), "21068@40#.1/item:1");
	assert_true(raise_by(key, "44"));
	assert_string_equal(lookup("id=1"), "21068@44#.1/item:1");
	key[tag(CACHE_ROUTE_LOOKUP, "id=%31", key)] = '\0';
	assert_true(raise_by(key, "45"));
	assert_string_equal(lookup("id=1"), "21068@45#.1/item:1");

	static const char *const bad_numbers[] = { "", "x", "-1", "046", "46 ", "281474976710656", "99999999999999999999" };
	for (size_t i = 0; i < sizeof bad_numbers / sizeof bad_numbers[0]; i++)
		assert_false(raise_by(key, bad_numbers[i]));
	const char *nonce = coherence_table_nonce(table);
	static const char *const bad_keys[] = { "", "21068", "21068@", "21068@0#", "21068@0#%s", "21068@0#%s.", "21068@0#%s.1", "65536@0#%s.1/",
		"x@0#%s.1/", "21068@0#0000%s.1/", "21068@0#%s.4096/", "@0#%s.1/", "21068@0#%s.x/", "21068@0#%s:1/" };
	for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
		const char *hole = strstr(bad_keys[i], "%s");
		int head = hole == NULL ? (int)strlen(bad_keys[i]) : (int)(hole - bad_keys[i]);
		snprintf(key, sizeof key, "%.*s%s%s", head, bad_keys[i], hole == NULL ? "" : nonce, hole == NULL ? "" : hole + 2);
		assert_false(raise_by(key, "46"));
	}
	assert_string_equal(lookup("id=1"), "21068@45#.1/item:1");
}

/* Slots in keys are what the workers compute for the same resource. */
static void test_slots_are_the_workers(void **state)
{
	(void)state;
	for (int64_t id = 1; id < 2000; id += 7) {
		char args[32], head[32];
		snprintf(args, sizeof args, "id=%" PRId64, id);
		snprintf(head, sizeof head, "%" PRIu32 "@", slot_of_item(id));
		assert_memory_equal(lookup(args), head, strlen(head));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_table, end_table)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lookup),
		TEST(test_what_is_not_canonical_bypasses_lookup),
		TEST(test_search),
		TEST(test_what_the_workers_refuse_bypasses_search),
		TEST(test_the_longest_key_fits),
		TEST(test_keys_need_a_lease),
		TEST(test_keys_follow_the_table),
		TEST(test_tags),
		TEST(test_raise),
		TEST(test_slots_are_the_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
