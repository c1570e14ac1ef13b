/* apply_item: changes of the catalogue: create, update, delete, import. */
#include "db/apply_internal.h"
#include "db/slot.h"

enum pygmy_error apply_find_item(struct apply *apply, int64_t id, bool *found, struct item *item)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_FIND_ITEM);
	bind_int(statement, 1, id);
	int rc = sqlite3_step(statement);
	*found = rc == SQLITE_ROW;
	if (*found)
		*item = (struct item){ .id = id,
				       .title = column_text(statement, 0),
				       .topic = column_text(statement, 1),
				       .cost_minor = sqlite3_column_int64(statement, 2),
				       .count = sqlite3_column_int64(statement, 3) };
	return database_error(apply->database, rc, "find item");
}

static void touch_item(struct apply *apply, struct result *result, int64_t id, struct slice topic)
{
	touch_slot(apply, result, slot_of_item(id));
	touch_slot(apply, result, slot_of_topic(topic));
	touch_slot(apply, result, slot_of_all());
}

static bool etag_matches(const struct item *item, struct slice if_match)
{
	char etag[ETAG_HEX_LEN + 1];
	if (if_match.len == 0 || slice_equal(if_match, SLICE_LITERAL("*")))
		return true;
	item_etag(item, etag);
	return slice_equal(if_match, (struct slice){ etag, ETAG_HEX_LEN });
}

/*
 * What update and delete check first. When the item is there and its ETag fits, result->error stays OK, the caller may use
 * *item, and must reset FIND_ITEM itself.
 */
static enum pygmy_error find_for_change(struct apply *apply, int64_t id, struct slice if_match, struct item *item, struct result *result)
{
	bool found;
	result->id = id;
	enum pygmy_error error = apply_find_item(apply, id, &found, item);
	if (error == PYGMY_OK && !found)
		result->error = PYGMY_ITEM_NOT_FOUND;
	else if (error == PYGMY_OK && !etag_matches(item, if_match))
		result->error = PYGMY_PRECONDITION_FAILED;
	if (error != PYGMY_OK || result->error != PYGMY_OK)
		sqlite3_reset(apply_statement(apply, STATEMENT_FIND_ITEM));
	return error;
}

static enum pygmy_error put_item(struct apply *apply, const struct item *item)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_PUT_ITEM);
	bind_int(statement, 1, item->id);
	bind_text(statement, 2, item->title);
	bind_text(statement, 3, item->topic);
	bind_int(statement, 4, item->cost_minor);
	bind_int(statement, 5, item->count);
	return statement_run(apply->database, statement, "put item");
}

static enum pygmy_error last_item_id(struct apply *apply, int64_t *id)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_LAST_ITEM);
	int rc = sqlite3_step(statement);
	*id = sqlite3_column_int64(statement, 0);
	enum pygmy_error error = database_error(apply->database, rc, "last item");
	sqlite3_reset(statement);
	return error;
}

enum pygmy_error apply_item_create(struct apply *apply, const struct item_create_command *create, struct result *result)
{
	struct item item = create->item;
	int64_t last;
	enum pygmy_error error = last_item_id(apply, &last);
	if (error != PYGMY_OK)
		return error;
	if (last >= ID_MAX) {
		result->error = PYGMY_IDS_EXHAUSTED;
		return PYGMY_OK;
	}
	item.id = last + 1;
	error = put_item(apply, &item);
	if (error != PYGMY_OK)
		return error;
	result->id = item.id;
	touch_item(apply, result, item.id, item.topic);
	return PYGMY_OK;
}

enum pygmy_error apply_item_update(struct apply *apply, const struct item_update_command *update, struct result *result)
{
	struct item item;
	enum pygmy_error error = find_for_change(apply, update->item_id, update->if_match, &item, result);
	if (error != PYGMY_OK || result->error != PYGMY_OK)
		return error;
	int64_t cost_minor = update->has_cost ? update->cost_minor : item.cost_minor;
	int64_t count = update->has_count ? update->count : item.count + update->delta;
	if (count >= 0 && count <= COUNT_MAX)
		touch_item(apply, result, item.id, item.topic);
	else
		result->error = PYGMY_STOCK_CONFLICT;
	result->quantity = item.count;
	sqlite3_reset(apply_statement(apply, STATEMENT_FIND_ITEM));
	if (result->error != PYGMY_OK)
		return PYGMY_OK;
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_UPDATE_ITEM);
	bind_int(statement, 1, update->item_id);
	bind_int(statement, 2, cost_minor);
	bind_int(statement, 3, count);
	return statement_run(apply->database, statement, "update item");
}

enum pygmy_error apply_item_delete(struct apply *apply, const struct item_delete_command *delete, struct result *result)
{
	struct item item;
	enum pygmy_error error = find_for_change(apply, delete->item_id, delete->if_match, &item, result);
	if (error != PYGMY_OK || result->error != PYGMY_OK)
		return error;
	touch_item(apply, result, item.id, item.topic);
	sqlite3_reset(apply_statement(apply, STATEMENT_FIND_ITEM));
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_DELETE_ITEM);
	bind_int(statement, 1, delete->item_id);
	return statement_run(apply->database, statement, "delete item");
}

enum pygmy_error apply_import(struct apply *apply, const struct import_command *import, struct result *result)
{
	enum pygmy_error error = PYGMY_OK;
	if (import->first_catalogue && apply->next.catalogue_loaded) {
		result->error = PYGMY_CATALOGUE_NOT_EMPTY;
		return PYGMY_OK;
	}
	for (uint64_t i = 0; error == PYGMY_OK && i < import->item_count; i++)
		error = put_item(apply, &import->items[i]);
	if (error != PYGMY_OK)
		return error;
	apply->next.catalogue_loaded = apply->next.catalogue_loaded || import->last_part;
	result->quantity = (int64_t)import->item_count;
	touch_everything(apply, result);
	return PYGMY_OK;
}
