/* reader: the answer to "what changed since?": a delta without holes, or a reset. */
#include "tests/unit/support.h"

#include "db/monotonic.h"
#include "db/reader.h"
#include "db/slot.h"

#define LOG_ID "0123456789abcdef"

struct frame {
	struct bare_store store;
	struct reader_pool *pool;
	struct arena arena;
};

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	assert_non_null(frame);
	bare_store_open(&frame->store);
	assert_int_equal(reader_pool_create(frame->store.path, 3, &frame->pool), PYGMY_OK);
	arena_init(&frame->arena, (size_t)8 * 1024 * 1024);
	*state = frame;
	return 0;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	arena_close(&frame->arena);
	reader_pool_destroy(frame->pool);
	bare_store_close(&frame->store);
	free(frame);
	return 0;
}

static struct reader *begin(struct frame *frame)
{
	struct reader *reader;
	assert_int_equal(reader_pool_begin(frame->pool, 0, &reader), PYGMY_OK);
	return reader;
}

static void import_some(struct frame *frame, int count)
{
	struct item *items = calloc((size_t)count, sizeof *items);
	assert_non_null(items);
	for (int i = 0; i < count; i++)
		items[i] = item_of(2 * i + 1, "Title", i % 3 == 0 ? "third" : "other", i, 10);
	assert_int_equal(bare_store_do(&frame->store, import_of("import", items, (size_t)count)).error, PYGMY_OK);
	free(items);
}

static const char *changes(struct frame *frame, const char *log_id, uint64_t since)
{
	struct reader *reader = begin(frame);
	struct slice text;
	struct changes_head head;
	assert_int_equal(reader_changes(reader, slice_of(log_id), since, &frame->arena, &text), PYGMY_OK);
	reader_end(reader);
	assert_true(changes_parse(text, &head, NULL, NULL));
	return arena_copy(&frame->arena, text).ptr;
}

#define HEAD "pygmy-changes 1 " LOG_ID " "

struct pair_count {
	int pairs;
	uint64_t of_item_1, of_item_2, of_all;
};

static void count_pair(void *context, uint32_t slot, uint64_t revision)
{
	struct pair_count *count = context;
	count->pairs++;
	count->of_item_1 = slot == slot_of_item(1) ? revision : count->of_item_1;
	count->of_item_2 = slot == slot_of_item(2) ? revision : count->of_item_2;
	count->of_all = slot == slot_of_all() ? revision : count->of_all;
}

static struct pair_count pairs_since(struct frame *frame, uint64_t since)
{
	struct pair_count count = { 0 };
	struct changes_head head;
	assert_true(changes_parse(slice_of(changes(frame, LOG_ID, since)), &head, count_pair, &count));
	assert_int_equal(head.kind, CHANGES_DELTA);
	return count;
}

static void test_delta(void **state)
{
	struct frame *frame = *state;
	bare_store_do(&frame->store, create_of("c", "Title", "topic", 1, 4));         /* 1 */
	bare_store_do(&frame->store, create_of("d", "Title", "topic", 1, 4));         /* 2 */
	bare_store_do(&frame->store, buy_of("b", 1, 1));                              /* 3 */
	bare_store_do(&frame->store, buy_of("r", 1, 100));                            /* 4: nothing changed */
	assert_string_equal(changes(frame, LOG_ID, 4), HEAD "delta 4\n");
	assert_string_equal(changes(frame, LOG_ID, 3), HEAD "delta 4\n");
	struct pair_count since_2 = pairs_since(frame, 2);
	assert_int_equal(since_2.pairs, 3);
	assert_int_equal(since_2.of_item_1, 3);
	assert_int_equal(since_2.of_item_2, 0);
	struct pair_count since_0 = pairs_since(frame, 0);
	assert_int_equal(since_0.pairs, 4);
	assert_int_equal(since_0.of_item_1, 3);
	assert_int_equal(since_0.of_item_2, 2);
	assert_int_equal(since_0.of_all, 3);
}

static void test_reset(void **state)
{
	struct frame *frame = *state;
	assert_string_equal(changes(frame, LOG_ID, 0), HEAD "delta 0\n");
	bare_store_do(&frame->store, create_of("c", "Title", "topic", 1, 4));
	assert_string_equal(changes(frame, "fedcba9876543210", 1), HEAD "reset 1\n");
	assert_string_equal(changes(frame, "", 0), HEAD "reset 1\n");
	assert_string_equal(changes(frame, LOG_ID, 2), HEAD "reset 1\n");
	assert_string_equal(changes(frame, LOG_ID, UINT64_MAX), HEAD "reset 1\n");
	import_some(frame, 1);
	assert_string_equal(changes(frame, LOG_ID, 1), HEAD "reset 2\n");
	assert_string_equal(changes(frame, LOG_ID, 2), HEAD "delta 2\n");
	bare_store_do(&frame->store, buy_of("b", 1, 1));
	assert_int_equal(pairs_since(frame, 2).of_item_1, 3);
	assert_string_equal(changes(frame, LOG_ID, 1), HEAD "reset 3\n");
}

/* The ring remembers CHANGES_RING_ENTRIES entries; what is older is a reset, and never a delta with holes. */
static void test_the_ring_wraps(void **state)
{
	struct frame *frame = *state;
	bare_store_do(&frame->store, create_of("c", "Title", "topic", 1, 100));       /* 1 */
	sql_run(&frame->store.database, "BEGIN IMMEDIATE");
	for (int i = 0; i < CHANGES_RING_ENTRIES + 10; i++) {
		struct slice empty = entry_of(&frame->store.arena, NULL, 0);
		assert_int_equal(apply_entry(frame->store.apply, &frame->store.position, empty, &frame->store.arena, frame->store.results,
					     &frame->store.result_count), PYGMY_OK);
		arena_reset(&frame->store.arena);
	}
	sql_run(&frame->store.database, "COMMIT");
	bare_store_do(&frame->store, buy_of("b", 1, 1));
	uint64_t end = frame->store.position.index;
	assert_int_equal(end, CHANGES_RING_ENTRIES + 12);
	assert_int_equal(sql_number(&frame->store.database, "SELECT count(*) FROM changes"), CHANGES_RING_ENTRIES);
	assert_int_equal(pairs_since(frame, end - 1).pairs, 3);
	assert_int_equal(pairs_since(frame, end - CHANGES_RING_ENTRIES + 1).pairs, 3);
	char reset[80];
	snprintf(reset, sizeof reset, HEAD "reset %" PRIu64 "\n", end);
	assert_string_equal(changes(frame, LOG_ID, end - CHANGES_RING_ENTRIES - 1), reset);
	assert_string_equal(changes(frame, LOG_ID, 0), reset);
}

static void test_changes_without_memory(void **state)
{
	struct frame *frame = *state;
	struct arena none;
	struct slice text;
	arena_init(&none, 0);
	struct reader *reader = begin(frame);
	assert_int_equal(reader_changes(reader, SLICE_LITERAL(LOG_ID), 0, &none, &text), PYGMY_OUT_OF_MEMORY);
	reader_end(reader);
	arena_close(&none);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_delta),
		TEST(test_reset),
		TEST(test_the_ring_wraps),
		TEST(test_changes_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
