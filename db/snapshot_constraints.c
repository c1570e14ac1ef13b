/*
 * snapshot_constraints: whether every row of a database keeps the CHECK constraints of its table.
 *
 * PRAGMA integrity_check would tell, were the database not opened read-only: then SQLite forgets the CHECKs as it reads the schema. So they
 * are taken out of the schema's text, which is our own, and asked for in SQL. As in SQLite, NULL passes.
 */
#include <stdio.h>

#include "db/snapshot_internal.h"

#define CHECK_WORD "CHECK ("

/* The length of the text up to the parenthesis that closes the first one, with which it begins. */
static size_t parenthesised_len(const char *text)
{
	size_t depth = 0, len = 0;
	bool quoted = false;
	for (; text[len] != '\0'; len++) {
		if (text[len] == '\'')
			quoted = !quoted;
		else if (!quoted && text[len] == '(')
			depth++;
		else if (!quoted && text[len] == ')' && --depth == 0)
			return len + 1;
	}
	return len;
}

/* A statement that finds a row that breaks one of the table's constraints; NULL without memory. sqlite3_free it. */
static char *question(const char *table, const char *schema_text)
{
	sqlite3_str *sql = sqlite3_str_new(NULL);
	sqlite3_str_appendf(sql, "SELECT 1 FROM \"%w\" WHERE NOT (1", table);
	for (const char *at = strstr(schema_text, CHECK_WORD); at != NULL; at = strstr(at, CHECK_WORD)) {
		at += sizeof CHECK_WORD - 2;
		sqlite3_str_appendall(sql, " AND ");
		sqlite3_str_append(sql, at, (int)parenthesised_len(at));
	}
	sqlite3_str_appendall(sql, ") LIMIT 1");
	return sqlite3_str_finish(sql);
}

static enum pygmy_error check_table(struct database *database, const char *table, const char *schema_text, char why[SNAPSHOT_WHY_BYTES])
{
	sqlite3_stmt *statement = NULL;
	char *sql = question(table, schema_text);
	if (sql == NULL)
		return PYGMY_OUT_OF_MEMORY;
	int rc = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	enum pygmy_error error = PYGMY_OK;
	if (rc == SQLITE_ROW) {
		snprintf(why, SNAPSHOT_WHY_BYTES, "it is damaged: a row of %s breaks a CHECK constraint", table);
		error = PYGMY_STORAGE_CORRUPT;
	} else if (rc != SQLITE_DONE) {
		error = snapshot_read_error(database, rc, why);
	}
	sqlite3_finalize(statement);
	return error;
}

enum pygmy_error snapshot_check_constraints(struct database *database, struct database *reference, char why[SNAPSHOT_WHY_BYTES])
{
	static const char list_tables[] = "SELECT name, sql FROM sqlite_schema WHERE type = 'table'";
	sqlite3_stmt *tables;
	int rc = sqlite3_prepare_v2(reference->handle, list_tables, -1, &tables, NULL);
	if (rc != SQLITE_OK)
		return database_error(reference, rc, "snapshot");
	enum pygmy_error error = PYGMY_OK;
	while (error == PYGMY_OK && (rc = sqlite3_step(tables)) == SQLITE_ROW)
		error = check_table(database, (const char *)sqlite3_column_text(tables, 0), (const char *)sqlite3_column_text(tables, 1), why);
	if (error == PYGMY_OK)
		error = database_error(reference, rc, "snapshot");
	sqlite3_finalize(tables);
	return error;
}
