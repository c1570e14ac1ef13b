/* compaction: what a majority holds stays reachable, and the margin is kept. */
#include "tests/unit/support.h"

#include "db/compaction.h"

static uint64_t majority(size_t configured, size_t count, const uint64_t *durable)
{
	return compaction_majority_durable(durable, count, configured);
}

static void majority_of_the_configured(void **state)
{
	(void)state;
	assert_int_equal(majority(3, 3, (uint64_t[]){ 10, 20, 30 }), 20);
	assert_int_equal(majority(3, 3, (uint64_t[]){ 30, 10, 30 }), 30);
	assert_int_equal(majority(3, 2, (uint64_t[]){ 30, 10 }), 10);
	assert_int_equal(majority(3, 1, (uint64_t[]){ 30 }), 0);
	assert_int_equal(majority(1, 1, (uint64_t[]){ 7 }), 7);
	assert_int_equal(majority(2, 2, (uint64_t[]){ 7, 9 }), 7);
	assert_int_equal(majority(4, 4, (uint64_t[]){ 1, 2, 3, 4 }), 2);
	assert_int_equal(majority(5, 5, (uint64_t[]){ 5, 1, 4, 2, 3 }), 3);
	assert_int_equal(majority(3, 3, (uint64_t[]){ 0, 0, 9 }), 0);
	assert_int_equal(majority(3, 0, NULL), 0);
}

/* A log whose entries have the same size; nothing below first is remembered. */
struct fake_log {
	uint64_t entry_bytes, first;
	int questions;
};

static bool log_bytes(void *context, uint64_t index, uint64_t *bytes)
{
	struct fake_log *log = context;
	log->questions++;
	*bytes = index * log->entry_bytes;
	return index >= log->first;
}

static const struct compaction_margin margin = { COMPACTION_MARGIN_ENTRIES, COMPACTION_MARGIN_BYTES };

static uint64_t index_of(struct fake_log *log, uint64_t durable, uint64_t applied)
{
	log->questions = 0;
	uint64_t index = compaction_index(durable, applied, margin, log_bytes, log);
	assert_true(log->questions <= 20);
	return index;
}

static void small_entries_keep_their_number(void **state)
{
	(void)state;
	struct fake_log log = { .entry_bytes = 100 };
	assert_int_equal(index_of(&log, 100000, 100000), 98000);
	assert_int_equal(index_of(&log, 100000, 90000), 88000);
	assert_int_equal(index_of(&log, 90000, 100000), 88000);
	assert_int_equal(index_of(&log, 1500, 1500), 1);
	assert_int_equal(index_of(&log, 1, 1), 0);
	assert_int_equal(index_of(&log, 0, 100), 0);
}

static void large_entries_keep_their_bytes(void **state)
{
	(void)state;
	struct fake_log log = { .entry_bytes = 1024 * 1024 };
	assert_int_equal(index_of(&log, 5000, 5000), 4984);
	log.entry_bytes = 2 * COMPACTION_MARGIN_BYTES;
	assert_int_equal(index_of(&log, 5000, 5000), 5000);
}

static void what_is_not_remembered_is_not_kept(void **state)
{
	(void)state;
	struct fake_log log = { .entry_bytes = 100, .first = 4500 };
	assert_int_equal(index_of(&log, 5000, 5000), 4500);
	log.first = 5001;
	assert_int_equal(index_of(&log, 5000, 5000), 0);
}

static void never_past_what_is_durable_or_applied(void **state)
{
	(void)state;
	uint64_t seed = test_seed("never_past_what_is_durable_or_applied");
	for (int i = 0; i < 20000; i++) {
		struct fake_log log = { .entry_bytes = test_random(&seed) % 3000000, .first = test_random(&seed) % 6000 };
		uint64_t durable = test_random(&seed) % 6000, applied = test_random(&seed) % 6000;
		uint64_t index = index_of(&log, durable, applied);
		assert_true(index <= durable && index <= applied);
		if (index > 0) {
			uint64_t top = durable < applied ? durable : applied;
			assert_true(index >= log.first);
			assert_true((top - index) * log.entry_bytes <= COMPACTION_MARGIN_BYTES);
			assert_true(top - index <= COMPACTION_MARGIN_ENTRIES);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(majority_of_the_configured),
		cmocka_unit_test(small_entries_keep_their_number),
		cmocka_unit_test(large_entries_keep_their_bytes),
		cmocka_unit_test(what_is_not_remembered_is_not_kept),
		cmocka_unit_test(never_past_what_is_durable_or_applied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
