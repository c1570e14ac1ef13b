/* apply: the commands about the cluster itself: the first entry, the members, audits. */
#include "tests/unit/support.h"

#include "db/cluster.h"

/* ---- genesis ---------------------------------------------------------------------------------------- */

static void test_genesis_is_right_at_one_position_only(void **state)
{
	struct bare_store *store = *state;
	uint8_t chain[CHAIN_BYTES] = { 0 };
	struct result result = bare_store_do(store, genesis_of("init/0/g", 0, chain));
	assert_int_equal(result.error, PYGMY_OK);
	assert_int_equal(result.revision, 1);
	assert_true(bare_store_do(store, genesis_of("init/0/g", 0, chain)).repeated);
	assert_int_equal(bare_store_do(store, genesis_of("init/0/h", 0, chain)).error, PYGMY_OTHER_LOG);
	memcpy(chain, store->position.chain, CHAIN_BYTES);
	assert_int_equal(bare_store_do(store, genesis_of("init/0/i", 2, chain)).error, PYGMY_OTHER_LOG);
	memcpy(chain, store->position.chain, CHAIN_BYTES);
	chain[0] ^= 1;
	assert_int_equal(bare_store_do(store, genesis_of("init/0/j", 4, chain)).error, PYGMY_OTHER_LOG);
	memcpy(chain, store->position.chain, CHAIN_BYTES);
	assert_int_equal(bare_store_do(store, genesis_of("init/0/k", 5, chain)).error, PYGMY_OK);
	assert_int_equal(sql_number(&store->database, "SELECT kept FROM results WHERE request_key = 'init/0/k'"), 1);
}

/* ---- members ---------------------------------------------------------------------------------------- */

static struct result set_member(struct bare_store *store, const char *key, const char *name, const char *url)
{
	return bare_store_do(store, member_set_of(key, name, url, "http://order"));
}

static void test_members_come_move_and_go(void **state)
{
	struct bare_store *store = *state;
	assert_int_equal(bare_store_do(store, member_remove_of("r0", "A")).error, PYGMY_MEMBER_NOT_FOUND);
	assert_int_equal(set_member(store, "a", "A", "http://a").error, PYGMY_OK);
	assert_int_equal(bare_store_do(store, member_remove_of("r1", "A")).error, PYGMY_LAST_MEMBER);
	assert_int_equal(set_member(store, "b", "B", "http://b").error, PYGMY_OK);
	assert_int_equal(set_member(store, "b2", "B", "http://b2").error, PYGMY_OK);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM members"), 2);
	assert_int_equal(sql_number(&store->database, "SELECT since FROM members WHERE name = 'B' AND catalog_url = 'http://b2'"), 4);
	assert_int_equal(bare_store_do(store, member_remove_of("r2", "A")).error, PYGMY_OK);
	assert_int_equal(bare_store_do(store, member_remove_of("r3", "A")).error, PYGMY_MEMBER_NOT_FOUND);
	assert_int_equal(bare_store_do(store, member_remove_of("r4", "B")).error, PYGMY_LAST_MEMBER);
	/* The same requests again are answered from the record. */
	assert_true(bare_store_do(store, member_remove_of("r2", "A")).repeated);
	assert_int_equal(bare_store_do(store, member_remove_of("r1", "A")).error, PYGMY_LAST_MEMBER);
	assert_int_equal(set_member(store, "a", "A", "http://elsewhere").error, PYGMY_KEY_REUSED);
	assert_int_equal(set_member(store, "a3", "a", "http://a").error, PYGMY_OK);       /* names are told apart by case */
	assert_int_equal(set_member(store, "a4", "A", "http://a").error, PYGMY_OK);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM members"), 3);
}

static void test_the_number_of_members_is_bounded(void **state)
{
	struct bare_store *store = *state;
	char key[16], name[16];
	for (int i = 0; i < MEMBERS_MAX; i++) {
		snprintf(key, sizeof key, "k%d", i);
		snprintf(name, sizeof name, "N%d", i);
		assert_int_equal(set_member(store, key, name, "http://n").error, PYGMY_OK);
	}
	assert_int_equal(set_member(store, "more", "N32", "http://n").error, PYGMY_MEMBERS_EXHAUSTED);
	assert_int_equal(set_member(store, "moves", "N31", "http://m").error, PYGMY_OK);
	assert_int_equal(bare_store_do(store, member_remove_of("r", "N0")).error, PYGMY_OK);
	assert_int_equal(set_member(store, "again", "N32", "http://n").error, PYGMY_OK);
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM members"), MEMBERS_MAX);
}

/* ---- audits ----------------------------------------------------------------------------------------- */

static void make_items(struct bare_store *store, int items, int orders)
{
	for (int i = 0; i < items; i++)
		bare_store_do(store, create_of(arena_printf(&store->arena, "i/0/%d", i).ptr, "Title", "topic", 1, 100));
	for (int i = 0; i < orders; i++)
		bare_store_do(store, buy_of(arena_printf(&store->arena, "b/0/%d", i).ptr, 1, 1));
}

static void test_audits_go_round(void **state)
{
	struct bare_store *store = *state;
	static const int64_t cursors[][2] = { { 4, 4 }, { 8, 0 }, { 0, 4 }, { 4, 0 }, { 8, 4 }, { 0, 0 } };
	make_items(store, 10, 7);
	for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
		struct result result = bare_store_do(store, audit_of("audit/0/a", 4));
		assert_int_equal(result.error, PYGMY_OK);
		assert_false(result.repeated);
		assert_int_equal(store->position.audit_item, cursors[i][0]);
		assert_int_equal(store->position.audit_order, cursors[i][1]);
	}
	bare_store_do(store, audit_of("audit/0/a", AUDIT_ROWS_MAX));
	assert_int_equal(store->position.audit_item, 0);
}

/* A table that ends where an audit ends: the next one finds nothing, and begins anew. */
static void test_an_audit_that_ends_at_the_end(void **state)
{
	struct bare_store *store = *state;
	make_items(store, 4, 0);
	bare_store_do(store, audit_of("audit/0/a", 4));
	assert_int_equal(store->position.audit_item, 4);
	bare_store_do(store, audit_of("audit/0/a", 4));
	assert_int_equal(store->position.audit_item, 0);
}

static void test_audits_leave_no_record(void **state)
{
	struct bare_store *store = *state;
	make_items(store, 3, 1);
	int64_t results = sql_number(&store->database, "SELECT count(*) FROM results");
	struct command late = audit_of("audit/0/a", 2);
	bare_store_do(store, late);
	bare_store_do(store, audit_of("b/0/0", 2));         /* the key of a purchase: nobody looks */
	assert_int_equal(sql_number(&store->database, "SELECT count(*) FROM results"), results);
	assert_int_equal(sql_number(&store->database, "SELECT length(slots) FROM changes WHERE revision = 6"), 0);
	/* However late it comes. */
	sql_run(&store->database, "UPDATE store SET log_index = 1000000");
	assert_int_equal(apply_read_position(store->apply, &store->position), PYGMY_OK);
	assert_int_equal(bare_store_do(store, late).error, PYGMY_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bare_store_test(test_genesis_is_right_at_one_position_only),
		bare_store_test(test_members_come_move_and_go),
		bare_store_test(test_the_number_of_members_is_bounded),
		bare_store_test(test_audits_go_round),
		bare_store_test(test_an_audit_that_ends_at_the_end),
		bare_store_test(test_audits_leave_no_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
