/* schema: a database of version 1, made by the very SQL of that version, is brought to this one in place, and goes on. */
#include "tests/unit/support.h"

#include "db/applier.h"
#include "db/replica.h"

static const char version_1[] =
	"CREATE TABLE store ("
	"  one INTEGER PRIMARY KEY CHECK (one = 1),"
	"  log_id TEXT NOT NULL CHECK (length(log_id) = 16),"
	"  log_index INTEGER NOT NULL CHECK (log_index >= 0),"
	"  chain BLOB NOT NULL CHECK (length(chain) = 32),"
	"  floor INTEGER NOT NULL CHECK (floor BETWEEN 0 AND log_index),"
	"  catalogue_loaded INTEGER NOT NULL CHECK (catalogue_loaded IN (0, 1)),"
	"  damaged_entries INTEGER NOT NULL CHECK (damaged_entries >= 0)"
	") STRICT;"
	"CREATE TABLE items ("
	"  id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 999999999999999999),"
	"  title TEXT NOT NULL CHECK (length(CAST(title AS BLOB)) BETWEEN 1 AND 500),"
	"  topic TEXT NOT NULL CHECK (length(CAST(topic AS BLOB)) BETWEEN 1 AND 100),"
	"  cost_minor INTEGER NOT NULL CHECK (cost_minor BETWEEN 0 AND 100000000000),"
	"  count INTEGER NOT NULL CHECK (count BETWEEN 0 AND 1000000000),"
	"  supplied INTEGER NOT NULL,"
	"  sold INTEGER NOT NULL CHECK (sold >= 0),"
	"  deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),"
	"  CHECK (supplied = count + sold)"
	") STRICT;"
	"CREATE INDEX items_by_topic ON items (topic, id) WHERE deleted = 0;"
	"CREATE TABLE orders ("
	"  id INTEGER PRIMARY KEY CHECK (id > 0),"
	"  item_id INTEGER NOT NULL REFERENCES items (id),"
	"  quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),"
	"  unit_cost_minor INTEGER NOT NULL CHECK (unit_cost_minor >= 0),"
	"  created_ms INTEGER NOT NULL,"
	"  revision INTEGER NOT NULL CHECK (revision > 0),"
	"  topic_slot INTEGER NOT NULL CHECK (topic_slot BETWEEN 0 AND 65535),"
	"  request_key TEXT NOT NULL UNIQUE,"
	"  payload_hash BLOB NOT NULL CHECK (length(payload_hash) = 16)"
	") STRICT;"
	"CREATE TABLE results ("
	"  request_key TEXT PRIMARY KEY,"
	"  payload_hash BLOB NOT NULL CHECK (length(payload_hash) = 16),"
	"  error INTEGER NOT NULL,"
	"  revision INTEGER NOT NULL CHECK (revision > 0),"
	"  id INTEGER NOT NULL,"
	"  quantity INTEGER NOT NULL,"
	"  slots BLOB,"
	"  kept INTEGER NOT NULL CHECK (kept IN (0, 1))"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX results_by_age ON results (revision, request_key) WHERE kept = 0;"
	"CREATE TABLE slots ("
	"  slot INTEGER PRIMARY KEY CHECK (slot BETWEEN 0 AND 65535),"
	"  revision INTEGER NOT NULL CHECK (revision > 0)"
	") STRICT;"
	"CREATE TABLE changes ("
	"  ring INTEGER PRIMARY KEY CHECK (ring BETWEEN 0 AND 4095),"
	"  revision INTEGER NOT NULL CHECK (revision > 0),"
	"  slots BLOB"
	") STRICT;";

/* What version 1 wrote after: an import of two items, a purchase, a refusal; the ring was about to wrap. */
static const char version_1_content[] =
	"INSERT INTO store VALUES (1, '00112233445566ff', 4099, x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 4000, 1, 2);"
	"INSERT INTO items VALUES (1, 'One', 'topic', 1000, 4, 5, 1, 0), (2, 'Two', 'other', 500, 0, 0, 0, 1);"
	"INSERT INTO orders VALUES (1, 1, 1, 1000, 1700000000000, 4098, 77, 'buy/0/k', x'00112233445566778899aabbccddeeff');"
	"INSERT INTO results VALUES ('buy/0/refused', x'00112233445566778899aabbccddeeff', 10, 4099, 9, 0, x'', 0);"
	"INSERT INTO slots VALUES (77, 4098), (78, 4098);"
	"INSERT INTO changes VALUES (2, 4098, x'4d004e00'), (3, 4099, x''), (4, 4, NULL);"
	"PRAGMA application_id = 1346850137; PRAGMA user_version = 1;";

struct version_test {
	char folder[FOLDER_MAX];
	char path[PATH_BYTES];
};

static int setup(void **state)
{
	struct version_test *test = calloc(1, sizeof *test);
	struct database database;
	assert_non_null(test);
	folder_make(test->folder);
	path_in(test->path, test->folder, "store.db");
	assert_int_equal(database_open(&database, test->path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&database, version_1);
	sql_run(&database, version_1_content);
	database_close(&database);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct version_test *test = *state;
	folder_remove(test->folder);
	free(test);
	return 0;
}

/* The whole schema as text, in the order of the names. */
static char *schema_text(struct database *database)
{
	sqlite3_str *text = sqlite3_str_new(NULL);
	sqlite3_stmt *statement;
	static const char sql[] = "SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name";
	assert_int_equal(sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL), SQLITE_OK);
	while (sqlite3_step(statement) == SQLITE_ROW)
		sqlite3_str_appendf(text, "%s: %s\n", sqlite3_column_text(statement, 0), sqlite3_column_text(statement, 1));
	sqlite3_finalize(statement);
	return sqlite3_str_finish(text);
}

static void assert_content_kept(struct database *database)
{
	static const char *const holds[] = {
		"SELECT log_id = '00112233445566ff' AND log_index = 4099 AND floor = 4000 AND catalogue_loaded = 1 AND damaged_entries = 2 FROM store",
		"SELECT hex(chain) = '000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F' FROM store",
		"SELECT audit_item = 0 AND audit_order = 0 AND log_bytes = 0 FROM store",
		"SELECT count(*) = 2 AND sum(count) = 4 AND sum(supplied) = 5 AND sum(deleted) = 1 FROM items",
		"SELECT count(*) = 1 AND max(request_key) = 'buy/0/k' AND max(revision) = 4098 FROM orders",
		"SELECT count(*) = 1 AND max(error) = 10 FROM results",
		"SELECT count(*) = 2 AND min(revision) = 4098 FROM slots",
		"SELECT count(*) = 3 AND count(chain) = 1 AND sum(mod_revision) = 0 AND sum(log_bytes) = 0 FROM changes",
		"SELECT hex(slots) = '4D004E00' FROM changes WHERE ring = 2 AND revision = 4098",
		"SELECT slots IS NULL FROM changes WHERE ring = 4 AND revision = 4",
		"SELECT chain = (SELECT chain FROM store) FROM changes WHERE ring = 3",
		"SELECT count(*) = 0 FROM members",
		"SELECT count(*) = 1 AND sum(cluster_id) = 0 AND sum(mod_revision) = 0 FROM log",
		"SELECT count(*) = 1 FROM pragma_integrity_check WHERE integrity_check = 'ok'",
		"SELECT count(*) = 0 FROM pragma_foreign_key_check",
	};
	for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++) {
		if (sql_number(database, holds[i]) != 1)
			print_message("# does not hold: %s\n", holds[i]);
		assert_int_equal(sql_number(database, holds[i]), 1);
	}
	assert_int_equal(sql_number(database, "PRAGMA user_version"), SCHEMA_VERSION);
}

static void test_a_migrated_database_has_the_schema_of_a_new_one(void **state)
{
	struct version_test *test = *state;
	struct database database;
	struct bare_store fresh;
	bool created = true;
	assert_int_equal(database_open(&database, test->path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&database, "BEGIN IMMEDIATE");
	assert_int_equal(schema_check(&database), PYGMY_INCOMPATIBLE);
	assert_int_equal(schema_ensure(&database, "fedcba9876543210", &created), PYGMY_OK);
	assert_false(created);
	assert_int_equal(schema_check(&database), PYGMY_OK);
	sql_run(&database, "COMMIT");
	assert_content_kept(&database);
	bare_store_open(&fresh);
	char *migrated = schema_text(&database), *made = schema_text(&fresh.database);
	assert_string_equal(migrated, made);
	sqlite3_free(migrated);
	sqlite3_free(made);
	bare_store_close(&fresh);
	database_close(&database);
}

static void test_a_rollback_leaves_version_1(void **state)
{
	struct version_test *test = *state;
	struct database database;
	bool created;
	assert_int_equal(database_open(&database, test->path, DATABASE_WRITE), PYGMY_OK);
	char *before = schema_text(&database);
	sql_run(&database, "BEGIN IMMEDIATE");
	assert_int_equal(schema_ensure(&database, "fedcba9876543210", &created), PYGMY_OK);
	sql_run(&database, "ROLLBACK");
	char *after = schema_text(&database);
	assert_string_equal(before, after);
	assert_int_equal(sql_number(&database, "PRAGMA user_version"), 1);
	sqlite3_free(before);
	sqlite3_free(after);
	database_close(&database);
}

/* As a worker opens it: what was recorded is known, and new entries get the chain hashes that version 1 did not keep. */
static void test_an_embedded_store_goes_on(void **state)
{
	struct version_test *test = *state;
	struct replica_config config = { .db_path = test->path, .frontends = "", .lease_ms = 100, .reader_max = 1 };
	struct replica *replica;
	struct reader *reader;
	struct reader_entry entry;
	struct result result;
	char log_id[LOG_ID_TEXT_LEN + 1];
	struct command buy = buy_of("buy/0/new", 1, 4), reused = buy_of("buy/0/k", 1, 1);
	assert_int_equal(replica_open(&config, &replica), PYGMY_OK);
	assert_int_equal(replica_how_started(replica), REPLICA_EXISTING);
	replica_log_id(replica, log_id);
	assert_string_equal(log_id, "00112233445566ff");
	assert_int_equal(replica_propose(replica, &buy, INT64_MAX, &result), PYGMY_OK);
	assert_int_equal(result.error, PYGMY_OK);
	assert_int_equal(result.id, 2);
	assert_int_equal(result.revision, 4100);
	assert_int_equal(replica_propose(replica, &reused, INT64_MAX, &result), PYGMY_OK);
	assert_int_equal(result.error, PYGMY_KEY_REUSED);
	assert_int_equal(reader_begin(replica, &(struct read_terms){ 0 }, 0, &reader), PYGMY_OK);
	assert_int_equal(reader_entry(reader, 4099, &entry), PYGMY_OK);
	assert_int_equal(entry.chain[1], 1);
	assert_int_equal(reader_entry(reader, 4098, &entry), PYGMY_NOT_READY);
	assert_int_equal(reader_entry(reader, 4100, &entry), PYGMY_OK);
	assert_true(entry.log_bytes > ENTRY_HEAD_BYTES);
	reader_end(reader);
	replica_close(replica);
}

static void test_a_replica_of_a_cluster_opens_it_too(void **state)
{
	struct version_test *test = *state;
	struct applier *applier;
	assert_int_equal(applier_open(test->path, NULL, &applier), PYGMY_OK);
	assert_content_kept(applier_database(applier));
	assert_int_equal(applier_position(applier)->index, 4099);
	assert_int_equal(applier_position(applier)->floor, 4000);
	assert_int_equal(applier_log(applier)->cluster_id, 0);
	applier_close(applier);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_migrated_database_has_the_schema_of_a_new_one),
		TEST(test_a_rollback_leaves_version_1),
		TEST(test_an_embedded_store_goes_on),
		TEST(test_a_replica_of_a_cluster_opens_it_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
