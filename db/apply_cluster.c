/* apply_cluster: commands about the cluster itself: the log's first entry, the members, audits. */
#include "db/apply_internal.h"

#include "db/cluster.h"

/* Right only at the very position that it names. Whoever takes on a log checks that before (applier.c): here it is a refusal like others. */
void apply_genesis(const struct apply *apply, const struct genesis_command *genesis, struct result *result)
{
	struct slice chain = { (const char *)apply->next.chain, CHAIN_BYTES };
	if (genesis->base_index + 1 != apply->index || !slice_equal(genesis->chain, chain))
		result->error = PYGMY_OTHER_LOG;
}

/* ---- members ---------------------------------------------------------------------------------------- */

/* *count gets the number of members, *is_member whether name is one. */
static enum pygmy_error look_up_member(struct apply *apply, struct slice name, int64_t *count, bool *is_member)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_COUNT_MEMBERS);
	bind_text(statement, 1, name);
	int rc = sqlite3_step(statement);
	*count = sqlite3_column_int64(statement, 0);
	*is_member = sqlite3_column_int64(statement, 1) != 0;
	enum pygmy_error error = database_error(apply->database, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "look up member");
	sqlite3_reset(statement);
	return error;
}

enum pygmy_error apply_member_set(struct apply *apply, const struct member_set_command *member_set, struct result *result)
{
	int64_t count;
	bool is_member;
	enum pygmy_error error = look_up_member(apply, member_set->name, &count, &is_member);
	if (error != PYGMY_OK)
		return error;
	if (!is_member && count >= MEMBERS_MAX) {
		result->error = PYGMY_MEMBERS_EXHAUSTED;
		return PYGMY_OK;
	}
	result->quantity = is_member ? count : count + 1;
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_PUT_MEMBER);
	bind_text(statement, 1, member_set->name);
	bind_text(statement, 2, member_set->catalog_url);
	bind_text(statement, 3, member_set->order_url);
	bind_int(statement, 4, (int64_t)apply->index);
	return statement_run(apply->database, statement, "put member");
}

enum pygmy_error apply_member_remove(struct apply *apply, const struct member_remove_command *member_remove, struct result *result)
{
	int64_t count;
	bool is_member;
	enum pygmy_error error = look_up_member(apply, member_remove->name, &count, &is_member);
	if (error != PYGMY_OK)
		return error;
	if (!is_member)
		result->error = PYGMY_MEMBER_NOT_FOUND;
	else if (count == 1)
		result->error = PYGMY_LAST_MEMBER;
	if (result->error != PYGMY_OK)
		return PYGMY_OK;
	result->quantity = count - 1;
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_REMOVE_MEMBER);
	bind_text(statement, 1, member_remove->name);
	return statement_run(apply->database, statement, "remove member");
}

/* ---- audits ----------------------------------------------------------------------------------------- */

/* Hashes the rows that statement gives; *last gets the id (first column) of the last one. */
static enum pygmy_error hash_rows(struct apply *apply, sqlite3_stmt *statement, int64_t *count, int64_t *last)
{
	int rc;
	*count = 0;
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		rows_put_row(&apply->rows, statement);
		*last = sqlite3_column_int64(statement, 0);
		++*count;
	}
	enum pygmy_error error = database_error(apply->database, rc, "audit");
	sqlite3_reset(statement);
	return error;
}

/* The next rows behind *cursor, which moves on; at the table's end it goes back to 0. */
static enum pygmy_error audit_table(struct apply *apply, enum apply_statement which, int64_t rows, int64_t *cursor)
{
	sqlite3_stmt *statement = apply_statement(apply, which);
	int64_t count;
	bind_int(statement, 1, *cursor);
	bind_int(statement, 2, rows);
	enum pygmy_error error = hash_rows(apply, statement, &count, cursor);
	if (error == PYGMY_OK && count < rows)
		*cursor = 0;
	return error;
}

enum pygmy_error apply_audit(struct apply *apply, const struct audit_command *audit)
{
	int64_t count, last;
	enum pygmy_error error = audit_table(apply, STATEMENT_AUDIT_ITEMS, audit->rows, &apply->next.audit_item);
	if (error == PYGMY_OK)
		error = audit_table(apply, STATEMENT_AUDIT_ORDERS, audit->rows, &apply->next.audit_order);
	if (error == PYGMY_OK)
		error = hash_rows(apply, apply_statement(apply, STATEMENT_AUDIT_MEMBERS), &count, &last);
	return error;
}
