/* apply_buy: a purchase. Its order row holds the request key, and so is the record of its result. */
#include "db/apply_internal.h"
#include "db/slot.h"

static void touch_item(struct apply *apply, struct result *result, int64_t item_id, uint32_t topic_slot)
{
	touch_slot(apply, result, slot_of_item(item_id));
	touch_slot(apply, result, topic_slot);
	touch_slot(apply, result, slot_of_all());
}

static enum pygmy_error take_from_stock(struct apply *apply, const struct buy_command *buy)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_SELL_ITEM);
	bind_int(statement, 1, buy->item_id);
	bind_int(statement, 2, buy->quantity);
	return statement_run(apply->database, statement, "take from stock");
}

static enum pygmy_error insert_order(struct apply *apply, const struct command *command, int64_t unit_cost_minor, uint32_t topic_slot)
{
	sqlite3_stmt *statement = apply_statement(apply, STATEMENT_INSERT_ORDER);
	bind_int(statement, 1, command->buy.item_id);
	bind_int(statement, 2, command->buy.quantity);
	bind_int(statement, 3, unit_cost_minor);
	bind_int(statement, 4, command->time_ms);
	bind_int(statement, 5, (int64_t)apply->index);
	bind_int(statement, 6, topic_slot);
	bind_text(statement, 7, command->request_key);
	bind_blob(statement, 8, (struct slice){ (const char *)command->payload_hash, PAYLOAD_HASH_BYTES });
	return statement_run(apply->database, statement, "insert order");
}

enum pygmy_error apply_buy(struct apply *apply, const struct command *command, struct result *result)
{
	const struct buy_command *buy = &command->buy;
	struct item item;
	bool found;
	enum pygmy_error error = apply_find_item(apply, buy->item_id, &found, &item);
	uint32_t topic_slot = error == PYGMY_OK && found ? slot_of_topic(item.topic) : 0;
	sqlite3_reset(apply_statement(apply, STATEMENT_FIND_ITEM));
	if (error != PYGMY_OK)
		return error;
	result->id = buy->item_id;
	if (!found) {
		result->error = PYGMY_ITEM_NOT_FOUND;
		return PYGMY_OK;
	}
	if (item.count < buy->quantity) {
		result->error = item.count == 0 ? PYGMY_SOLD_OUT : PYGMY_INSUFFICIENT_STOCK;
		result->quantity = item.count;
		return PYGMY_OK;
	}
	error = take_from_stock(apply, buy);
	if (error == PYGMY_OK)
		error = insert_order(apply, command, item.cost_minor, topic_slot);
	if (error != PYGMY_OK)
		return error;
	result->id = sqlite3_last_insert_rowid(apply->database->handle);
	result->quantity = buy->quantity;
	touch_item(apply, result, buy->item_id, topic_slot);
	return PYGMY_OK;
}
