/*
 * apply: any bytes in a sound envelope leave a store whose books balance, and applying them again changes nothing more.
 *
 * The store has three items and is in memory; each input is applied in a transaction that is rolled back.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/apply.h"
#include "db/command.h"
#include "db/diagnostics.h"
#include "db/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct database database;
static struct apply *apply;
static struct apply_position start;

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void run(const char *sql)
{
	check(sqlite3_exec(database.handle, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static int64_t number(const char *sql)
{
	sqlite3_stmt *statement;
	check(sqlite3_prepare_v2(database.handle, sql, -1, &statement, NULL) == SQLITE_OK);
	check(sqlite3_step(statement) == SQLITE_ROW);
	int64_t value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

static void open_store(void)
{
	bool created = false;
	diagnostics_init("fuzz", DIAGNOSTICS_ERROR + 1);
	check(database_open(&database, ":memory:", DATABASE_WRITE) == PYGMY_OK);
	run("BEGIN");
	check(schema_ensure(&database, "0123456789abcdef", &created) == PYGMY_OK && created);
	run("INSERT INTO items VALUES (1, 'One', 'topic', 1000, 3, 3, 0, 0), (2, 'Two', 'other', 0, 0, 0, 0, 0),"
	    " (3, 'Three', 'topic', 5, 1000000000, 1000000000, 0, 0); COMMIT");
	check(apply_create(&database, &apply) == PYGMY_OK);
	run("BEGIN");
	check(apply_read_position(apply, &start) == PYGMY_OK);
	run("COMMIT");
}

static void check_books(void)
{
	check(number("SELECT count(*) FROM items WHERE count < 0 OR supplied <> count + sold OR sold <>"
		     " (SELECT coalesce(sum(quantity), 0) FROM orders WHERE item_id = items.id)") == 0);
	check(number("SELECT count(*) - count(DISTINCT request_key) FROM orders") == 0);
	check(number("SELECT count(*) FROM orders JOIN results USING (request_key)") == 0);
}

static int64_t state_of_items(void)
{
	return number("SELECT coalesce(sum(count * 7 + sold * 11 + cost_minor * 13 + deleted * 17 + length(title)), 0) FROM items");
}

static void apply_twice(struct slice entry, struct arena *arena)
{
	static struct result first[BATCH_MAX_COMMANDS], second[BATCH_MAX_COMMANDS];
	struct apply_position position = start;
	size_t count = 0, again = 0;
	enum pygmy_error error = apply_entry(apply, &position, entry, arena, first, &count);
	check(error == PYGMY_OK || error == PYGMY_INCOMPATIBLE);
	if (error != PYGMY_OK)
		return;
	check(position.index == start.index + 1);
	check_books();
	int64_t orders = number("SELECT count(*) FROM orders"), items = state_of_items();
	check(apply_entry(apply, &position, entry, arena, second, &again) == PYGMY_OK && again == count);
	check(number("SELECT count(*) FROM orders") == orders && state_of_items() == items);
	for (size_t i = 0; i < count; i++) {
		/* Audits are not recorded, but they are never refused either. */
		check((second[i].repeated || second[i].error == PYGMY_OK) && second[i].error == first[i].error);
		check(!second[i].repeated || first[i].error == PYGMY_KEY_REUSED || (second[i].id == first[i].id && second[i].revision == first[i].revision));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	if (apply == NULL)
		open_store();
	if (size > ENTRY_MAX_BYTES - ENTRY_HEAD_BYTES)
		return 0;
	arena_init(&arena, (size_t)16 * 1024 * 1024);
	char *entry = arena_take(&arena, ENTRY_HEAD_BYTES + size);
	check(entry != NULL);
	if (size > 0)
		memcpy(entry + ENTRY_HEAD_BYTES, data, size);
	entry_seal((struct slice){ entry + ENTRY_HEAD_BYTES, size }, entry);
	run("BEGIN");
	apply_twice((struct slice){ entry, ENTRY_HEAD_BYTES + size }, &arena);
	run("ROLLBACK");
	arena_close(&arena);
	return 0;
}
