/* reader: pages, positions and the pool. Changes are in test_reader_changes.c. */
#include "tests/unit/support.h"

#include "db/monotonic.h"
#include "db/reader.h"
#include "db/slot.h"

#define LOG_ID "0123456789abcdef"

struct frame {
	struct bare_store store;
	struct reader_pool *pool;
};

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	assert_non_null(frame);
	bare_store_open(&frame->store);
	assert_int_equal(reader_pool_create(frame->store.path, 3, &frame->pool), PYGMY_OK);
	*state = frame;
	return 0;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
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

/* ---- pages ------------------------------------------------------------------------------------------ */

struct page {
	int64_t ids[32];
	int count, stop_after;
};

static bool note_item(void *context, const struct item *item)
{
	struct page *page = context;
	page->ids[page->count++] = item->id;
	return page->count != page->stop_after;
}

static bool note_order(void *context, const struct order *order)
{
	struct page *page = context;
	page->ids[page->count++] = order->id;
	return page->count != page->stop_after;
}

static void assert_items(struct reader *reader, const char *topic, int64_t after, int limit, const char *ids, bool more_wanted)
{
	struct page page = { .count = 0 };
	char text[200] = "";
	size_t len = 0;
	bool more = !more_wanted;
	assert_int_equal(reader_items(reader, slice_of(topic), after, limit, note_item, &page, &more), PYGMY_OK);
	for (int i = 0; i < page.count; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%" PRId64 " ", page.ids[i]);
	assert_string_equal(text, ids);
	assert_int_equal(more, more_wanted);
}

static void test_pages_of_items(void **state)
{
	struct frame *frame = *state;
	import_some(frame, 10);       /* 1 3 5 ... 19; of topic third: 1 7 13 19 */
	bare_store_do(&frame->store, delete_of("d", 5));
	struct reader *reader = begin(frame);
	assert_items(reader, NULL, 0, 4, "1 3 7 9 ", true);
	assert_items(reader, NULL, 9, 4, "11 13 15 17 ", true);
	assert_items(reader, NULL, 17, 4, "19 ", false);
	assert_items(reader, NULL, 15, 2, "17 19 ", false);
	assert_items(reader, NULL, 19, 4, "", false);
	assert_items(reader, "third", 0, 2, "1 7 ", true);
	assert_items(reader, "third", 7, 2, "13 19 ", false);
	assert_items(reader, "third", 8, 10, "13 19 ", false);
	assert_items(reader, "nothing", 0, 10, "", false);
	assert_items(reader, "", 0, 10, "", false);
	struct page page = { .stop_after = 2 };
	bool more;
	assert_int_equal(reader_items(reader, SLICE_EMPTY, 0, 10, note_item, &page, &more), PYGMY_OK);
	assert_int_equal(page.count, 2);
	reader_end(reader);
}

static void assert_orders(struct reader *reader, int64_t bound, bool descending, int limit, const char *ids, bool more_wanted)
{
	struct page page = { .count = 0 };
	char text[200] = "";
	size_t len = 0;
	bool more = !more_wanted;
	assert_int_equal(reader_orders(reader, bound, descending, limit, note_order, &page, &more), PYGMY_OK);
	for (int i = 0; i < page.count; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%" PRId64 " ", page.ids[i]);
	assert_string_equal(text, ids);
	assert_int_equal(more, more_wanted);
}

static void test_pages_of_orders(void **state)
{
	struct frame *frame = *state;
	char key[16];
	import_some(frame, 2);
	struct reader *reader = begin(frame);
	assert_orders(reader, 0, false, 3, "", false);
	assert_orders(reader, 0, true, 3, "", false);
	reader_end(reader);
	for (int i = 1; i <= 5; i++) {
		snprintf(key, sizeof key, "b%d", i);
		bare_store_do(&frame->store, buy_of(key, 3, 1));
	}
	reader = begin(frame);
	assert_orders(reader, 0, false, 3, "1 2 3 ", true);
	assert_orders(reader, 3, false, 3, "4 5 ", false);
	assert_orders(reader, 0, true, 3, "5 4 3 ", true);
	assert_orders(reader, 3, true, 3, "2 1 ", false);
	assert_orders(reader, 1, true, 3, "", false);
	assert_orders(reader, INT64_MAX, false, 3, "", false);
	struct order order;
	assert_int_equal(reader_order(reader, 4, &order), PYGMY_OK);
	assert_int_equal(order.id, 4);
	assert_int_equal(order.item_id, 3);
	assert_int_equal(order.quantity, 1);
	assert_int_equal(order.unit_cost_minor, 1);
	assert_int_equal(order.created_ms, 1700000000000);
	assert_int_equal(reader_order(reader, 6, &order), PYGMY_ORDER_NOT_FOUND);
	assert_int_equal(reader_order(reader, 0, &order), PYGMY_ORDER_NOT_FOUND);
	reader_end(reader);
}

static void test_one_item(void **state)
{
	struct frame *frame = *state;
	struct item item;
	bare_store_do(&frame->store, create_of("c", "Title", "topic", 1185, 4));
	struct reader *reader = begin(frame);
	assert_int_equal(reader_item(reader, 1, &item), PYGMY_OK);
	assert_int_equal(item.id, 1);
	assert_true(slice_equal(item.title, SLICE_LITERAL("Title")));
	assert_true(slice_equal(item.topic, SLICE_LITERAL("topic")));
	assert_int_equal(item.cost_minor, 1185);
	assert_int_equal(item.count, 4);
	assert_int_equal(reader_item(reader, 2, &item), PYGMY_ITEM_NOT_FOUND);
	reader_end(reader);
	bare_store_do(&frame->store, delete_of("d", 1));
	reader = begin(frame);
	assert_int_equal(reader_item(reader, 1, &item), PYGMY_ITEM_NOT_FOUND);
	reader_end(reader);
}

/* ---- positions -------------------------------------------------------------------------------------- */

static void test_a_read_stands_still(void **state)
{
	struct frame *frame = *state;
	struct item item;
	bare_store_do(&frame->store, create_of("c", "Title", "topic", 1, 4));
	struct reader *before = begin(frame);
	bare_store_do(&frame->store, buy_of("b", 1, 1));
	struct reader *after = begin(frame);
	assert_int_equal(reader_revision(before), 1);
	assert_int_equal(reader_revision(after), 2);
	assert_int_equal(reader_item(before, 1, &item), PYGMY_OK);
	assert_int_equal(item.count, 4);
	assert_int_equal(reader_item(after, 1, &item), PYGMY_OK);
	assert_int_equal(item.count, 3);
	reader_end(before);
	reader_end(after);
}

static void assert_changed(struct reader *reader, uint32_t slot, uint64_t revision)
{
	uint64_t changed = 999;
	assert_int_equal(reader_slot_changed(reader, slot, &changed), PYGMY_OK);
	assert_int_equal(changed, revision);
}

static void test_when_a_slot_changed(void **state)
{
	struct frame *frame = *state;
	bare_store_do(&frame->store, create_of("c", "Title", "topic", 1, 4));         /* 1 */
	bare_store_do(&frame->store, create_of("d", "Title", "other", 1, 4));         /* 2 */
	struct reader *reader = begin(frame);
	assert_changed(reader, slot_of_item(1), 1);
	assert_changed(reader, slot_of_item(2), 2);
	assert_changed(reader, slot_of_all(), 2);
	assert_changed(reader, slot_of_item(3), 0);
	reader_end(reader);
	import_some(frame, 1);                                                        /* 3: the floor */
	bare_store_do(&frame->store, buy_of("b", 2, 1));                              /* 4 */
	reader = begin(frame);
	assert_changed(reader, slot_of_item(3), 3);
	assert_changed(reader, slot_of_item(1), 3);
	assert_changed(reader, slot_of_item(2), 4);
	reader_end(reader);
}

static void test_whether_the_catalogue_is_loaded(void **state)
{
	struct frame *frame = *state;
	struct item item = item_of(1, "T", "t", 1, 1);
	struct command first = import_of("i", &item, 1);
	struct reader *reader = begin(frame);
	assert_false(reader_catalogue_loaded(reader));
	reader_end(reader);
	first.import.first_catalogue = first.import.last_part = true;
	bare_store_do(&frame->store, first);
	reader = begin(frame);
	assert_true(reader_catalogue_loaded(reader));
	reader_end(reader);
}

static void test_counts(void **state)
{
	struct frame *frame = *state;
	struct reader_counts counts;
	char hex[2 * CHAIN_BYTES + 1] = "";
	import_some(frame, 4);
	bare_store_do(&frame->store, delete_of("d", 1));
	bare_store_do(&frame->store, buy_of("b", 3, 2));
	struct reader *reader = begin(frame);
	assert_int_equal(reader_counts(reader, &counts), PYGMY_OK);
	reader_end(reader);
	for (size_t i = 0; i < CHAIN_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", frame->store.position.chain[i]);
	assert_int_equal(counts.items, 3);
	assert_int_equal(counts.orders, 1);
	assert_int_equal(counts.revision, 3);
	assert_string_equal(counts.chain_hex, hex);
}

/* ---- the pool --------------------------------------------------------------------------------------- */

static void test_the_pool_has_an_end(void **state)
{
	struct frame *frame = *state;
	struct reader *readers[3], *none;
	for (int i = 0; i < 3; i++)
		readers[i] = begin(frame);
	assert_int_equal(reader_pool_begin(frame->pool, 0, &none), PYGMY_BUSY);
	assert_null(none);
	reader_end(readers[1]);
	assert_ptr_equal(begin(frame), readers[1]);
	for (int i = 0; i < 3; i++)
		reader_end(readers[i]);
}

static void test_readers_cannot_write(void **state)
{
	struct frame *frame = *state;
	struct database database;
	assert_int_equal(database_open(&database, frame->store.path, DATABASE_READ), PYGMY_OK);
	assert_int_equal(sqlite3_exec(database.handle, "DELETE FROM items", NULL, NULL, NULL) & 0xff, SQLITE_READONLY);
	database_close(&database);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_pages_of_items),
		TEST(test_pages_of_orders),
		TEST(test_one_item),
		TEST(test_a_read_stands_still),
		TEST(test_when_a_slot_changed),
		TEST(test_whether_the_catalogue_is_loaded),
		TEST(test_counts),
		TEST(test_the_pool_has_an_end),
		TEST(test_readers_cannot_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
