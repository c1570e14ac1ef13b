/*
 * apply: the chain hash covers the rows: whatever differs in a row on one replica is found by the next write to it, or by an audit; and
 * nothing else makes a difference: not how entries are grouped, not whether a replica came from a snapshot.
 */
#include "tests/unit/applier_fixture.h"

#include <fcntl.h>

#define TITLE "Impressive Title"

/* ---- two replicas that should be the same -------------------------------------------------------------- */

struct rows_test {
	struct bare_store sound;
	struct bare_store flipped;
};

static void fill(struct bare_store *store)
{
	bare_store_do(store, create_of("item/0/1", TITLE, "topic", 1000, 50));
	bare_store_do(store, create_of("item/0/2", "Other", "topic", 7, 9));
	bare_store_do(store, buy_of("buy/0/1", 1, 5));
	bare_store_do(store, buy_of("buy/0/2", 2, 1));
	bare_store_do(store, member_set_of("member/0/A", "A", "http://a:1", "http://a:2"));
	bare_store_do(store, member_set_of("member/0/B", "B", "http://b:1", "http://b:2"));
}

static int setup(void **state)
{
	struct rows_test *test = calloc(1, sizeof *test);
	assert_non_null(test);
	bare_store_open(&test->sound);
	bare_store_open(&test->flipped);
	fill(&test->sound);
	fill(&test->flipped);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct rows_test *test = *state;
	bare_store_close(&test->sound);
	bare_store_close(&test->flipped);
	free(test);
	return 0;
}

static bool same_chain(const struct rows_test *test)
{
	return memcmp(test->sound.position.chain, test->flipped.position.chain, CHAIN_BYTES) == 0;
}

/* Changes what no program would, past all constraints. */
static void flip(struct rows_test *test, const char *sql)
{
	sql_run(&test->flipped.database, "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF");
	sql_run(&test->flipped.database, sql);
	sql_run(&test->flipped.database, "PRAGMA ignore_check_constraints = OFF; PRAGMA foreign_keys = ON");
	assert_int_equal(apply_read_position(test->flipped.apply, &test->flipped.position), PYGMY_OK);
}

/* A local failure is as good as another hash: either way the replica does not go on as if nothing were. */
static bool is_found(struct rows_test *test, struct command command)
{
	struct slice entry = entry_of(&test->sound.arena, &command, 1);
	assert_int_equal(bare_store_apply(&test->sound, entry), PYGMY_OK);
	return bare_store_apply(&test->flipped, entry) != PYGMY_OK || !same_chain(test);
}

/* ---- what is found ---------------------------------------------------------------------------------- */

struct flip_case {
	const char *sql;
	enum { FOUND_BY_BUY = 1, FOUND_BY_UPDATE = 2, FOUND_BY_AUDIT = 4, FOUND_BY_REPEAT = 8, FOUND_BY_MEMBER = 16, FOUND_BY_ANY = 32 } by;
};

/* A bit of every column. What is found by a write to the row is found by each kind of write. */
static const struct flip_case flip_cases[] = {
	{ "UPDATE items SET title = 'Impressive Uitle' WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE items SET topic = 'tppic' WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE items SET cost_minor = cost_minor + 1 WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE items SET count = count + 1, supplied = supplied + 1 WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE items SET count = count + 1 WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE items SET supplied = supplied + 1 WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE items SET sold = sold + 1 WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE items SET sold = sold + 1, supplied = supplied + 1 WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE items SET deleted = 1 WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE items SET id = 17 WHERE id = 1", FOUND_BY_BUY | FOUND_BY_UPDATE | FOUND_BY_AUDIT },
	{ "UPDATE orders SET item_id = 2 WHERE id = 1", FOUND_BY_AUDIT | FOUND_BY_REPEAT },
	{ "UPDATE orders SET quantity = quantity + 1 WHERE id = 1", FOUND_BY_AUDIT | FOUND_BY_REPEAT },
	{ "UPDATE orders SET unit_cost_minor = 1 WHERE id = 1", FOUND_BY_AUDIT },
	{ "UPDATE orders SET created_ms = created_ms + 1 WHERE id = 1", FOUND_BY_AUDIT },
	{ "UPDATE orders SET revision = revision + 1 WHERE id = 1", FOUND_BY_AUDIT | FOUND_BY_REPEAT },
	{ "UPDATE orders SET topic_slot = topic_slot + 1 WHERE id = 1", FOUND_BY_AUDIT | FOUND_BY_REPEAT },
	{ "UPDATE orders SET request_key = 'buy/0/!' WHERE id = 1", FOUND_BY_AUDIT | FOUND_BY_REPEAT },
	{ "UPDATE orders SET payload_hash = zeroblob(16) WHERE id = 1", FOUND_BY_AUDIT | FOUND_BY_REPEAT },
	{ "UPDATE orders SET id = 99 WHERE id = 1", FOUND_BY_AUDIT | FOUND_BY_REPEAT | FOUND_BY_BUY },
	{ "DELETE FROM orders WHERE id = 1", FOUND_BY_AUDIT | FOUND_BY_REPEAT },
	{ "UPDATE members SET catalog_url = 'http://a:3' WHERE name = 'A'", FOUND_BY_AUDIT | FOUND_BY_MEMBER },
	{ "UPDATE members SET order_url = 'http://a:3' WHERE name = 'A'", FOUND_BY_AUDIT | FOUND_BY_MEMBER },
	{ "UPDATE members SET since = since + 1 WHERE name = 'A'", FOUND_BY_AUDIT | FOUND_BY_MEMBER },
	{ "UPDATE members SET name = 'a' WHERE name = 'A'", FOUND_BY_AUDIT | FOUND_BY_MEMBER },
	{ "UPDATE slots SET revision = revision - 1", FOUND_BY_BUY | FOUND_BY_UPDATE },
	{ "DELETE FROM slots", FOUND_BY_BUY | FOUND_BY_UPDATE },
	{ "UPDATE store SET floor = 1", FOUND_BY_ANY },
	{ "UPDATE store SET catalogue_loaded = 1", FOUND_BY_ANY },
	{ "UPDATE store SET damaged_entries = 1", FOUND_BY_ANY },
	{ "UPDATE store SET audit_item = 1", FOUND_BY_ANY },
	{ "UPDATE store SET audit_order = 1", FOUND_BY_ANY },
	{ "UPDATE store SET log_bytes = log_bytes + 1", FOUND_BY_ANY },
	{ "UPDATE store SET log_index = log_index + 1", FOUND_BY_ANY },
	{ "UPDATE store SET chain = zeroblob(32)", FOUND_BY_ANY },
};

static void assert_found_by(const struct flip_case *flip_case, unsigned by, struct command command)
{
	void *state;
	if (((unsigned)flip_case->by & by) == 0)
		return;
	assert_int_equal(setup(&state), 0);
	struct rows_test *test = state;
	assert_true(same_chain(test));
	flip(test, flip_case->sql);
	bool found = is_found(test, command);
	teardown(&state);
	if (!found)
		fail_msg("not found by %u: %s", by, flip_case->sql);
}

static void test_a_flipped_bit_of_every_column_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof flip_cases / sizeof flip_cases[0]; i++) {
		const struct flip_case *flip_case = &flip_cases[i];
		assert_found_by(flip_case, FOUND_BY_BUY, buy_of("buy/0/9", 1, 1));
		assert_found_by(flip_case, FOUND_BY_UPDATE, cost_of("item/0/9", 1, 5));
		assert_found_by(flip_case, FOUND_BY_UPDATE, delete_of("item/0/9", 1));
		assert_found_by(flip_case, FOUND_BY_AUDIT, audit_of("audit/0/9", 10));
		assert_found_by(flip_case, FOUND_BY_REPEAT, buy_of("buy/0/1", 1, 5));
		assert_found_by(flip_case, FOUND_BY_MEMBER, member_remove_of("member/0/9", "A"));
		assert_found_by(flip_case, FOUND_BY_ANY, buy_of("buy/0/9", 77, 1));
	}
}

/* Where a constraint meets it first, it is damage, which a replica heals, and no error of the program, at which it would stop. */
static void test_a_row_that_breaks_a_constraint_is_damage(void **state)
{
	struct rows_test *test = *state;
	struct command buy = buy_of("buy/0/9", 1, 1);
	flip(test, "UPDATE items SET count = count + 1 WHERE id = 1");
	assert_int_equal(bare_store_apply(&test->flipped, entry_of(&test->sound.arena, &buy, 1)), PYGMY_STORAGE_CORRUPT);
	buy = buy_of("buy/0/10", 2, 1);
	flip(test, "UPDATE orders SET request_key = 'x' WHERE id = 1; UPDATE results SET request_key = 'buy/0/10' WHERE request_key = 'item/0/2'");
	assert_int_equal(bare_store_apply(&test->flipped, entry_of(&test->sound.arena, &buy, 1)), PYGMY_OK);
	assert_int_equal(test->flipped.results[0].error, PYGMY_KEY_REUSED);
}

/* The table above must name every column of the tables that it is about. */
static void test_no_column_was_forgotten(void **state)
{
	struct rows_test *test = *state;
	static const char *const tables[] = { "items", "orders", "members", "store" };
	for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
		sqlite3_stmt *statement;
		char sql[160];
		snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s') WHERE name NOT IN ('one', 'log_id')", tables[t]);
		assert_int_equal(sqlite3_prepare_v2(test->sound.database.handle, sql, -1, &statement, NULL), SQLITE_OK);
		while (sqlite3_step(statement) == SQLITE_ROW) {
			bool named = false;
			char set[80];
			snprintf(set, sizeof set, " %s = ", (const char *)sqlite3_column_text(statement, 0));
			for (size_t i = 0; i < sizeof flip_cases / sizeof flip_cases[0]; i++)
				named = named || (strstr(flip_cases[i].sql, tables[t]) != NULL && strstr(flip_cases[i].sql, set) != NULL);
			assert_true(named);
		}
		sqlite3_finalize(statement);
	}
	/* And every table is covered, or known not to be. */
	assert_int_equal(sql_number(&test->sound.database, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT IN"
				    " ('items', 'orders', 'results', 'slots', 'members', 'store', 'changes', 'log')"), 0);
}

/* ---- every bit of the record, in the file --------------------------------------------------------------- */

static int64_t find_bytes(const char *path, const char *text)
{
	static char bytes[1024 * 1024];
	FILE *file = fopen(path, "rbe");
	assert_non_null(file);
	size_t len = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	const char *at = memmem(bytes, len, text, strlen(text));
	assert_non_null(at);
	return at - bytes;
}

/* Applies entry to the file: whether the replica fails, or its chain hash differs from the sound one's. */
static bool bit_is_found(const char *path, struct slice entry, const struct apply_position *sound)
{
	struct database database;
	struct apply *apply = NULL;
	struct apply_position position;
	struct arena arena;
	static struct result results[BATCH_MAX_COMMANDS];
	size_t count;
	arena_init(&arena, (size_t)1024 * 1024);
	enum pygmy_error error = database_open(&database, path, DATABASE_WRITE);
	if (error == PYGMY_OK) {
		sql_run(&database, "PRAGMA synchronous = OFF; BEGIN IMMEDIATE");
		error = apply_create(&database, &apply);
		if (error == PYGMY_OK)
			error = apply_read_position(apply, &position);
		if (error == PYGMY_OK)
			error = apply_entry(apply, &position, entry, &arena, results, &count);
		apply_destroy(apply);
		database_close(&database);
	}
	arena_close(&arena);
	return error != PYGMY_OK || memcmp(position.chain, sound->chain, CHAIN_BYTES) != 0;
}

static void flip_bit(const char *path, int64_t bit)
{
	char byte;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, bit / 8), 1);
	byte = (char)(byte ^ (1 << (bit % 8)));
	assert_int_equal(pwrite(fd, &byte, 1, bit / 8), 1);
	assert_int_equal(close(fd), 0);
}

/* What SQL sees of the item's row; NULL when it can't be read. The caller frees it. */
static char *row_text(const char *path)
{
	struct database database;
	sqlite3_stmt *statement;
	char *text = NULL;
	if (database_open(&database, path, DATABASE_WRITE) != PYGMY_OK)
		return NULL;
	static const char sql[] = "SELECT id || '|' || title || '|' || topic || '|' || cost_minor || '|' || count || '|' || supplied || '|' || sold"
				  " || '|' || deleted FROM items WHERE id = 1";
	if (sqlite3_prepare_v2(database.handle, sql, -1, &statement, NULL) == SQLITE_OK) {
		if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
			text = strdup((const char *)sqlite3_column_text(statement, 0));
		sqlite3_finalize(statement);
	}
	database_close(&database);
	return text;
}

/* The cell before its title: length of the record, id, length of the head, eight types; behind it: topic and numbers. */
#define CELL_BEFORE_TITLE 11
#define CELL_BEHIND_TITLE ((int64_t)sizeof TITLE - 1 + 5 + 2 + 1 + 1 + 1)

static void every_bit(struct command command)
{
	struct rows_test *test;
	char path[PATH_BYTES], copy[PATH_BYTES];
	assert_int_equal(setup((void **)&test), 0);
	path_in(path, test->sound.folder, "base.db");
	path_in(copy, test->sound.folder, "flipped.db");
	snapshot_of(&test->sound.database, path);
	free(row_text(path));         /* brings it into WAL mode once, not in each copy */
	struct slice entry = entry_of(&test->sound.arena, &command, 1);
	assert_int_equal(bare_store_apply(&test->sound, entry), PYGMY_OK);
	int64_t title = find_bytes(path, TITLE), seen = 0;
	char *before = row_text(path);
	for (int64_t bit = 8 * (title - CELL_BEFORE_TITLE); bit < 8 * (title + CELL_BEHIND_TITLE); bit++) {
		file_copy(path, copy);
		flip_bit(copy, bit);
		char *after = row_text(copy);
		bool differs = after == NULL || strcmp(before, after) != 0;
		bool found = bit_is_found(copy, entry, &test->sound.position);
		seen += differs ? 1 : 0;
		free(after);
		if (differs && !found)
			fail_msg("bit %d of the cell was not found", (int)(bit - 8 * (title - CELL_BEFORE_TITLE)));
	}
	assert_true(seen > 8 * (CELL_BEHIND_TITLE + CELL_BEFORE_TITLE) * 9 / 10);
	free(before);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(copy), 0);
	for (int i = 0; i < 2; i++) {
		char beside[PATH_BYTES + 8];
		snprintf(beside, sizeof beside, "%s%s", copy, i == 0 ? "-wal" : "-shm");
		unlink(beside);
	}
	void *state = test;
	teardown(&state);
}

static void test_every_bit_of_a_row_is_found_by_a_write(void **state)
{
	(void)state;
	every_bit(buy_of("buy/0/9", 1, 1));
}

static void test_every_bit_of_a_row_is_found_by_an_audit(void **state)
{
	(void)state;
	every_bit(audit_of("audit/0/9", 10));
}

/* ---- what makes no difference ------------------------------------------------------------------------- */

/* What an application that has the database open reads, or leaves prepared, changes nothing; nor does what is not replicated. */
static void test_only_replicated_state_counts(void **state)
{
	struct rows_test *test = *state;
	flip(test, "UPDATE store SET log_id = 'aaaaaaaaaaaaaaaa'; UPDATE log SET cluster_id = 5, mod_revision = 9;"
		   " UPDATE changes SET mod_revision = 7");
	test->flipped.position.mod_revision = 99;
	assert_false(is_found(test, buy_of("buy/0/9", 1, 1)));
	assert_false(is_found(test, audit_of("audit/0/9", 10)));
	assert_int_equal(sql_number(&test->flipped.database, "SELECT mod_revision FROM changes WHERE revision = 7"), 99);
	/* What somebody changes on this connection outside of an entry is no part of any. */
	sql_run(&test->flipped.database, "UPDATE items SET count = count + 1, supplied = supplied + 1 WHERE id = 2");
	sql_run(&test->flipped.database, "UPDATE items SET count = count - 1, supplied = supplied - 1 WHERE id = 2");
	assert_false(is_found(test, buy_of("buy/0/10", 2, 1)));
}

/* Values of other lengths and types than the buffers of the hash were made for. */
static void test_long_values(void **state)
{
	struct rows_test *test = *state;
	char title[TITLE_MAX_BYTES + 1];
	for (size_t len = 1; len <= TITLE_MAX_BYTES; len += 7) {
		memset(title, 'x', len);
		title[len] = '\0';
		const char *key = arena_printf(&test->sound.arena, "item/0/long%zu", len).ptr;
		assert_false(is_found(test, create_of(key, title, "topic", 1, 1)));
	}
	flip(test, "UPDATE items SET title = title || 'x' WHERE id = 40");
	assert_true(is_found(test, buy_of("buy/0/9", 40, 1)));
}

/* Old refusals are forgotten in one order on every replica, whatever the order in which they stand in the table. */
static void test_forgetting_is_the_same_everywhere(void **state)
{
	struct rows_test *test = *state;
	struct bare_store *stores[] = { &test->sound, &test->flipped };
	for (int s = 0; s < 2; s++) {
		sql_run(&stores[s]->database, "BEGIN; UPDATE store SET log_index = 100014");
		for (int i = 0; i < 300; i++) {
			char sql[200];
			int n = s == 0 ? i : 299 - i;
			snprintf(sql, sizeof sql, "INSERT INTO results VALUES ('old%d', zeroblob(16), 10, %d, 0, 0, x'', 0)", n * 7919 % 300, 1 + n * 7919 % 14);
			sql_run(&stores[s]->database, sql);
		}
		sql_run(&stores[s]->database, "COMMIT");
		assert_int_equal(apply_read_position(stores[s]->apply, &stores[s]->position), PYGMY_OK);
	}
	struct command late[] = { buy_of("buy/0/20", 1, 1), buy_of("buy/0/21", 1, 1) };
	for (int i = 0; i < 2; i++) {
		late[i].base_index = 100000;
		assert_false(is_found(test, late[i]));
	}
	assert_int_equal(sql_number(&test->sound.database, "SELECT count(*) FROM results WHERE kept = 0 AND revision < 16"), 0);
	assert_int_equal(test->sound.position.index, 100016);
}

/* A failed entry leaves nothing in the hash of the next one. */
static void test_a_failure_leaves_nothing_behind(void **state)
{
	struct rows_test *test = *state;
	struct command batch[] = { buy_of("buy/0/30", 1, 1), buy_of("buy/0/31", 2, 1) };
	sql_run(&test->flipped.database, "CREATE TEMP TRIGGER fails BEFORE INSERT ON orders WHEN NEW.item_id = 2 BEGIN SELECT raise(ABORT, 'x'); END");
	assert_int_not_equal(bare_store_apply(&test->flipped, entry_of(&test->sound.arena, batch, 2)), PYGMY_OK);
	sql_run(&test->flipped.database, "DROP TRIGGER fails");
	assert_false(is_found(test, buy_of("buy/0/32", 1, 1)));
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flipped_bit_of_every_column_is_found),
		TEST(test_a_row_that_breaks_a_constraint_is_damage),
		TEST(test_no_column_was_forgotten),
		cmocka_unit_test(test_every_bit_of_a_row_is_found_by_a_write),
		cmocka_unit_test(test_every_bit_of_a_row_is_found_by_an_audit),
		TEST(test_only_replicated_state_counts),
		TEST(test_long_values),
		TEST(test_forgetting_is_the_same_everywhere),
		TEST(test_a_failure_leaves_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
