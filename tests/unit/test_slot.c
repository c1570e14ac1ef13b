/* slot: vectors computed apart from this code, as every frontend and worker must agree on them for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "db/limits.h"
#include "db/slot.h"

static void test_vectors(void **state)
{
	(void)state;
	static const struct {
		const char *resource;
		uint32_t slot;
	} vectors[] = {
		/* FNV-1a 64 of "", "a", "foobar" is cbf29ce484222325, af63dc4c8601ec8c, 85944171f73967e8 */
		{ "", 49089 }, { "a", 12480 }, { "foobar", 9881 },
		{ "all", 16829 }, { "item:1", 21068 }, { "item:3", 20950 }, { "item:7", 23786 },
		{ "item:999999999999999999", 2492 }, { "topic:distributed systems", 49805 },
		{ "topic:graduate school", 22843 }, { "topic:", 34723 }, { "topic:ä€", 32312 },
	};
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
		assert_int_equal(slot_of_resource(slice_of(vectors[i].resource)), vectors[i].slot);
}

static void test_shorthands_agree_with_the_names(void **state)
{
	(void)state;
	assert_int_equal(slot_of_item(1), 21068);
	assert_int_equal(slot_of_item(ID_MAX), 2492);
	assert_int_equal(slot_of_topic(SLICE_LITERAL("graduate school")), 22843);
	assert_int_equal(slot_of_topic(SLICE_EMPTY), 34723);
	assert_int_equal(slot_of_all(), 16829);
}

/* A million items in 65536 slots: no slot may attract many times its share (about 15). */
static void test_spreads(void **state)
{
	(void)state;
	static unsigned load[SLOT_COUNT];
	unsigned highest = 0;
	for (int64_t id = 1; id <= 1000000; id++) {
		uint32_t slot = slot_of_item(id);
		assert_true(slot < SLOT_COUNT);
		if (++load[slot] > highest)
			highest = load[slot];
	}
	assert_true(highest < 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_shorthands_agree_with_the_names),
		cmocka_unit_test(test_spreads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
