/*
 * snapshot_check: whether a file is what it says. See snapshot.h.
 *
 * The file may have been made by an enemy, or by a disk that fails. So its header is checked before SQLite sees it; SQLite opens it
 * read-only, unmapped, with cell_size_check and without trust in its schema (https://www.sqlite.org/security.html); the schema must
 * be, text by text, the one that this version makes: no view, trigger, index or table more. Only then is SQL run on it.
 */
#include <stdio.h>

#include "db/limits.h"
#include "db/snapshot_internal.h"

/* What SQLite calls corrupt, too big or wrong in its schema is damage. */
enum pygmy_error snapshot_read_error(struct database *database, int rc, char why[SNAPSHOT_WHY_BYTES])
{
	snprintf(why, SNAPSHOT_WHY_BYTES, "%s", sqlite3_errmsg(database->handle));
	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_TOOBIG:
	case SQLITE_ERROR:
	case SQLITE_SCHEMA:
	case SQLITE_MISMATCH:
		return PYGMY_STORAGE_CORRUPT;
	default:
		return database_error(database, rc, "snapshot");
	}
}

/* ---- the schema -------------------------------------------------------------------------------------- */

static const char list_objects[] = 
	"SELECT coalesce(type, ''), coalesce(name, ''), coalesce(tbl_name, ''), coalesce(sql, '') FROM sqlite_schema ORDER BY 1, 2";

#define OBJECT_COLUMNS 4

static bool is_same_object(sqlite3_stmt *a, sqlite3_stmt *b)
{
	for (int i = 0; i < OBJECT_COLUMNS; i++)
		if (!slice_equal(column_text(a, i), column_text(b, i)))
			return false;
	return true;
}

/* Names the object that is there and should not be, that is missing, or that is another one: whichever stands first in the lists. */
static enum pygmy_error name_difference(sqlite3_stmt *found, bool has_found, sqlite3_stmt *expected, bool has_expected,
					char why[SNAPSHOT_WHY_BYTES])
{
	sqlite3_stmt *named = has_found ? found : expected;
	if (has_found && has_expected) {
		int order = strcmp((const char *)sqlite3_column_text(found, 0), (const char *)sqlite3_column_text(expected, 0));
		if (order == 0)
			order = strcmp((const char *)sqlite3_column_text(found, 1), (const char *)sqlite3_column_text(expected, 1));
		named = order <= 0 ? found : expected;
	}
	snprintf(why, SNAPSHOT_WHY_BYTES, "its tables are not those of a store: see %.20s %.60s", (const char *)sqlite3_column_text(named, 0),
		 (const char *)sqlite3_column_text(named, 1));
	return PYGMY_STORAGE_CORRUPT;
}

/* Steps through both lists side by side. */
static enum pygmy_error compare_objects(struct database *database, sqlite3_stmt *found, sqlite3_stmt *expected, char why[SNAPSHOT_WHY_BYTES])
{
	for (;;) {
		int rc = sqlite3_step(found), expected_rc = sqlite3_step(expected);
		if (rc != SQLITE_ROW && rc != SQLITE_DONE)
			return snapshot_read_error(database, rc, why);
		if (rc == SQLITE_DONE && expected_rc == SQLITE_DONE)
			return PYGMY_OK;
		if (expected_rc != SQLITE_ROW && expected_rc != SQLITE_DONE)
			return PYGMY_OUT_OF_MEMORY;
		if (rc != expected_rc || !is_same_object(found, expected))
			return name_difference(found, rc == SQLITE_ROW, expected, expected_rc == SQLITE_ROW, why);
	}
}

static enum pygmy_error check_schema(struct database *database, struct database *reference, char why[SNAPSHOT_WHY_BYTES])
{
	sqlite3_stmt *found = NULL, *expected = NULL;
	enum pygmy_error error = PYGMY_OK;
	int rc = sqlite3_prepare_v2(database->handle, list_objects, -1, &found, NULL);
	if (rc != SQLITE_OK)
		error = snapshot_read_error(database, rc, why);
	else if ((rc = sqlite3_prepare_v2(reference->handle, list_objects, -1, &expected, NULL)) != SQLITE_OK)
		error = database_error(reference, rc, "snapshot");
	else
		error = compare_objects(database, found, expected, why);
	sqlite3_finalize(found);
	sqlite3_finalize(expected);
	return error;
}

/* ---- the pages --------------------------------------------------------------------------------------- */

/* Pages, indexes, types. The first thing that it finds is enough. */
static enum pygmy_error check_integrity(struct database *database, char why[SNAPSHOT_WHY_BYTES])
{
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(database->handle, "PRAGMA integrity_check(1)", -1, &statement, NULL);
	if (rc != SQLITE_OK)
		return snapshot_read_error(database, rc, why);
	enum pygmy_error error = PYGMY_OK;
	rc = sqlite3_step(statement);
	struct slice text = rc == SQLITE_ROW ? column_text(statement, 0) : SLICE_EMPTY;
	if (rc != SQLITE_ROW) {
		error = snapshot_read_error(database, rc, why);
	} else if (!slice_equal(text, SLICE_LITERAL("ok"))) {
		snprintf(why, SNAPSHOT_WHY_BYTES, "it is damaged: %.*s", (int)(text.len < 200 ? text.len : 200), text.ptr);
		error = PYGMY_STORAGE_CORRUPT;
	}
	sqlite3_finalize(statement);
	return error;
}

/* ---- the position ------------------------------------------------------------------------------------ */

#define LIMIT_TEXT(number) LIMIT_DIGITS(number)
#define LIMIT_DIGITS(number) #number

/* Rows that contradict the position. Of orders: see snapshot_check_books. */
static const struct {
	const char *sql;
	const char *what;
} contradictions[] = {
	{ "SELECT 1 WHERE (SELECT count(*) FROM store) <> 1 OR (SELECT count(*) FROM log) <> 1", "it has no position" },
	{ "SELECT 1 FROM slots, store WHERE revision > log_index", "a slot changed behind its position" },
	{ "SELECT 1 FROM results, store WHERE revision > log_index", "a result was recorded behind its position" },
	{ "SELECT 1 FROM changes, store WHERE revision > log_index OR ring <> revision % " LIMIT_TEXT(CHANGES_RING_ENTRIES), "its list of changes does not fit its position" },
	{ "SELECT 1 FROM store WHERE log_index > 0 AND chain NOT IN (SELECT c.chain FROM changes AS c WHERE c.revision = log_index)",
	  "its chain hash is not that of its last change" },
	{ "SELECT 1 FROM store, log WHERE base_index > log_index", "it is at an older position than its log begins" },
	{ "SELECT 1 FROM members, store WHERE since > log_index", "a member joined behind its position" },
	{ "SELECT 1 WHERE (SELECT count(*) FROM members) > " LIMIT_TEXT(MEMBERS_MAX), "it has more members than a cluster can have" },
};

static enum pygmy_error check_position(struct database *database, char why[SNAPSHOT_WHY_BYTES])
{
	for (size_t i = 0; i < sizeof contradictions / sizeof contradictions[0]; i++) {
		sqlite3_stmt *statement;
		int rc = sqlite3_prepare_v2(database->handle, contradictions[i].sql, -1, &statement, NULL);
		if (rc != SQLITE_OK)
			return snapshot_read_error(database, rc, why);
		rc = sqlite3_step(statement);
		enum pygmy_error error = PYGMY_OK;
		if (rc == SQLITE_ROW) {
			snprintf(why, SNAPSHOT_WHY_BYTES, "%s", contradictions[i].what);
			error = PYGMY_STORAGE_CORRUPT;
		} else if (rc != SQLITE_DONE) {
			error = snapshot_read_error(database, rc, why);
		}
		sqlite3_finalize(statement);
		if (error != PYGMY_OK)
			return error;
	}
	return PYGMY_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static enum pygmy_error check_content(struct database *database, struct database *reference, struct snapshot_info *info,
				      char why[SNAPSHOT_WHY_BYTES])
{
	int64_t bytes = info->bytes;
	enum pygmy_error error = check_schema(database, reference, why);
	if (error == PYGMY_OK)
		error = check_integrity(database, why);
	if (error == PYGMY_OK)
		error = snapshot_check_constraints(database, reference, why);
	if (error == PYGMY_OK)
		error = check_position(database, why);
	if (error == PYGMY_OK)
		error = snapshot_read_info(database, info);
	if (error == PYGMY_OK)
		error = snapshot_check_books(database, info, why);
	info->bytes = bytes;
	return error;
}

/* Compared with a new store, in memory. */
static enum pygmy_error check_database(const char *path, struct snapshot_info *info, char why[SNAPSHOT_WHY_BYTES])
{
	struct database database, reference;
	bool created;
	enum pygmy_error error = database_open(&reference, ":memory:", DATABASE_WRITE);
	if (error != PYGMY_OK)
		return error;
	error = schema_ensure(&reference, LOG_ID_NONE, &created);
	if (error == PYGMY_OK)
		error = database_open(&database, path, DATABASE_FOREIGN);
	if (error == PYGMY_OK) {
		error = check_content(&database, &reference, info, why);
		database_close(&database);
	}
	database_close(&reference);
	return error;
}

enum pygmy_error snapshot_check(const char *path, struct snapshot_info *info, char why[SNAPSHOT_WHY_BYTES])
{
	char ignored[SNAPSHOT_WHY_BYTES];
	why = why != NULL ? why : ignored;
	why[0] = '\0';
	*info = (struct snapshot_info){ 0 };
	enum pygmy_error error = snapshot_check_header(path, &info->bytes, why);
	if (error == PYGMY_OK)
		error = check_database(path, info, why);
	if (error != PYGMY_OK && why[0] == '\0')
		snprintf(why, SNAPSHOT_WHY_BYTES, "%s", error_text(error));
	return error;
}
