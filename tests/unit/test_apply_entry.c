/* apply: whole entries: damaged ones, those of newer versions, the slots they change, and that every replica comes out the same. */
#include "tests/unit/support.h"

#include "db/item.h"
#include "db/slot.h"

#define RANDOM_ENTRIES 400
#define ITEMS 12

static void make_item(struct bare_store *store, int64_t count)
{
	assert_int_equal(bare_store_do(store, create_of("make", "Title", "topic", 1000, count)).error, PYGMY_OK);
}

/* A copy of the entry that the test may damage; in the arena. */
static char *copy_of(struct bare_store *store, struct slice entry)
{
	struct slice copy = arena_copy(&store->arena, entry);
	char *bytes = arena_take(&store->arena, entry.len);
	assert_non_null(copy.ptr);
	assert_non_null(bytes);
	memcpy(bytes, copy.ptr, entry.len);
	return bytes;
}

static void reseal(char *entry, size_t len)
{
	entry_seal((struct slice){ entry + ENTRY_HEAD_BYTES, len - ENTRY_HEAD_BYTES }, entry);
}

/* ---- damaged and unknown ----------------------------------------------------------------------------- */

static void assert_is_damaged(struct bare_store *store, struct slice entry)
{
	uint64_t index = store->position.index, damaged = store->position.damaged_entries;
	int64_t orders = sql_number(&store->database, "SELECT count(*) FROM orders");
	assert_int_equal(bare_store_apply(store, entry), PYGMY_OK);
	assert_int_equal(store->result_count, 0);
	assert_int_equal(store->position.index, index + 1);
	assert_int_equal(store->position.damaged_entries, damaged + 1);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM orders"), orders);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results WHERE request_key <> 'make'"), 0);
}

static void test_a_damaged_entry_is_a_no_op_that_counts(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	struct command buy = buy_of("b", 1, 1);
	struct slice entry = entry_of(&store->arena, &buy, 1);
	for (size_t i = 0; i < entry.len; i++) {
		if (i >= 4 && i < 8)
			continue;     /* format and reserved bytes: see below */
		char *bytes = copy_of(store, entry);
		bytes[i] = (char)(bytes[i] ^ 1);
		assert_is_damaged(store, (struct slice){ bytes, entry.len });
	}
	for (size_t len = 0; len < entry.len; len++)
		assert_is_damaged(store, (struct slice){ entry.ptr, len });
	assert_int_equal(bare_store_apply(store, entry), PYGMY_OK);
	assert_int_equal(store->results[0].error, PYGMY_OK);
}

/* A sound envelope around a command that is none: the commands before it aren't carried out either. */
static void test_a_malformed_command_damages_the_whole_entry(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	struct command batch[] = { buy_of("b", 1, 1), buy_of("c", 1, 1) };
	struct slice entry = entry_of(&store->arena, batch, 2);
	char *bytes = copy_of(store, entry);
	reseal(bytes, entry.len - 1);
	assert_is_damaged(store, (struct slice){ bytes, entry.len - 1 });
}

static void test_more_commands_than_a_batch_holds_damage_the_entry(void **state)
{
	struct bare_store *store = *state;
	struct command batch[BATCH_MAX_COMMANDS + 1];
	make_item(store, 1000);
	for (size_t i = 0; i <= BATCH_MAX_COMMANDS; i++)
		batch[i] = buy_of(arena_printf(&store->arena, "%zu", i).ptr, 1, 1);
	assert_is_damaged(store, entry_of(&store->arena, batch, BATCH_MAX_COMMANDS + 1));
	bare_store_run(store, batch, BATCH_MAX_COMMANDS);
}

static void test_a_newer_version_stops_the_replica(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 5);
	char *before = database_dump(&store->database);
	struct command batch[] = { buy_of("b", 1, 1), buy_of("c", 1, 1) };
	struct slice entry = entry_of(&store->arena, batch, 2);
	for (size_t i = 4; i < 8; i++) {
		char *bytes = copy_of(store, entry);
		bytes[i] = 2;
		assert_int_equal(bare_store_apply(store, (struct slice){ bytes, entry.len }), PYGMY_INCOMPATIBLE);
	}
	/* The second command gets a type that is not given away yet: nothing of the first one may remain. */
	char *bytes = copy_of(store, entry);
	size_t second = ENTRY_HEAD_BYTES + (entry.len - ENTRY_HEAD_BYTES) / 2;
	assert_int_equal(bytes[second], COMMAND_BUY);
	bytes[second] = COMMAND_AUDIT + 1;
	reseal(bytes, entry.len);
	assert_int_equal(bare_store_apply(store, (struct slice){ bytes, entry.len }), PYGMY_INCOMPATIBLE);
	char *after = database_dump(&store->database);
	assert_string_equal(before, after);
	sqlite3_free(before);
	sqlite3_free(after);
}

static void test_an_empty_entry_only_counts(void **state)
{
	struct bare_store *store = *state;
	assert_int_equal(bare_store_apply(store, entry_of(&store->arena, NULL, 0)), PYGMY_OK);
	assert_int_equal(store->position.index, 1);
	assert_int_equal(store->position.damaged_entries, 0);
	assert_int_equal(store->result_count, 0);
}

/* ---- slots ------------------------------------------------------------------------------------------ */

static int64_t slot_revision(struct bare_store *store, uint32_t slot)
{
	char sql[64];
	snprintf(sql, sizeof sql, "SELECT revision FROM slots WHERE slot = %u", slot);
	return sql_number(&store->database, sql);
}

static void test_slots_are_raised_to_the_entry_that_changed_them(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 2);
	bare_store_do(store, create_of("other", "Other", "other topic", 1, 1));
	bare_store_do(store, buy_of("b", 1, 2));
	assert_int_equal(slot_revision(store, slot_of_item(1)), 3);
	assert_int_equal(slot_revision(store, slot_of_topic(SLICE_LITERAL("topic"))), 3);
	assert_int_equal(slot_revision(store, slot_of_all()), 3);
	assert_int_equal(slot_revision(store, slot_of_item(2)), 2);
	assert_int_equal(slot_revision(store, slot_of_topic(SLICE_LITERAL("other topic"))), 2);
	/* Neither a refusal nor a repeat changes anything. */
	bare_store_do(store, buy_of("c", 1, 1));
	bare_store_do(store, buy_of("b", 1, 2));
	assert_int_equal(slot_revision(store, slot_of_item(1)), 3);
	assert_int_equal(slot_revision(store, slot_of_all()), 3);
	assert_int_equal(sql_number(&store->database, "SELECT length(slots) FROM changes WHERE revision = 3"), 6);
	assert_int_equal(sql_number(&store->database, "SELECT length(slots) FROM changes WHERE revision = 4"), 0);
	assert_int_equal(sql_number(&store->database, "SELECT length(slots) FROM changes WHERE revision = 5"), 0);
}

static void test_the_ring_has_a_row_per_entry_each_slot_once(void **state)
{
	struct bare_store *store = *state;
	make_item(store, 100);
	struct command batch[20];
	for (size_t i = 0; i < 20; i++)
		batch[i] = buy_of(arena_printf(&store->arena, "k%zu", i).ptr, 1, 1);
	bare_store_run(store, batch, 20);
	assert_int_equal(sql_number(&store->database, "SELECT length(slots) FROM changes WHERE ring = 2 AND revision = 2"), 6);
	sql_run(&store->database, "UPDATE store SET log_index = 4097; BEGIN");
	assert_int_equal(apply_read_position(store->apply, &store->position), PYGMY_OK);
	sql_run(&store->database, "COMMIT");
	bare_store_do(store, buy_of("wraps", 1, 1));
	assert_int_equal(sql_number(&store->database, "SELECT revision FROM changes WHERE ring = 2"), 4098);
}

/* ---- the same everywhere ----------------------------------------------------------------------------- */

/* Any command about few items under few keys, so that everything happens: repeats, reuse, sold out, deleted, imported. */
static struct command random_command(uint64_t *seed, struct arena *arena, uint64_t base_index)
{
	static const char *const topics[] = { "a", "b", "graduate school" };
	const char *key = arena_printf(arena, "k%d", (int)test_random_in(seed, 0, 300)).ptr;
	int64_t id = test_random_in(seed, 1, ITEMS);
	struct command command = buy_of(key, id, test_random_in(seed, 1, 6));
	switch (test_random_in(seed, 0, 11)) {
	case 0:
		command = count_of(key, id, test_random_in(seed, 0, 20));
		break;
	case 1:
		command = delta_of(key, id, test_random_in(seed, -10, 10));
		break;
	case 2:
		command = cost_of(key, id, test_random_in(seed, 0, 3000));
		break;
	case 3:
		command = delete_of(key, id);
		command.item_delete.if_match = test_random_in(seed, 0, 1) == 0 ? SLICE_LITERAL("*") : SLICE_LITERAL("0123");
		break;
	case 4:
		command = create_of(key, "Created", topics[test_random_in(seed, 0, 2)], 5, test_random_in(seed, 0, 10));
		break;
	case 5: {
		struct item *items = arena_take(arena, 2 * sizeof *items);
		assert_non_null(items);
		items[0] = item_of(id, "Imported", topics[test_random_in(seed, 0, 2)], 7, test_random_in(seed, 0, 30));
		items[1] = item_of(test_random_in(seed, 1, ITEMS), "Imported too", "a", 8, 3);
		command = import_of(key, items, 2);
		break;
	}
	default:
		break;
	}
	command.time_ms += test_random_in(seed, 0, 1000000);
	command.base_index = base_index;
	return command;
}

static void test_random_entries_keep_the_books_and_make_equal_replicas(void **state)
{
	struct bare_store *store = *state, other;
	uint64_t seed = test_seed(__func__);
	bare_store_open(&other);
	for (int i = 0; i < RANDOM_ENTRIES; i++) {
		struct command batch[16];
		size_t count = (size_t)test_random_in(&seed, 1, 16);
		for (size_t c = 0; c < count; c++)
			batch[c] = random_command(&seed, &store->arena, store->position.index);
		struct slice entry = entry_of(&store->arena, batch, count);
		if (test_random_in(&seed, 0, 19) == 0)
			entry.len--;
		assert_int_equal(bare_store_apply(store, entry), PYGMY_OK);
		assert_int_equal(bare_store_apply(&other, entry), PYGMY_OK);
		assert_int_equal(store->result_count, other.result_count);
		assert_memory_equal(store->position.chain, other.position.chain, CHAIN_BYTES);
		if (i % 40 == 0)
			assert_books_balance(&store->database);
		arena_reset(&store->arena);
		arena_reset(&other.arena);
	}
	assert_books_balance(&store->database);
	char *one = database_dump(&store->database), *two = database_dump(&other.database);
	assert_string_equal(one, two);
	/* The sequence did reach every kind of outcome. */
	assert_true(sql_number(&store->database, "SELECT count(*) FROM orders") > 10);
	assert_true(sql_number(&store->database, "SELECT count(DISTINCT error) FROM results") >= 5);
	sqlite3_free(one);
	sqlite3_free(two);
	bare_store_close(&other);
}

static void test_the_chain_depends_on_entry_result_and_past(void **state)
{
	struct bare_store *store = *state, other;
	bare_store_open(&other);
	make_item(store, 5);
	make_item(&other, 6);
	assert_memory_not_equal(store->position.chain, other.position.chain, CHAIN_BYTES);
	uint8_t before[CHAIN_BYTES];
	memcpy(before, store->position.chain, CHAIN_BYTES);
	bare_store_do(store, buy_of("b", 1, 1));
	assert_memory_not_equal(store->position.chain, before, CHAIN_BYTES);
	/* The same past and the same entry, but another decision: a replica whose data differ is found out. */
	bare_store_close(&other);
	bare_store_open(&other);
	make_item(&other, 5);
	assert_memory_equal(other.position.chain, before, CHAIN_BYTES);
	sql_run(&other.database, "UPDATE items SET count = 0, supplied = 0");
	bare_store_do(&other, buy_of("b", 1, 1));
	assert_memory_not_equal(store->position.chain, other.position.chain, CHAIN_BYTES);
	bare_store_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bare_store_test(test_a_damaged_entry_is_a_no_op_that_counts),
		bare_store_test(test_a_malformed_command_damages_the_whole_entry),
		bare_store_test(test_more_commands_than_a_batch_holds_damage_the_entry),
		bare_store_test(test_a_newer_version_stops_the_replica),
		bare_store_test(test_an_empty_entry_only_counts),
		bare_store_test(test_slots_are_raised_to_the_entry_that_changed_them),
		bare_store_test(test_the_ring_has_a_row_per_entry_each_slot_once),
		bare_store_test(test_random_entries_keep_the_books_and_make_equal_replicas),
		bare_store_test(test_the_chain_depends_on_entry_result_and_past),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
