/* command: what is encoded is decoded; every limit, every truncation and any bytes are handled. */
#include "tests/unit/support.h"

#include "db/cluster.h"
#include "db/codec.h"
#include "db/item.h"

#define RANDOM_ROUNDS 20000
#define SHAPES_MAX 24

struct command_test {
	struct arena arena;
	char title[TITLE_MAX_BYTES + 2];
	char topic[TOPIC_MAX_BYTES + 2];
	char key[SCOPED_KEY_MAX_BYTES + 2];
};

static int setup(void **state)
{
	struct command_test *test = calloc(1, sizeof *test);
	assert_non_null(test);
	arena_init(&test->arena, (size_t)64 * 1024 * 1024);
	memset(test->title, 't', sizeof test->title);
	memset(test->topic, 'o', sizeof test->topic);
	memset(test->key, 'k', sizeof test->key);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct command_test *test = *state;
	arena_close(&test->arena);
	free(test);
	return 0;
}

static enum command_decode_error decode(struct command_test *test, struct slice bytes, struct command *out)
{
	return command_decode(&bytes, &test->arena, out);
}

static enum command_decode_error recode(struct command_test *test, struct command command)
{
	struct command out;
	struct slice bytes = command_encode(&command, &test->arena);
	assert_non_null(bytes.ptr);
	return decode(test, bytes, &out);
}

/* ---- round trips ------------------------------------------------------------------------------------ */

static void assert_item_equal(const struct item *a, const struct item *b)
{
	assert_int_equal(a->id, b->id);
	assert_true(slice_equal(a->title, b->title));
	assert_true(slice_equal(a->topic, b->topic));
	assert_int_equal(a->cost_minor, b->cost_minor);
	assert_int_equal(a->count, b->count);
}

static void assert_update_equal(const struct item_update_command *a, const struct item_update_command *b)
{
	assert_int_equal(a->item_id, b->item_id);
	assert_int_equal(a->has_cost, b->has_cost);
	assert_int_equal(a->has_count, b->has_count);
	assert_int_equal(a->has_delta, b->has_delta);
	assert_int_equal(a->cost_minor, b->cost_minor);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->delta, b->delta);
	assert_true(slice_equal(a->if_match, b->if_match));
}

static void assert_import_equal(const struct import_command *a, const struct import_command *b)
{
	assert_int_equal(a->first_catalogue, b->first_catalogue);
	assert_int_equal(a->last_part, b->last_part);
	assert_int_equal(a->item_count, b->item_count);
	for (uint64_t i = 0; i < a->item_count; i++)
		assert_item_equal(&a->items[i], &b->items[i]);
}

static void assert_command_equal(const struct command *a, const struct command *b)
{
	assert_int_equal(a->type, b->type);
	assert_true(slice_equal(a->request_key, b->request_key));
	assert_int_equal(a->time_ms, b->time_ms);
	assert_int_equal(a->base_index, b->base_index);
	switch (a->type) {
	case COMMAND_BUY:
		assert_int_equal(a->buy.item_id, b->buy.item_id);
		assert_int_equal(a->buy.quantity, b->buy.quantity);
		return;
	case COMMAND_ITEM_CREATE:
		assert_item_equal(&a->item_create.item, &b->item_create.item);
		return;
	case COMMAND_ITEM_UPDATE:
		assert_update_equal(&a->item_update, &b->item_update);
		return;
	case COMMAND_ITEM_DELETE:
		assert_int_equal(a->item_delete.item_id, b->item_delete.item_id);
		assert_true(slice_equal(a->item_delete.if_match, b->item_delete.if_match));
		return;
	case COMMAND_IMPORT:
		assert_import_equal(&a->import, &b->import);
		return;
	case COMMAND_GENESIS:
		assert_int_equal(a->genesis.base_index, b->genesis.base_index);
		assert_true(slice_equal(a->genesis.chain, b->genesis.chain));
		return;
	case COMMAND_MEMBER_SET:
		assert_true(slice_equal(a->member_set.name, b->member_set.name));
		assert_true(slice_equal(a->member_set.catalog_url, b->member_set.catalog_url));
		assert_true(slice_equal(a->member_set.order_url, b->member_set.order_url));
		return;
	case COMMAND_MEMBER_REMOVE:
		assert_true(slice_equal(a->member_remove.name, b->member_remove.name));
		return;
	case COMMAND_AUDIT:
		assert_int_equal(a->audit.rows, b->audit.rows);
		return;
	}
	fail();
}

/* One command of each kind and shape, at the edges of what is allowed. Slices point into test. */
static size_t all_shapes(struct command_test *test, struct command out[SHAPES_MAX])
{
	static const struct item items[] = {
		{ 1, { "One", 3 }, { "t", 1 }, 0, 0 },
		{ ID_MAX, { "B\xc3\xbc" "cher", 7 }, { "topic", 5 }, COST_MAX_MINOR, COUNT_MAX },
	};
	struct item largest = { 0, { test->title, TITLE_MAX_BYTES }, { test->topic, TOPIC_MAX_BYTES }, COST_MAX_MINOR, COUNT_MAX };
	size_t n = 0;
	out[n++] = buy_of("buy/0/k", 1, 1);
	out[n] = buy_of("", ID_MAX, QUANTITY_MAX);
	out[n++].request_key = (struct slice){ test->key, SCOPED_KEY_MAX_BYTES };
	out[n++] = create_of("c", "T", "t", 0, 0);
	out[n] = command_of(COMMAND_ITEM_CREATE, "largest");
	out[n++].item_create.item = largest;
	out[n++] = cost_of("u1", 1, COST_MAX_MINOR);
	out[n++] = count_of("u2", 2, COUNT_MAX);
	out[n++] = delta_of("u3", 3, -COUNT_MAX);
	out[n] = delta_of("u4", ID_MAX, COUNT_MAX);
	out[n].item_update.has_cost = true;
	out[n++].item_update.if_match = SLICE_LITERAL("0123456789abcdef0123456789abcdef");
	out[n++] = delete_of("d1", 1);
	out[n] = delete_of("d2", ID_MAX);
	out[n++].item_delete.if_match = SLICE_LITERAL("*");
	out[n++] = import_of("i1", NULL, 0);
	out[n] = import_of("i2", items, 2);
	out[n++].import.first_catalogue = true;
	out[n] = import_of("i3", items, 1);
	out[n].import.last_part = true;
	out[n++].import.first_catalogue = true;
	out[n++] = genesis_of("g1", 0, (const uint8_t *)test->title);
	out[n++] = genesis_of("g2", INT64_MAX - 1, (const uint8_t *)test->title);
	out[n++] = member_set_of("m1", "A", "http://127.0.1.1:8011", "http://127.0.1.1:8013");
	out[n] = command_of(COMMAND_MEMBER_SET, "largest");
	out[n++].member_set = (struct member_set_command){ { test->title, NODE_NAME_MAX_BYTES }, { test->title, NODE_URL_MAX_BYTES },
							    { test->title, NODE_URL_MAX_BYTES } };
	out[n++] = member_remove_of("m3", "A");
	out[n++] = audit_of("a1", 1);
	out[n++] = audit_of("a2", AUDIT_ROWS_MAX);
	out[0].time_ms = INT64_MAX;
	out[1].time_ms = 0;
	out[1].base_index = UINT64_MAX;
	return n;
}

static void test_round_trip_of_all_shapes(void **state)
{
	struct command_test *test = *state;
	struct command shapes[SHAPES_MAX], out;
	size_t count = all_shapes(test, shapes);
	for (size_t i = 0; i < count; i++) {
		struct slice bytes = command_encode(&shapes[i], &test->arena), rest = bytes;
		assert_non_null(bytes.ptr);
		assert_int_equal(command_decode(&rest, &test->arena, &out), COMMAND_OK);
		assert_int_equal(rest.len, 0);
		assert_ptr_equal(rest.ptr, bytes.ptr + bytes.len);
		assert_command_equal(&shapes[i], &out);
	}
}

static void test_the_largest_import(void **state)
{
	struct command_test *test = *state;
	struct item *items = calloc(IMPORT_ITEMS_MAX + 1, sizeof *items);
	struct command out;
	assert_non_null(items);
	for (int i = 0; i <= IMPORT_ITEMS_MAX; i++)
		items[i] = item_of(i + 1, "Title", "topic", i, i);
	struct command import = import_of("i", items, IMPORT_ITEMS_MAX);
	assert_int_equal(decode(test, command_encode(&import, &test->arena), &out), COMMAND_OK);
	assert_import_equal(&import.import, &out.import);
	import.import.item_count++;
	assert_int_equal(recode(test, import), COMMAND_MALFORMED);
	free(items);
}

/* ---- limits ----------------------------------------------------------------------------------------- */

static void test_keys_at_the_limit(void **state)
{
	struct command_test *test = *state;
	struct command buy = buy_of("", 1, 1);
	assert_int_equal(recode(test, buy), COMMAND_MALFORMED);
	buy.request_key = (struct slice){ test->key, SCOPED_KEY_MAX_BYTES + 1 };
	assert_int_equal(recode(test, buy), COMMAND_MALFORMED);
	buy.request_key = SLICE_LITERAL("\xff");
	assert_int_equal(recode(test, buy), COMMAND_MALFORMED);
	buy.request_key = SLICE_LITERAL("k");
	buy.time_ms = -1;
	assert_int_equal(recode(test, buy), COMMAND_MALFORMED);
}

static void test_purchases_at_the_limits(void **state)
{
	struct command_test *test = *state;
	assert_int_equal(recode(test, buy_of("k", 0, 1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, buy_of("k", -1, 1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, buy_of("k", ID_MAX + 1, 1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, buy_of("k", 1, 0)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, buy_of("k", 1, -1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, buy_of("k", 1, QUANTITY_MAX + 1)), COMMAND_MALFORMED);
}

/* An item is refused in the same way whether it is created or imported. */
static void assert_item_refused(struct command_test *test, struct item item)
{
	struct command create = command_of(COMMAND_ITEM_CREATE, "k");
	create.item_create.item = item;
	assert_int_equal(recode(test, create), COMMAND_MALFORMED);
	item.id = 1;
	assert_int_equal(recode(test, import_of("k", &item, 1)), COMMAND_MALFORMED);
}

static void test_items_at_the_limits(void **state)
{
	struct command_test *test = *state;
	struct item item = item_of(0, "T", "t", -1, 1);
	assert_item_refused(test, item);
	item.cost_minor = COST_MAX_MINOR + 1;
	assert_item_refused(test, item);
	item = item_of(0, "T", "t", 1, -1);
	assert_item_refused(test, item);
	item.count = COUNT_MAX + 1;
	assert_item_refused(test, item);
	assert_item_refused(test, item_of(0, "", "t", 1, 1));
	assert_item_refused(test, item_of(0, "T", "", 1, 1));
	assert_item_refused(test, item_of(0, "\xc3", "t", 1, 1));
	assert_item_refused(test, item_of(0, "T", "\xed\xa0\x80", 1, 1));
	item = item_of(0, "T", "t", 1, 1);
	item.title = (struct slice){ test->title, TITLE_MAX_BYTES + 1 };
	assert_item_refused(test, item);
	item = item_of(0, "T", "t", 1, 1);
	item.topic = (struct slice){ test->topic, TOPIC_MAX_BYTES + 1 };
	assert_item_refused(test, item);
	for (int64_t id = 0; id <= ID_MAX + 1; id += ID_MAX + 1) {
		item = item_of(id, "T", "t", 1, 1);
		assert_int_equal(recode(test, import_of("k", &item, 1)), COMMAND_MALFORMED);
	}
}

static void test_updates_and_deletes_at_the_limits(void **state)
{
	struct command_test *test = *state;
	assert_int_equal(recode(test, cost_of("k", 0, 1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, cost_of("k", 1, -1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, cost_of("k", 1, COST_MAX_MINOR + 1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, count_of("k", 1, -1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, count_of("k", 1, COUNT_MAX + 1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, delta_of("k", 1, -COUNT_MAX - 1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, delta_of("k", 1, COUNT_MAX + 1)), COMMAND_MALFORMED);
	struct command update = count_of("k", 1, 1);
	update.item_update.has_delta = true;
	assert_int_equal(recode(test, update), COMMAND_MALFORMED);
	update.item_update.has_delta = update.item_update.has_count = false;
	assert_int_equal(recode(test, update), COMMAND_MALFORMED);
	update = count_of("k", 1, 1);
	update.item_update.if_match = (struct slice){ test->key, ETAG_HEX_LEN + 1 };
	assert_int_equal(recode(test, update), COMMAND_MALFORMED);
	assert_int_equal(recode(test, delete_of("k", 0)), COMMAND_MALFORMED);
	struct command delete = delete_of("k", 1);
	delete.item_delete.if_match = (struct slice){ test->key, ETAG_HEX_LEN + 1 };
	assert_int_equal(recode(test, delete), COMMAND_MALFORMED);
}

static void test_the_clusters_commands_at_the_limits(void **state)
{
	struct command_test *test = *state;
	const uint8_t *chain = (const uint8_t *)test->title;
	struct command genesis = genesis_of("k", INT64_MAX, chain);
	assert_int_equal(recode(test, genesis), COMMAND_MALFORMED);
	for (size_t len = 0; len <= CHAIN_BYTES + 1; len++) {
		genesis = genesis_of("k", 0, chain);
		genesis.genesis.chain.len = len;
		assert_int_equal(recode(test, genesis), len == CHAIN_BYTES ? COMMAND_OK : COMMAND_MALFORMED);
	}
	assert_int_equal(recode(test, audit_of("k", 0)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, audit_of("k", AUDIT_ROWS_MAX + 1)), COMMAND_MALFORMED);
	assert_int_equal(recode(test, member_set_of("k", "", "u", "u")), COMMAND_MALFORMED);
	assert_int_equal(recode(test, member_set_of("k", "A", "", "u")), COMMAND_MALFORMED);
	assert_int_equal(recode(test, member_set_of("k", "A", "u", "")), COMMAND_MALFORMED);
	assert_int_equal(recode(test, member_set_of("k", "A B", "u", "u")), COMMAND_MALFORMED);
	assert_int_equal(recode(test, member_set_of("k", "A", "u\n", "u")), COMMAND_MALFORMED);
	assert_int_equal(recode(test, member_set_of("k", "A", "u", "\xc3\xa4")), COMMAND_MALFORMED);
	assert_int_equal(recode(test, member_remove_of("k", "")), COMMAND_MALFORMED);
	struct command set = member_set_of("k", "A", "u", "u"), removal = member_remove_of("k", "A");
	set.member_set.name = removal.member_remove.name = (struct slice){ test->title, NODE_NAME_MAX_BYTES + 1 };
	assert_int_equal(recode(test, set), COMMAND_MALFORMED);
	assert_int_equal(recode(test, removal), COMMAND_MALFORMED);
	set = member_set_of("k", "A", "u", "u");
	set.member_set.catalog_url = (struct slice){ test->title, NODE_URL_MAX_BYTES + 1 };
	assert_int_equal(recode(test, set), COMMAND_MALFORMED);
	set = member_set_of("k", "A", "u", "u");
	set.member_set.order_url = (struct slice){ test->title, NODE_URL_MAX_BYTES + 1 };
	assert_int_equal(recode(test, set), COMMAND_MALFORMED);
}

/* ---- any bytes -------------------------------------------------------------------------------------- */

static void test_truncation_at_every_byte(void **state)
{
	struct command_test *test = *state;
	struct command shapes[SHAPES_MAX], out;
	size_t count = all_shapes(test, shapes);
	for (size_t i = 0; i < count; i++) {
		struct slice bytes = command_encode(&shapes[i], &test->arena);
		for (size_t len = 0; len < bytes.len; len++) {
			/* In memory of exactly that size, so that a read past the end is noticed. */
			char *cut = malloc(len > 0 ? len : 1);
			assert_non_null(cut);
			memcpy(cut, bytes.ptr, len);
			assert_int_equal(decode(test, (struct slice){ cut, len }, &out), COMMAND_MALFORMED);
			free(cut);
		}
	}
}

/* Damaged commands and mere noise: what is accepted must encode to the very bytes it was read from. */
static void test_random_bytes(void **state)
{
	struct command_test *test = *state;
	struct command shapes[SHAPES_MAX], out;
	size_t count = all_shapes(test, shapes), accepted = 0;
	uint64_t seed = test_seed(__func__);
	for (int round = 0; round < RANDOM_ROUNDS; round++) {
		char bytes[256];
		size_t len = (size_t)test_random_in(&seed, 0, (int64_t)sizeof bytes);
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (char)test_random(&seed);
		if (round % 2 == 0) {
			struct slice sound = command_encode(&shapes[(size_t)round / 2 % count], &test->arena);
			len = sound.len < sizeof bytes ? sound.len : sizeof bytes;
			memcpy(bytes, sound.ptr, len);
			bytes[(size_t)test_random_in(&seed, 0, (int64_t)len - 1)] = (char)test_random(&seed);
		}
		struct slice rest = { bytes, len };
		if (command_decode(&rest, &test->arena, &out) == COMMAND_OK) {
			struct slice again = command_encode(&out, &test->arena);
			accepted++;
			assert_int_equal(again.len, len - rest.len);
			assert_memory_equal(again.ptr, bytes, again.len);
		}
		arena_reset(&test->arena);
	}
	assert_true(accepted > RANDOM_ROUNDS / 100);
}

static void test_no_memory(void **state)
{
	struct command_test *test = *state;
	struct arena small;
	struct command out, buy = buy_of("k", 1, 1);
	struct item item = item_of(1, "T", "t", 1, 1);
	struct command import = import_of("k", &item, 1);
	struct slice bytes = command_encode(&import, &test->arena);
	arena_init(&small, 0);
	assert_null(command_encode(&buy, &small).ptr);
	assert_int_equal(command_decode(&bytes, &small, &out), COMMAND_NO_MEMORY);
	arena_close(&small);
}

/* ---- the payload hash -------------------------------------------------------------------------------- */

static void hash_of(struct command_test *test, struct command command, uint8_t hash[PAYLOAD_HASH_BYTES])
{
	struct command out;
	assert_int_equal(decode(test, command_encode(&command, &test->arena), &out), COMMAND_OK);
	memcpy(hash, out.payload_hash, PAYLOAD_HASH_BYTES);
}

static void test_the_hash_is_over_type_and_the_clients_fields(void **state)
{
	struct command_test *test = *state;
	struct command shapes[SHAPES_MAX];
	uint8_t hashes[SHAPES_MAX][PAYLOAD_HASH_BYTES], same[PAYLOAD_HASH_BYTES];
	size_t count = all_shapes(test, shapes);
	for (size_t i = 0; i < count; i++)
		hash_of(test, shapes[i], hashes[i]);
	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++)
			assert_memory_not_equal(hashes[i], hashes[j], PAYLOAD_HASH_BYTES);
	struct command other = shapes[0];
	other.request_key = SLICE_LITERAL("another key");
	other.time_ms = 5;
	other.base_index = 99;
	hash_of(test, other, same);
	assert_memory_equal(same, hashes[0], PAYLOAD_HASH_BYTES);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip_of_all_shapes),
		TEST(test_the_largest_import),
		TEST(test_keys_at_the_limit),
		TEST(test_purchases_at_the_limits),
		TEST(test_items_at_the_limits),
		TEST(test_updates_and_deletes_at_the_limits),
		TEST(test_the_clusters_commands_at_the_limits),
		TEST(test_truncation_at_every_byte),
		TEST(test_random_bytes),
		TEST(test_no_memory),
		TEST(test_the_hash_is_over_type_and_the_clients_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
