/* apply: what each command decides and changes. Keys are in test_apply_keys.c, whole entries in test_apply_entry.c. */
#include "tests/unit/support.h"

#include "db/item.h"
#include "db/slot.h"

static int64_t count_of_item(struct bare_store *store, int id)
{
	char sql[80];
	snprintf(sql, sizeof sql, "SELECT count FROM items WHERE id = %d AND deleted = 0", id);
	return sql_number(&store->database, sql);
}

static void assert_slots(const struct result *result, int64_t item_id, const char *topic)
{
	assert_int_equal(result->slot_count, 3);
	assert_int_equal(result->slots[0], slot_of_item(item_id));
	assert_int_equal(result->slots[1], slot_of_topic(slice_of(topic)));
	assert_int_equal(result->slots[2], slot_of_all());
}

static void make_item(struct bare_store *store, int64_t count)
{
	struct result made = bare_store_do(store, create_of("make", "Title", "topic", 1000, count));
	assert_int_equal(made.error, PYGMY_OK);
	assert_int_equal(made.id, 1);
}

/* ---- buying ----------------------------------------------------------------------------------------- */

static void test_buy_takes_stock_and_makes_an_order(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	struct result bought = bare_store_do(store, buy_of("b", 1, 2));
	assert_int_equal(bought.error, PYGMY_OK);
	assert_int_equal(bought.id, 1);
	assert_int_equal(bought.quantity, 2);
	assert_int_equal(bought.revision, 2);
	assert_false(bought.repeated);
	assert_slots(&bought, 1, "topic");
	assert_int_equal(count_of_item(store, 1), 3);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM orders WHERE id = 1 AND item_id = 1 AND quantity = 2"
				    " AND unit_cost_minor = 1000 AND created_ms = 1700000000000 AND revision = 2 AND request_key = 'b'"), 1);
	assert_int_equal(bare_store_do(store, buy_of("c", 1, 1)).id, 2);
	assert_books_balance(&store->database);
}

static void test_an_order_keeps_the_price_it_was_made_at(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	bare_store_do(store, buy_of("b", 1, 1));
	assert_int_equal(bare_store_do(store, cost_of("u", 1, 250)).error, PYGMY_OK);
	bare_store_do(store, buy_of("c", 1, 1));
	assert_int_equal(sql_number(&store->database, "SELECT unit_cost_minor FROM orders WHERE id = 1"), 1000);
	assert_int_equal(sql_number(&store->database, "SELECT unit_cost_minor FROM orders WHERE id = 2"), 250);
}

static void test_refusals_of_a_purchase(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 2);
	struct result unknown = bare_store_do(store, buy_of("u", 9, 1));
	assert_int_equal(unknown.error, PYGMY_ITEM_NOT_FOUND);
	assert_int_equal(unknown.slot_count, 0);
	struct result too_many = bare_store_do(store, buy_of("i", 1, 3));
	assert_int_equal(too_many.error, PYGMY_INSUFFICIENT_STOCK);
	assert_int_equal(too_many.quantity, 2);
	assert_int_equal(bare_store_do(store, buy_of("all", 1, 2)).error, PYGMY_OK);
	struct result sold_out = bare_store_do(store, buy_of("s", 1, 1));
	assert_int_equal(sold_out.error, PYGMY_SOLD_OUT);
	assert_int_equal(sold_out.slot_count, 0);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM orders"), 1);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results WHERE error <> 0"), 3);
	assert_books_balance(&store->database);
}

static void test_quantities_add_up_within_one_entry(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	const struct command batch[] = { buy_of("1", 1, 2), buy_of("2", 1, 2), buy_of("3", 1, 2), buy_of("4", 1, 1), buy_of("5", 1, 1) };
	bare_store_run(store, batch, 5);
	assert_int_equal(store->results[0].error, PYGMY_OK);
	assert_int_equal(store->results[1].error, PYGMY_OK);
	assert_int_equal(store->results[2].error, PYGMY_INSUFFICIENT_STOCK);
	assert_int_equal(store->results[2].quantity, 1);
	assert_int_equal(store->results[3].error, PYGMY_OK);
	assert_int_equal(store->results[4].error, PYGMY_SOLD_OUT);
	assert_int_equal(count_of_item(store, 1), 0);
	assert_books_balance(&store->database);
}

/* ---- the catalogue ---------------------------------------------------------------------------------- */

static void test_create_gives_the_next_id(void **state)
{
	struct bare_store *store = *state;
	struct result made = bare_store_do(store, create_of("1", "A", "t", 0, 0));
	assert_int_equal(made.id, 1);
	assert_slots(&made, 1, "t");
	assert_int_equal(bare_store_do(store, create_of("2", "B", "t", 0, 0)).id, 2);
	bare_store_do(store, delete_of("d", 2));
	assert_int_equal(bare_store_do(store, create_of("3", "C", "t", 0, 0)).id, 3);
}

static void test_ids_can_be_exhausted(void **state)
{
	struct bare_store *store = *state;
	struct item last = item_of(ID_MAX, "Last", "t", 0, 1);
	assert_int_equal(bare_store_do(store, import_of("i", &last, 1)).error, PYGMY_OK);
	assert_int_equal(bare_store_do(store, create_of("c", "One more", "t", 0, 0)).error, PYGMY_IDS_EXHAUSTED);
	assert_int_equal(bare_store_do(store, buy_of("b", ID_MAX, 1)).error, PYGMY_OK);
}

static void test_update_of_cost_count_and_delta(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	struct result updated = bare_store_do(store, cost_of("cost", 1, 1185));
	assert_int_equal(updated.error, PYGMY_OK);
	assert_slots(&updated, 1, "topic");
	assert_int_equal(sql_number(&store->database, "SELECT cost_minor FROM items"), 1185);
	assert_int_equal(count_of_item(store, 1), 5);
	bare_store_do(store, buy_of("b", 1, 2));
	bare_store_do(store, count_of("count", 1, 40));
	assert_int_equal(count_of_item(store, 1), 40);
	assert_int_equal(sql_number(&store->database, "SELECT supplied FROM items"), 42);
	bare_store_do(store, delta_of("down", 1, -40));
	assert_int_equal(count_of_item(store, 1), 0);
	bare_store_do(store, delta_of("up", 1, COUNT_MAX));
	assert_int_equal(count_of_item(store, 1), COUNT_MAX);
	struct command both = delta_of("both", 1, -1);
	both.item_update.has_cost = true;
	both.item_update.cost_minor = 0;
	assert_int_equal(bare_store_do(store, both).error, PYGMY_OK);
	assert_int_equal(sql_number(&store->database, "SELECT cost_minor FROM items"), 0);
	assert_int_equal(count_of_item(store, 1), COUNT_MAX - 1);
	assert_books_balance(&store->database);
}

static void test_refused_updates_change_nothing(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	struct command below = delta_of("below", 1, -6);
	below.item_update.has_cost = true;
	below.item_update.cost_minor = 1;
	struct result refused = bare_store_do(store, below);
	assert_int_equal(refused.error, PYGMY_STOCK_CONFLICT);
	assert_int_equal(refused.slot_count, 0);
	assert_int_equal(bare_store_do(store, delta_of("above", 1, COUNT_MAX)).error, PYGMY_STOCK_CONFLICT);
	assert_int_equal(bare_store_do(store, count_of("none", 2, 1)).error, PYGMY_ITEM_NOT_FOUND);
	assert_int_equal(count_of_item(store, 1), 5);
	assert_int_equal(sql_number(&store->database, "SELECT cost_minor FROM items"), 1000);
}

static void test_if_match_guards_update_and_delete(void **state)
{
	struct bare_store *store = *state;
	char etag[ETAG_HEX_LEN + 1];
	make_item(store, 5);
	struct item item = item_of(1, "Title", "topic", 1000, 5);
	item_etag(&item, etag);
	struct command update = count_of("u", 1, 6);
	update.item_update.if_match = slice_of(etag);
	assert_int_equal(bare_store_do(store, update).error, PYGMY_OK);
	update.request_key = slice_of("v");
	assert_int_equal(bare_store_do(store, update).error, PYGMY_PRECONDITION_FAILED);
	assert_int_equal(count_of_item(store, 1), 6);
	struct command delete = delete_of("d", 1);
	delete.item_delete.if_match = slice_of(etag);
	assert_int_equal(bare_store_do(store, delete).error, PYGMY_PRECONDITION_FAILED);
	assert_int_equal(count_of_item(store, 1), 6);
	item.count = 6;
	item_etag(&item, etag);
	delete.request_key = slice_of("e");
	assert_int_equal(bare_store_do(store, delete).error, PYGMY_OK);
	assert_int_equal(count_of_item(store, 1), -1);
	struct command any = count_of("any", 1, 1);
	any.item_update.if_match = slice_of("*");
	assert_int_equal(bare_store_do(store, any).error, PYGMY_ITEM_NOT_FOUND);
}

static void test_a_deleted_item_is_gone_until_imported_again(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	bare_store_do(store, buy_of("b", 1, 2));
	struct result deleted = bare_store_do(store, delete_of("d", 1));
	assert_int_equal(deleted.error, PYGMY_OK);
	assert_slots(&deleted, 1, "topic");
	assert_int_equal(bare_store_do(store, buy_of("c", 1, 1)).error, PYGMY_ITEM_NOT_FOUND);
	assert_int_equal(bare_store_do(store, count_of("u", 1, 1)).error, PYGMY_ITEM_NOT_FOUND);
	assert_int_equal(bare_store_do(store, delete_of("e", 1)).error, PYGMY_ITEM_NOT_FOUND);
	assert_books_balance(&store->database);
	struct item again = item_of(1, "Second edition", "other", 900, 7);
	assert_int_equal(bare_store_do(store, import_of("i", &again, 1)).error, PYGMY_OK);
	assert_int_equal(count_of_item(store, 1), 7);
	assert_int_equal(sql_number(&store->database, "SELECT supplied FROM items"), 9);
	assert_int_equal(bare_store_do(store, buy_of("f", 1, 1)).id, 2);
	assert_books_balance(&store->database);
}

static void test_import_makes_and_overwrites_and_counts_as_changing_everything(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	bare_store_do(store, buy_of("b", 1, 1));
	const struct item items[] = { item_of(1, "New title", "topic 2", 5, 50), item_of(7, "Seven", "topic 7", 7, 70) };
	struct result imported = bare_store_do(store, import_of("i", items, 2));
	assert_int_equal(imported.error, PYGMY_OK);
	assert_int_equal(imported.quantity, 2);
	assert_true(imported.slot_count == SLOTS_ALL_CHANGED);
	assert_int_equal(sql_number(&store->database, "SELECT floor FROM store"), (int64_t)imported.revision);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM items WHERE title = 'New title' AND topic = 'topic 2'"
				    " AND cost_minor = 5 AND count = 50 AND sold = 1 AND supplied = 51"), 1);
	assert_int_equal(count_of_item(store, 7), 70);
	assert_books_balance(&store->database);
}

static void test_the_first_catalogue_is_loaded_once(void **state)
{
	struct bare_store *store = *state;
	const struct item items[] = { item_of(1, "One", "t", 1, 1), item_of(2, "Two", "t", 2, 2) };
	struct command first = import_of("1", &items[0], 1), last = import_of("2", &items[1], 1), late = import_of("3", &items[0], 1);
	first.import.first_catalogue = last.import.first_catalogue = late.import.first_catalogue = true;
	last.import.last_part = late.import.last_part = true;
	assert_int_equal(bare_store_do(store, first).error, PYGMY_OK);
	assert_false(store->position.catalogue_loaded);
	assert_int_equal(bare_store_do(store, last).error, PYGMY_OK);
	assert_true(store->position.catalogue_loaded);
	bare_store_do(store, count_of("u", 1, 9));
	assert_int_equal(bare_store_do(store, late).error, PYGMY_CATALOGUE_NOT_EMPTY);
	assert_int_equal(count_of_item(store, 1), 9);
	assert_int_equal(bare_store_do(store, import_of("4", &items[0], 1)).error, PYGMY_OK);
	assert_int_equal(count_of_item(store, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bare_store_test(test_buy_takes_stock_and_makes_an_order),
		bare_store_test(test_an_order_keeps_the_price_it_was_made_at),
		bare_store_test(test_refusals_of_a_purchase),
		bare_store_test(test_quantities_add_up_within_one_entry),
		bare_store_test(test_create_gives_the_next_id),
		bare_store_test(test_ids_can_be_exhausted),
		bare_store_test(test_update_of_cost_count_and_delta),
		bare_store_test(test_refused_updates_change_nothing),
		bare_store_test(test_if_match_guards_update_and_delete),
		bare_store_test(test_a_deleted_item_is_gone_until_imported_again),
		bare_store_test(test_import_makes_and_overwrites_and_counts_as_changing_everything),
		bare_store_test(test_the_first_catalogue_is_loaded_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
