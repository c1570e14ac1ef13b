/*
 * apply_frontend: who the frontends are that writes wait for.
 *
 * A frontend joins, is fenced by a writer that can't reach it, and joins again; only one that is fenced can be forgotten, so that whoever counted
 * is always fenced first. It stays at its address: two frontends that were given one name by mistake must never take turns under it.
 */
#include "db/apply_internal.h"

struct registered {
	bool found, same_url, fenced;
	uint64_t since;
};

/* url may be empty where it does not matter. */
static enum pygmy_error look_up(struct apply *apply, struct slice name, struct slice url, struct registered *out)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_FIND_FRONTEND);
	bind_text(statement, 1, name);
	bind_text(statement, 2, url);
	int rc = sqlite3_step(statement);
	*out = (struct registered){ .found = rc == SQLITE_ROW };
	if (out->found) {
		out->same_url = sqlite3_column_int(statement, 0) != 0;
		out->fenced = sqlite3_column_int(statement, 1) != 0;
		out->since = (uint64_t)sqlite3_column_int64(statement, 2);
	}
	enum pygmy_error error = database_error(apply->database, rc, "look up frontend");
	sqlite3_reset(statement);
	return error;
}

static enum pygmy_error count_frontends(struct apply *apply, int64_t *count)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_COUNT_FRONTENDS);
	int rc = sqlite3_step(statement);
	*count = sqlite3_column_int64(statement, 0);
	enum pygmy_error error = database_error(apply->database, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "count frontends");
	sqlite3_reset(statement);
	return error;
}

enum pygmy_error apply_frontend_join(struct apply *apply, const struct frontend_join_command *join, struct result *result)
{
	struct registered registered;
	int64_t count = 0;
	enum pygmy_error error = look_up(apply, join->name, join->url, &registered);
	if (error == PYGMY_OK)
		error = count_frontends(apply, &count);
	if (error != PYGMY_OK)
		return error;
	if (registered.found && !registered.same_url)
		result->error = PYGMY_FRONTEND_NAME_TAKEN;
	else if (!registered.found && count >= FRONTENDS_MAX)
		result->error = PYGMY_FRONTENDS_EXHAUSTED;
	if (result->error != PYGMY_OK)
		return PYGMY_OK;
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_PUT_FRONTEND);
	bind_text(statement, 1, join->name);
	bind_text(statement, 2, join->url);
	bind_int(statement, 3, (int64_t)apply->index);
	return statement_run(apply->database, statement, "put frontend");
}

enum pygmy_error apply_frontend_fence(struct apply *apply, const struct frontend_fence_command *fence, struct result *result)
{
	struct registered registered;
	enum pygmy_error error = look_up(apply, fence->name, SLICE_EMPTY, &registered);
	if (error != PYGMY_OK)
		return error;
	if (!registered.found)
		result->error = PYGMY_FRONTEND_NOT_FOUND;
	else if (registered.fenced || registered.since != fence->since)
		result->error = PYGMY_FRONTEND_CHANGED;
	if (result->error != PYGMY_OK)
		return PYGMY_OK;
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_FENCE_FRONTEND);
	bind_text(statement, 1, fence->name);
	bind_int(statement, 2, (int64_t)apply->index);
	return statement_run(apply->database, statement, "fence frontend");
}

enum pygmy_error apply_frontend_leave(struct apply *apply, const struct frontend_leave_command *leave, struct result *result)
{
	struct registered registered;
	enum pygmy_error error = look_up(apply, leave->name, SLICE_EMPTY, &registered);
	if (error != PYGMY_OK)
		return error;
	if (!registered.found)
		result->error = PYGMY_FRONTEND_NOT_FOUND;
	else if (!registered.fenced)
		result->error = PYGMY_FRONTEND_NOT_FENCED;
	if (result->error != PYGMY_OK)
		return PYGMY_OK;
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_REMOVE_FRONTEND);
	bind_text(statement, 1, leave->name);
	return statement_run(apply->database, statement, "remove frontend");
}
