/* snapshot_check: what is no good backup, from a torn file to one that an enemy made, is told from one that is. */
#include "tests/unit/support.h"

#include <fcntl.h>
#include <sodium.h>

#include "db/snapshot.h"

#define ITEMS 200

struct check_test {
	struct bare_store store;
	char copy[PATH_BYTES];        /* a good backup, fresh for each test */
	char link[PATH_BYTES];
	const char *last;             /* what was changed last */
};

/* Some history: items of which some are changed, sold and deleted. */
static void fill(struct bare_store *store)
{
	char key[ITEMS][32], title[ITEMS][32];
	struct item items[ITEMS];
	for (int i = 0; i < ITEMS; i++) {
		snprintf(title[i], sizeof title[i], "Title %d", i);
		items[i] = item_of(i + 1, title[i], i % 2 == 0 ? "even" : "odd", 100 + i, 500);
	}
	bare_store_do(store, import_of("import/0/i", items, ITEMS));
	for (int i = 0; i < ITEMS; i++) {
		snprintf(key[i], sizeof key[i], "buy/0/k%d", i);
		assert_int_equal(bare_store_do(store, buy_of(key[i], i % 7 + 1, i % 3 + 1)).error, PYGMY_OK);
	}
	bare_store_do(store, count_of("item/0/c", 9, 4));
	bare_store_do(store, delete_of("item/0/d", 3));
}

static int setup(void **state)
{
	struct check_test *test = calloc(1, sizeof *test);
	assert_non_null(test);
	char sql[PATH_BYTES + 32];
	bare_store_open(&test->store);
	fill(&test->store);
	path_in(test->copy, test->store.folder, "copy.db");
	test->last = "nothing changed";
	path_in(test->link, test->store.folder, "link.db");
	snprintf(sql, sizeof sql, "VACUUM INTO '%s'", test->copy);
	sql_run(&test->store.database, sql);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct check_test *test = *state;
	bare_store_close(&test->store);
	free(test);
	return 0;
}

/* Changes the copy by SQL, without the checks that a store has. */
static void change(struct check_test *test, const char *sql)
{
	test->last = sql;
	sqlite3 *handle;
	char *why = NULL;
	assert_int_equal(sqlite3_open(test->copy, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, "PRAGMA ignore_check_constraints = ON; PRAGMA writable_schema = ON", NULL, NULL, NULL), SQLITE_OK);
	if (sqlite3_exec(handle, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

/* Checks the copy; what is told must hold the text. It is the same file afterwards, alone. */
static void assert_check(const struct check_test *test, enum pygmy_error expected, const char *text)
{
	char why[SNAPSHOT_WHY_BYTES], beside[PATH_BYTES + 8];
	struct snapshot_info info;
	struct stat before, after;
	assert_int_equal(stat(test->copy, &before), 0);
	enum pygmy_error error = snapshot_check(test->copy, &info, why);
	if (error != expected || strstr(why, text) == NULL)
		fail_msg("%s: expected %s with \"%s\", found %s with \"%s\"", test->last, error_code(expected), text, error_code(error), why);
	assert_int_equal(error == PYGMY_OK, why[0] == '\0');
	assert_int_equal(snapshot_check(test->copy, &info, NULL), expected);
	assert_int_equal(stat(test->copy, &after), 0);
	assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
	for (size_t i = 0; i < 3; i++) {
		static const char *const suffixes[] = { "-wal", "-shm", "-journal" };
		snprintf(beside, sizeof beside, "%s%s", test->copy, suffixes[i]);
		assert_int_equal(file_size(beside) > 0, false);
	}
}

static void test_a_good_one(void **state)
{
	struct check_test *test = *state;
	struct snapshot_info info;
	char why[SNAPSHOT_WHY_BYTES];
	assert_check(test, PYGMY_OK, "");
	assert_int_equal(snapshot_check(test->copy, &info, why), PYGMY_OK);
	assert_int_equal(info.index, test->store.position.index);
	assert_memory_equal(info.chain, test->store.position.chain, CHAIN_BYTES);
	assert_string_equal(info.log_id, "0123456789abcdef");
	assert_int_equal(info.items, ITEMS - 1);
	assert_int_equal(info.orders, ITEMS);
	assert_int_equal(info.bytes, file_size(test->copy));
	assert_int_equal(info.cluster_id, 0);
}

static void test_a_closed_store_s_own_file(void **state)
{
	struct check_test *test = *state;
	struct snapshot_info info;
	/* In WAL mode, by its header, with nothing beside it. */
	change(test, "PRAGMA journal_mode = WAL");
	assert_check(test, PYGMY_OK, "");
	/* In use: part of it is elsewhere. */
	char why[SNAPSHOT_WHY_BYTES];
	assert_int_equal(snapshot_check(test->store.path, &info, why), PYGMY_STORAGE_FAILED);
	assert_non_null(strstr(why, "-wal"));
}

static void test_names(void **state)
{
	struct check_test *test = *state;
	struct snapshot_info info;
	char odd[PATH_BYTES];
	path_in(odd, test->store.folder, "a?b#c%41 'd.db");
	assert_int_equal(rename(test->copy, odd), 0);
	assert_int_equal(snapshot_check(odd, &info, NULL), PYGMY_OK);
	assert_int_equal(symlink(odd, test->link), 0);
	assert_int_equal(snapshot_check(test->link, &info, NULL), PYGMY_STORAGE_FAILED);
	assert_int_equal(snapshot_check(test->store.folder, &info, NULL), PYGMY_STORAGE_FAILED);
	assert_int_equal(snapshot_check(test->copy, &info, NULL), PYGMY_STORAGE_FAILED);
	assert_int_equal(unlink(test->link), 0);
	assert_int_equal(mkfifo(test->link, 0600), 0);
	assert_int_equal(snapshot_check(test->link, &info, NULL), PYGMY_STORAGE_FAILED);
	char double_slash[PATH_BYTES + 4];
	snprintf(double_slash, sizeof double_slash, "/%s", odd);
	assert_int_equal(snapshot_check(double_slash, &info, NULL), PYGMY_OK);
}

/* ---- torn and broken --------------------------------------------------------------------------------- */

static void overwrite(const char *path, int64_t offset, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, offset), len);
	close(fd);
}

static void test_cut_off(void **state)
{
	struct check_test *test = *state;
	int64_t size = file_size(test->copy);
	static const int64_t left[] = { 1, 99, 100, 511, 4095, 4096, 4097 };
	assert_int_equal(truncate(test->copy, size + 4096), 0);
	assert_check(test, PYGMY_STORAGE_CORRUPT, "cut off");
	assert_int_equal(truncate(test->copy, size - 1), 0);
	assert_check(test, PYGMY_STORAGE_CORRUPT, "cut off");
	assert_int_equal(truncate(test->copy, size - 4096), 0);
	assert_check(test, PYGMY_STORAGE_CORRUPT, "cut off");
	for (size_t i = sizeof left / sizeof left[0]; i-- > 0;) {
		assert_int_equal(truncate(test->copy, left[i]), 0);
		assert_check(test, PYGMY_STORAGE_CORRUPT, "");
	}
	assert_int_equal(truncate(test->copy, 0), 0);
	assert_check(test, PYGMY_STORAGE_CORRUPT, "empty");
}

static void test_garbage(void **state)
{
	struct check_test *test = *state;
	static char bytes[8 * 4096];
	uint64_t seed = test_seed("garbage");
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)test_random(&seed);
	assert_int_equal(truncate(test->copy, sizeof bytes), 0);
	overwrite(test->copy, 0, bytes, sizeof bytes);
	assert_check(test, PYGMY_STORAGE_CORRUPT, "no database");
}

static void *read_file(const char *path, size_t *len)
{
	*len = (size_t)file_size(path);
	char *bytes = malloc(*len);
	FILE *file = fopen(path, "rbe");
	assert_non_null(bytes);
	assert_non_null(file);
	assert_int_equal(fread(bytes, 1, *len, file), *len);
	fclose(file);
	return bytes;
}

/*
 * Random bytes in random places: the check ends, and says something when it finds fault. (What lies in no page's used part is nobody's
 * loss, and not found.) A page that is all wrong is always found.
 */
static void test_random_damage(void **state)
{
	struct check_test *test = *state;
	struct snapshot_info info;
	size_t len;
	char *good = read_file(test->copy, &len);
	uint64_t seed = test_seed("random damage");
	int found = 0;
	for (int round = 0; round < 400; round++) {
		char why[SNAPSHOT_WHY_BYTES], noise[4096];
		size_t count = (size_t)test_random_in(&seed, 1, round % 2 == 0 ? 4 : 64);
		int64_t at = test_random_in(&seed, 0, (int64_t)(len - count));
		for (size_t i = 0; i < count; i++)
			noise[i] = (char)(good[at + (int64_t)i] ^ (char)(test_random(&seed) % 255 + 1));
		overwrite(test->copy, at, noise, count);
		enum pygmy_error error = snapshot_check(test->copy, &info, why);
		assert_true(error == PYGMY_OK || error == PYGMY_STORAGE_CORRUPT || error == PYGMY_INCOMPATIBLE);
		assert_int_equal(error == PYGMY_OK, why[0] == '\0');
		found += error != PYGMY_OK;
		overwrite(test->copy, at, good + at, count);
	}
	assert_true(found > 100);
	for (size_t page = 0; page < len / 4096; page++) {
		char noise[4096];
		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (char)test_random(&seed);
		overwrite(test->copy, (int64_t)page * 4096, noise, sizeof noise);
		assert_int_not_equal(snapshot_check(test->copy, &info, NULL), PYGMY_OK);
		overwrite(test->copy, (int64_t)page * 4096, good + page * 4096, 4096);
	}
	assert_check(test, PYGMY_OK, "");
	free(good);
}

static void test_headers(void **state)
{
	struct check_test *test = *state;
	static const struct {
		int at;
		unsigned char bytes[4];
		enum pygmy_error error;
	} headers[] = {
		{ 16, { 0x02, 0x00 }, PYGMY_STORAGE_CORRUPT },                /* page size */
		{ 18, { 3, 3 }, PYGMY_STORAGE_CORRUPT },                      /* format */
		{ 20, { 12 }, PYGMY_STORAGE_CORRUPT },                        /* reserved bytes of a page */
		{ 28, { 0, 0, 0, 0 }, PYGMY_STORAGE_CORRUPT },                /* pages */
		{ 28, { 0xff, 0xff, 0xff, 0xff }, PYGMY_STORAGE_CORRUPT },
		{ 52, { 0, 0, 0, 9 }, PYGMY_STORAGE_CORRUPT },                /* vacuums itself */
		{ 56, { 0, 0, 0, 2 }, PYGMY_STORAGE_CORRUPT },                /* UTF-16 */
		{ 60, { 0, 0, 0, 1 }, PYGMY_INCOMPATIBLE },                   /* version */
		{ 60, { 0, 0, 0, SCHEMA_VERSION + 1 }, PYGMY_INCOMPATIBLE },
		{ 68, { 0, 0, 0, 0 }, PYGMY_INCOMPATIBLE },                   /* program */
		{ 92, { 0, 0, 9, 9 }, PYGMY_STORAGE_CORRUPT },                /* the size's validity */
	};
	size_t len;
	char *good = read_file(test->copy, &len);
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		size_t count = headers[i].at == 16 || headers[i].at == 18 ? 2 : headers[i].at == 20 ? 1 : 4;
		overwrite(test->copy, headers[i].at, headers[i].bytes, count);
		assert_check(test, headers[i].error, "");
		overwrite(test->copy, 0, good, 100);
	}
	assert_check(test, PYGMY_OK, "");
	free(good);
}

/* ---- hostile schemas --------------------------------------------------------------------------------- */

static void test_schemas(void **state)
{
	struct check_test *test = *state;
	static const struct {
		const char *sql;
		const char *named;
	} schemas[] = {
		{ "CREATE TRIGGER t AFTER INSERT ON orders BEGIN DELETE FROM items; END", "trigger t" },
		{ "CREATE TEMP TABLE x (a); DROP TABLE x; CREATE VIEW v AS SELECT * FROM items", "view v" },
		{ "CREATE TABLE extra (a)", "table extra" },
		{ "CREATE INDEX extra ON items (title)", "index extra" },
		{ "CREATE VIRTUAL TABLE words USING fts5 (text)", "table words" },
		{ "ALTER TABLE items ADD COLUMN more TEXT", "table items" },
		{ "ALTER TABLE items RENAME TO things", "items" },
		{ "DROP INDEX items_by_topic", "items_by_topic" },
		{ "DROP TABLE slots", "slots" },
		{ "UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (supplied = count + sold)', 'CHECK (1 = 1)') WHERE name = 'items'", "table items" },
		{ "UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE name = 'orders'", "table orders" },
		{ "UPDATE sqlite_schema SET sql = 'CREATE TABLE' WHERE name = 'orders'", "" },
		{ "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'items') WHERE name = 'orders'", "" },
		{ "UPDATE sqlite_schema SET rootpage = 0 WHERE name = 'orders'", "" },
		{ "UPDATE sqlite_schema SET rootpage = 123456 WHERE name = 'orders'", "" },
		{ "UPDATE sqlite_schema SET type = 'view', sql = 'CREATE VIEW slots AS SELECT 1' WHERE name = 'slots'", "" },
		{ "INSERT INTO sqlite_schema SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE name = 'slots'", "" },
		{ "DELETE FROM sqlite_schema", "" },
	};
	size_t len;
	char *good = read_file(test->copy, &len);
	for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
		change(test, schemas[i].sql);
		assert_check(test, PYGMY_STORAGE_CORRUPT, schemas[i].named);
		assert_int_equal(truncate(test->copy, (int64_t)len), 0);
		overwrite(test->copy, 0, good, len);
	}
	assert_check(test, PYGMY_OK, "");
	free(good);
}

/* ---- wrong content ----------------------------------------------------------------------------------- */

static void test_contents(void **state)
{
	struct check_test *test = *state;
	static const struct {
		const char *sql;
		const char *named;
	} contents[] = {
		{ "UPDATE items SET count = -1, supplied = sold - 1 WHERE id = 9", "CHECK" },
		{ "UPDATE items SET count = count + 1 WHERE id = 1", "CHECK" },
		{ "UPDATE items SET sold = sold + 1, supplied = supplied + 1 WHERE id = 1", "add up" },
		{ "UPDATE items SET sold = sold + 1, supplied = supplied + 1 WHERE id = 1;"
		  "UPDATE items SET sold = sold - 1, supplied = supplied - 1 WHERE id = 2", "add up" },
		{ "UPDATE orders SET quantity = quantity + 1 WHERE id = 17", "add up" },
		{ "UPDATE orders SET item_id = 8 WHERE id = 17", "add up" },
		{ "UPDATE orders SET item_id = 100000 WHERE id = 17", "add up" },
		{ "DELETE FROM items WHERE id = 1", "add up" },
		{ "DELETE FROM orders WHERE id = 17", "order 17" },
		{ "UPDATE orders SET id = 1000 WHERE id = 17", "order 17" },
		{ "DELETE FROM orders WHERE id = 200", "add up" },
		{ "UPDATE orders SET quantity = 0 WHERE id = 17", "CHECK" },
		{ "UPDATE orders SET revision = 100000 WHERE id = 17", "order 17" },
		{ "UPDATE orders SET revision = 1 WHERE id = 17", "order 17" },
		{ "UPDATE store SET log_index = 3, floor = 0", "" },
		{ "UPDATE store SET log_index = log_index + 1", "chain" },
		{ "UPDATE store SET chain = zeroblob(32)", "chain" },
		{ "UPDATE store SET chain = zeroblob(31)", "CHECK" },
		{ "UPDATE store SET log_id = 'short'", "CHECK" },
		{ "DELETE FROM store", "position" },
		{ "INSERT INTO store SELECT 2, log_id, log_index, chain, floor, 1, 0, 0, 0, 0 FROM store", "CHECK" },
		{ "DELETE FROM log", "position" },
		{ "UPDATE log SET base_index = 100000", "log begins" },
		{ "UPDATE slots SET revision = 100000 WHERE slot = (SELECT min(slot) FROM slots)", "slot" },
		{ "UPDATE results SET revision = 100000", "result" },
		{ "UPDATE changes SET revision = 100000 WHERE ring = 1", "changes" },
		{ "UPDATE changes SET ring = 4000 WHERE ring = 1", "changes" },
		{ "DELETE FROM changes", "chain" },
		{ "INSERT INTO members (name, catalog_url, order_url, since) VALUES ('A', 'u', 'u', 100000)", "member" },
		{ "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 33) "
		  "INSERT INTO members (name, catalog_url, order_url, since) SELECT 'm' || i, 'u', 'u', 1 FROM n",
		  "members" },
	};
	size_t len;
	char *good = read_file(test->copy, &len);
	for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
		change(test, contents[i].sql);
		assert_check(test, PYGMY_STORAGE_CORRUPT, contents[i].named);
		assert_int_equal(truncate(test->copy, (int64_t)len), 0);
		overwrite(test->copy, 0, good, len);
	}
	assert_check(test, PYGMY_OK, "");
	free(good);
}

/* Types that a STRICT table does not take, duplicates that a unique index does not: by tables that were not strict when it happened. */
static void test_types_and_duplicates(void **state)
{
	struct check_test *test = *state;
	static const char loosen[] = "UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '') WHERE name IN ('items', 'orders', 'slots')";
	static const char tighten[] = "UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name IN ('items', 'orders', 'slots')";
	static const char *const changes[] = {
		"UPDATE items SET title = x'00ff' WHERE id = 2",
		"UPDATE items SET cost_minor = 'free' WHERE id = 2",
		"UPDATE items SET count = count + 0.5, supplied = supplied + 0.5 WHERE id = 2",
		"UPDATE items SET topic = zeroblob(5000000) WHERE id = 2",
		"UPDATE orders SET quantity = '1x' WHERE id = 2",
		"UPDATE slots SET revision = 'never'",
	};
	size_t len;
	char *good = read_file(test->copy, &len);
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		change(test, loosen);
		change(test, changes[i]);
		change(test, tighten);
		assert_check(test, PYGMY_STORAGE_CORRUPT, "");
		assert_int_equal(truncate(test->copy, (int64_t)len), 0);
		overwrite(test->copy, 0, good, len);
	}
	/* An index that does not say what its table says. */
	change(test, "UPDATE sqlite_schema SET sql = 'CREATE INDEX items_by_topic ON items (topic, id) WHERE deleted = 1' WHERE name = 'items_by_topic'");
	change(test, "UPDATE items SET topic = 'other' WHERE id = 5");
	change(test, "UPDATE sqlite_schema SET sql = 'CREATE INDEX items_by_topic ON items (topic, id) WHERE deleted = 0' WHERE name = 'items_by_topic'");
	assert_check(test, PYGMY_STORAGE_CORRUPT, "index items_by_topic");
	free(good);
}

/* ---- restoring --------------------------------------------------------------------------------------- */

static void test_restore(void **state)
{
	struct check_test *test = *state;
	struct snapshot_info info, again;
	struct database database;
	struct stat status;
	char why[SNAPSHOT_WHY_BYTES], to[PATH_BYTES], part[PATH_BYTES + 8];
	change(test, "UPDATE log SET cluster_id = -5, create_revision = 7, base_index = 3, mod_revision = 9; UPDATE changes SET mod_revision = 9");
	path_in(to, test->store.folder, "new.db");
	snprintf(part, sizeof part, "%s.part", to);
	assert_int_equal(snapshot_restore(test->copy, to, &info, why), PYGMY_OK);
	assert_int_equal(snapshot_check(to, &again, why), PYGMY_OK);
	assert_int_equal(again.index, test->store.position.index);
	assert_memory_equal(again.chain, test->store.position.chain, CHAIN_BYTES);
	assert_string_not_equal(again.log_id, "0123456789abcdef");
	assert_string_equal(again.log_id, info.log_id);
	assert_int_equal(again.cluster_id | again.create_revision | again.base_index, 0);
	assert_int_equal(stat(to, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(file_size(part), -1);
	/* A name that is taken stays as it is; a bad backup leaves nothing. */
	assert_int_equal(snapshot_restore(test->copy, to, &info, why), PYGMY_STORAGE_FAILED);
	assert_int_equal(unlink(to), 0);
	change(test, "DELETE FROM orders WHERE id = 3");
	assert_int_equal(snapshot_restore(test->copy, to, &info, why), PYGMY_STORAGE_CORRUPT);
	assert_non_null(strstr(why, "order 3"));
	assert_int_equal(file_size(to), -1);
	assert_int_equal(file_size(part), -1);
	/* A store's own file, in WAL mode; and the store that comes of it works. */
	bare_store_run(&test->store, &(struct command){ 0 }, 0);
	sql_run(&test->store.database, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(snapshot_restore(test->store.path, to, &info, why), PYGMY_OK);
	assert_int_equal(database_open(&database, to, DATABASE_WRITE), PYGMY_OK);
	assert_books_balance(&database);
	database_close(&database);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (sodium_init() < 0)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_good_one),
		TEST(test_a_closed_store_s_own_file),
		TEST(test_names),
		TEST(test_cut_off),
		TEST(test_garbage),
		TEST(test_random_damage),
		TEST(test_headers),
		TEST(test_schemas),
		TEST(test_contents),
		TEST(test_types_and_duplicates),
		TEST(test_restore),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
