/* schema: see schema.h. The numbers in CHECKs are those of limits.h; a unit test compares them. */
#include "db/schema.h"

#include "db/diagnostics.h"

/* Tables that version 1 had in another form. */
#define CREATE_STORE \
	"CREATE TABLE store (" \
	"  one INTEGER PRIMARY KEY CHECK (one = 1)," \
	"  log_id TEXT NOT NULL CHECK (length(log_id) = 16)," \
	"  log_index INTEGER NOT NULL CHECK (log_index >= 0)," \
	"  chain BLOB NOT NULL CHECK (length(chain) = 32)," \
	"  floor INTEGER NOT NULL CHECK (floor BETWEEN 0 AND log_index)," \
	"  catalogue_loaded INTEGER NOT NULL CHECK (catalogue_loaded IN (0, 1))," \
	"  damaged_entries INTEGER NOT NULL CHECK (damaged_entries >= 0)," \
	"  audit_item INTEGER NOT NULL CHECK (audit_item >= 0)," \
	"  audit_order INTEGER NOT NULL CHECK (audit_order >= 0)," \
	"  log_bytes INTEGER NOT NULL CHECK (log_bytes >= 0)" \
	") STRICT;"
#define CREATE_CHANGES \
	"CREATE TABLE changes (" \
	"  ring INTEGER PRIMARY KEY CHECK (ring BETWEEN 0 AND 4095)," \
	"  revision INTEGER NOT NULL CHECK (revision > 0)," \
	"  slots BLOB," \
	"  chain BLOB CHECK (length(chain) = 32)," \
	"  mod_revision INTEGER NOT NULL CHECK (mod_revision >= 0)," \
	"  log_bytes INTEGER NOT NULL CHECK (log_bytes >= 0)" \
	") STRICT;"
/* Tables that version 1 did not have. */
#define CREATE_MEMBERS_AND_LOG \
	"CREATE TABLE members (" \
	"  name TEXT PRIMARY KEY CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 16)," \
	"  catalog_url TEXT NOT NULL CHECK (length(CAST(catalog_url AS BLOB)) BETWEEN 1 AND 200)," \
	"  order_url TEXT NOT NULL CHECK (length(CAST(order_url AS BLOB)) BETWEEN 1 AND 200)," \
	"  since INTEGER NOT NULL CHECK (since > 0)" \
	") STRICT, WITHOUT ROWID;" \
	"CREATE TABLE log (" \
	"  one INTEGER PRIMARY KEY CHECK (one = 1)," \
	"  cluster_id INTEGER NOT NULL," \
	"  create_revision INTEGER NOT NULL," \
	"  base_index INTEGER NOT NULL CHECK (base_index >= 0)," \
	"  mod_revision INTEGER NOT NULL CHECK (mod_revision >= 0)" \
	") STRICT;" \
	"INSERT INTO log VALUES (1, 0, 0, 0, 0);"

static const char create_tables[] =
	CREATE_STORE
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
	CREATE_CHANGES
	CREATE_MEMBERS_AND_LOG;

/*
 * The ring's old entries have no chain hash but the last one, whose hash is the store's. The indexes of a table that is renamed go with
 * it; neither of these two has one.
 */
static const char from_version_1[] =
	"ALTER TABLE store RENAME TO store_1;"
	CREATE_STORE
	"INSERT INTO store SELECT one, log_id, log_index, chain, floor, catalogue_loaded, damaged_entries, 0, 0, 0 FROM store_1;"
	"DROP TABLE store_1;"
	"ALTER TABLE changes RENAME TO changes_1;"
	CREATE_CHANGES
	"INSERT INTO changes SELECT ring, revision, slots, NULL, 0, 0 FROM changes_1;"
	"UPDATE changes SET chain = (SELECT chain FROM store) WHERE revision = (SELECT log_index FROM store);"
	"DROP TABLE changes_1;"
	CREATE_MEMBERS_AND_LOG
	"PRAGMA user_version = 2;";

static enum pygmy_error read_pragma(struct database *database, const char *sql, int64_t *value)
{
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
	if (rc != SQLITE_OK)
		return database_error(database, rc, sql);
	rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*value = sqlite3_column_int64(statement, 0);
	enum pygmy_error error = database_error(database, rc, sql);
	sqlite3_finalize(statement);
	return error;
}

static enum pygmy_error create(struct database *database, const char *log_id)
{
	static const char insert[] = "INSERT INTO store VALUES (1, ?1, 0, zeroblob(32), 0, 0, 0, 0, 0, 0)";
	enum pygmy_error error = database_exec(database, create_tables);
	if (error != PYGMY_OK)
		return error;
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(database->handle, insert, -1, &statement, NULL);
	if (rc != SQLITE_OK)
		return database_error(database, rc, "create");
	bind_text(statement, 1, slice_of(log_id));
	error = statement_run(database, statement, "create");
	sqlite3_finalize(statement);
	if (error == PYGMY_OK)
		error = database_exec(database, "PRAGMA application_id = 1346850137; PRAGMA user_version = 2;");
	return error;
}

struct found {
	int64_t application_id, version, tables;
};

static enum pygmy_error find(struct database *database, struct found *out)
{
	enum pygmy_error error = read_pragma(database, "PRAGMA application_id", &out->application_id);
	if (error == PYGMY_OK)
		error = read_pragma(database, "PRAGMA user_version", &out->version);
	if (error == PYGMY_OK)
		error = read_pragma(database, "SELECT count(*) FROM sqlite_schema", &out->tables);
	return error;
}

static enum pygmy_error refuse(const struct found *found)
{
	if (found->application_id != SCHEMA_APPLICATION_ID)
		diagnose_error("the database file belongs to another program (application_id %lld)", (long long)found->application_id);
	else
		diagnose_error("the database has schema version %lld, this program knows %d: use the version that wrote it",
			       (long long)found->version, SCHEMA_VERSION);
	return PYGMY_INCOMPATIBLE;
}

enum pygmy_error schema_ensure(struct database *database, const char *log_id, bool *created)
{
	struct found found = { 0 };
	enum pygmy_error error = find(database, &found);
	if (error != PYGMY_OK)
		return error;
	*created = found.tables == 0 && found.application_id == 0;
	if (*created)
		return create(database, log_id);
	if (found.application_id == SCHEMA_APPLICATION_ID && found.version == 1)
		return database_exec(database, from_version_1);
	return found.application_id == SCHEMA_APPLICATION_ID && found.version == SCHEMA_VERSION ? PYGMY_OK : refuse(&found);
}

enum pygmy_error schema_check(struct database *database)
{
	struct found found = { 0 };
	enum pygmy_error error = find(database, &found);
	if (error != PYGMY_OK)
		return error;
	return found.application_id == SCHEMA_APPLICATION_ID && found.version == SCHEMA_VERSION ? PYGMY_OK : refuse(&found);
}
