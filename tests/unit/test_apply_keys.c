/* apply: one request key decides once. Repeated, reused, refused, forgotten and outdated keys. */
#include "tests/unit/support.h"

#define FIRST_KEPT_NGINX_FORM "u/0/1700000000.123-0123456789abcdef0123456789abcdef"

static void make_item(struct bare_store *store, int64_t count)
{
	assert_int_equal(bare_store_do(store, create_of("make", "Title", "topic", 1000, count)).error, PYGMY_OK);
}

static void assert_same_result(struct result first, struct result again)
{
	assert_false(first.repeated);
	assert_true(again.repeated);
	assert_int_equal(first.error, again.error);
	assert_int_equal(first.revision, again.revision);
	assert_int_equal(first.id, again.id);
	assert_int_equal(first.quantity, again.quantity);
	assert_true(first.slot_count == again.slot_count);
	for (uint32_t i = 0; i < first.slot_count && first.slot_count != SLOTS_ALL_CHANGED; i++)
		assert_int_equal(first.slots[i], again.slots[i]);
}

static void test_a_repeated_key_gives_the_recorded_result(void **state)
{
	struct bare_store *store = *state;
	const struct item items[] = { item_of(5, "Five", "t5", 5, 5) };
	make_item(store, 10);
	const struct command commands[] = {
		buy_of("buy", 1, 2), buy_of("too many", 1, 99), buy_of("unknown", 99, 1), create_of("create", "Two", "t2", 2, 2),
		count_of("count", 1, 30), delta_of("delta", 1, -7), delta_of("conflict", 1, -700), cost_of("cost", 1, 5),
		import_of("import", items, 1), delete_of("delete", 2), delete_of("delete nothing", 77),
	};
	enum { COMMANDS = sizeof commands / sizeof commands[0] };
	struct result first[COMMANDS];
	for (size_t i = 0; i < COMMANDS; i++)
		first[i] = bare_store_do(store, commands[i]);
	char *before = database_dump(&store->database);
	for (size_t i = 0; i < COMMANDS; i++)
		assert_same_result(first[i], bare_store_do(store, commands[i]));
	/* Repeats change nothing but the position, the chain and the ring. */
	char *after = database_dump(&store->database);
	char *items_before = strstr(before, "\nitems"), *items_after = strstr(after, "\nitems");
	char *ring_before = strstr(before, "\nchanges"), *ring_after = strstr(after, "\nchanges");
	assert_int_equal(ring_before - items_before, ring_after - items_after);
	assert_memory_equal(items_before, items_after, (size_t)(ring_before - items_before));
	sqlite3_free(before);
	sqlite3_free(after);
}

static void test_a_repeated_purchase_keeps_its_slots_when_the_topic_changes(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 10);
	struct result first = bare_store_do(store, buy_of("b", 1, 1));
	struct item moved = item_of(1, "Title", "another topic", 1000, 9);
	bare_store_do(store, import_of("move", &moved, 1));
	assert_same_result(first, bare_store_do(store, buy_of("b", 1, 1)));
}

static void test_a_repeat_within_one_entry(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 10);
	const struct command batch[] = { buy_of("b", 1, 1), buy_of("b", 1, 1), buy_of("b", 1, 2) };
	bare_store_run(store, batch, 3);
	assert_same_result(store->results[0], store->results[1]);
	assert_int_equal(store->results[2].error, PYGMY_KEY_REUSED);
	assert_int_equal(sql_number(&store->database, "SELECT count FROM items"), 9);
}

static void test_a_reused_key_is_refused_and_leaves_the_record(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 10);
	struct result first = bare_store_do(store, buy_of("b", 1, 1));
	struct result refusal = bare_store_do(store, buy_of("r", 1, 100));
	assert_int_equal(bare_store_do(store, buy_of("b", 1, 2)).error, PYGMY_KEY_REUSED);
	assert_int_equal(bare_store_do(store, buy_of("b", 2, 1)).error, PYGMY_KEY_REUSED);
	assert_int_equal(bare_store_do(store, buy_of("r", 1, 1)).error, PYGMY_KEY_REUSED);
	assert_int_equal(bare_store_do(store, count_of("r", 1, 1)).error, PYGMY_KEY_REUSED);
	assert_int_equal(bare_store_do(store, count_of("b", 1, 1)).error, PYGMY_KEY_REUSED);
	assert_same_result(first, bare_store_do(store, buy_of("b", 1, 1)));
	assert_same_result(refusal, bare_store_do(store, buy_of("r", 1, 100)));
	assert_int_equal(sql_number(&store->database, "SELECT count FROM items"), 9);
}

/* The hash is over the client's fields: neither the time nor the index of the proposer belongs to the request. */
static void test_the_same_request_at_another_time_is_the_same(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 10);
	struct command buy = buy_of("b", 1, 1);
	struct result first = bare_store_do(store, buy);
	buy.time_ms += 5000;
	buy.base_index = 1;
	assert_same_result(first, bare_store_do(store, buy));
}

static void test_a_refusal_stays_even_when_it_would_succeed_now(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 0);
	struct result refused = bare_store_do(store, buy_of("b", 1, 1));
	assert_int_equal(refused.error, PYGMY_SOLD_OUT);
	bare_store_do(store, count_of("more", 1, 5));
	assert_same_result(refused, bare_store_do(store, buy_of("b", 1, 1)));
	assert_int_equal(bare_store_do(store, buy_of("c", 1, 1)).error, PYGMY_OK);
}

/* ---- by index --------------------------------------------------------------------------------------- */

static void move_index_to(struct bare_store *store, uint64_t index)
{
	char sql[80];
	snprintf(sql, sizeof sql, "UPDATE store SET log_index = %" PRIu64, index);
	sql_run(&store->database, sql);
	sql_run(&store->database, "BEGIN");
	assert_int_equal(apply_read_position(store->apply, &store->position), PYGMY_OK);
	sql_run(&store->database, "COMMIT");
}

static struct result do_at(struct bare_store *store, struct command command)
{
	command.base_index = store->position.index;
	return bare_store_do(store, command);
}

static void test_refusals_are_forgotten_by_index_and_successes_are_not(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 10);                                                          /* 1: kept */
	struct result bought = bare_store_do(store, buy_of("buy", 1, 1));              /* 2: an order */
	struct result refused = bare_store_do(store, buy_of("refused", 1, 100));       /* 3 */
	bare_store_do(store, count_of(FIRST_KEPT_NGINX_FORM, 1, 50));                  /* 4: success under a key of nginx's */
	move_index_to(store, RESULT_WINDOW_ENTRIES - 1);
	struct result late = bare_store_do(store, buy_of("late", 1, 100));             /* at the window: not old yet */
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results"), 4);

	/* The last entry at which "refused" is inside the window, then 16 more so that one of them prunes. */
	move_index_to(store, RESULT_WINDOW_ENTRIES + 2);
	assert_same_result(refused, do_at(store, buy_of("refused", 1, 100)));
	for (uint64_t i = 0; i < 16; i++)
		do_at(store, delete_of("filler", 99));
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results WHERE request_key = 'refused'"), 0);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results WHERE request_key = '" FIRST_KEPT_NGINX_FORM "'"), 0);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results WHERE request_key = 'make'"), 1);
	assert_same_result(late, do_at(store, buy_of("late", 1, 100)));
	assert_same_result(bought, do_at(store, buy_of("buy", 1, 1)));
	assert_int_equal(do_at(store, buy_of("refused", 1, 100)).repeated, false);
}

/* What a proposer sends twice can never be executed after its first refusal was forgotten. */
static void test_a_command_older_than_the_window_is_refused(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 10);
	struct command buy = buy_of("b", 1, 1);
	buy.base_index = 1;
	move_index_to(store, RESULT_WINDOW_ENTRIES);
	assert_int_equal(bare_store_do(store, buy).error, PYGMY_OK);
	buy.request_key = slice_of("c");
	struct result refused = bare_store_do(store, buy);
	assert_int_equal(refused.error, PYGMY_KEY_TOO_OLD);
	assert_int_equal(refused.slot_count, 0);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results WHERE request_key = 'c'"), 0);
	assert_int_equal(sql_number(&store->database, "SELECT count FROM items"), 9);
	buy.base_index = store->position.index;
	assert_int_equal(bare_store_do(store, buy).error, PYGMY_OK);
}

/* Pruning keeps up with the fastest log: full batches of refusals, one entry after the other. */
static void test_pruning_keeps_up(void **state)
{
	struct bare_store *store = *state;
	struct command batch[BATCH_MAX_COMMANDS];
	char keys[BATCH_MAX_COMMANDS][16];
	for (unsigned entry = 0; entry < 48; entry++) {
		for (size_t i = 0; i < BATCH_MAX_COMMANDS; i++) {
			snprintf(keys[i], sizeof keys[i], "%u-%zu", entry, i);
			batch[i] = buy_of(keys[i], 1, 1);
		}
		bare_store_run(store, batch, BATCH_MAX_COMMANDS);
	}
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results"), 48 * BATCH_MAX_COMMANDS);
	move_index_to(store, RESULT_WINDOW_ENTRIES + 48);
	for (unsigned entry = 0; entry < 32; entry++)
		do_at(store, delete_of("filler", 99));
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results WHERE request_key <> 'filler'"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bare_store_test(test_a_repeated_key_gives_the_recorded_result),
		bare_store_test(test_a_repeated_purchase_keeps_its_slots_when_the_topic_changes),
		bare_store_test(test_a_repeat_within_one_entry),
		bare_store_test(test_a_reused_key_is_refused_and_leaves_the_record),
		bare_store_test(test_the_same_request_at_another_time_is_the_same),
		bare_store_test(test_a_refusal_stays_even_when_it_would_succeed_now),
		bare_store_test(test_refusals_are_forgotten_by_index_and_successes_are_not),
		bare_store_test(test_a_command_older_than_the_window_is_refused),
		bare_store_test(test_pruning_keeps_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
