/*
 * item_write: changes of single items, by the administrator or (propagate) by another replica.
 *
 * Both ways of updating share the key scope, so one update that comes both ways is applied once.
 */
#include <inttypes.h>

#include "fcgi/catalog/catalog.h"
#include "fcgi/common/etag.h"
#include "fcgi/common/parameter.h"
#include "fcgi/common/write.h"

static void fail_item(struct exchange *exchange, enum pygmy_error error, int64_t id)
{
	if (error == PYGMY_ITEM_NOT_FOUND)
		exchange_fail(exchange, error, "There is no item with id %" PRId64 ".", id);
	else
		write_fail(exchange, error);
}

/* ---- create ------------------------------------------------------------------------------------------- */

enum { CREATE_COST, CREATE_COUNT, CREATE_TITLE, CREATE_TOPIC, CREATE_FIELDS };

static const struct body_field create_fields[CREATE_FIELDS] = {
	[CREATE_COST] = { .name = "cost", .type = BODY_MONEY, .required = true },
	[CREATE_COUNT] = { .name = "count", .type = BODY_INT, .required = true, .min = 0, .max = COUNT_MAX },
	[CREATE_TITLE] = { .name = "title", .type = BODY_TEXT, .required = true, .max = TITLE_MAX_BYTES },
	[CREATE_TOPIC] = { .name = "topic", .type = BODY_TEXT, .required = true, .max = TOPIC_MAX_BYTES },
};

/* The item is what was asked for under the recorded id, so a repeated request gets the same answer. */
static void answer_created(struct exchange *exchange, struct item *item, int64_t id)
{
	item->id = id;
	exchange->answer.location = arena_printf(&exchange->arena, "/item/%" PRId64, id);
	writer_put_literal(&exchange->out, "{\"item\":[");
	item_write_json(item, &exchange->out);
	writer_put_literal(&exchange->out, "],");
	exchange_end_success(exchange, 201, SLICE_EMPTY, 0);
}

void item_create(struct exchange *exchange)
{
	struct body_value values[CREATE_FIELDS];
	struct refusal refusal;
	if (!body_read(exchange->document, "", create_fields, CREATE_FIELDS, values, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	struct item item = { .title = values[CREATE_TITLE].text, .topic = values[CREATE_TOPIC].text,
		.cost_minor = values[CREATE_COST].number, .count = values[CREATE_COUNT].number };
	struct command command = { .type = COMMAND_ITEM_CREATE, .item_create = { .item = item } };
	struct result result;
	if (!write_prepare(exchange, KEY_SCOPE_ITEM, false, &command))
		return;
	enum pygmy_error error = write_propose(exchange, &command, &result);
	if (error == PYGMY_OK)
		answer_created(exchange, &item, result.id);
	else
		write_fail(exchange, error);
}

/* ---- update ------------------------------------------------------------------------------------------- */

enum { UPDATE_COST, UPDATE_COUNT, UPDATE_DELTA, UPDATE_FIELDS };

static const struct body_field update_fields[UPDATE_FIELDS] = {
	[UPDATE_COST] = { .name = "cost", .type = BODY_MONEY },
	[UPDATE_COUNT] = { .name = "count", .type = BODY_INT, .min = 0, .max = COUNT_MAX },
	[UPDATE_DELTA] = { .name = "delta", .type = BODY_INT, .min = -COUNT_MAX, .max = COUNT_MAX },
};

static bool read_update(const struct exchange *exchange, struct item_update_command *update, struct refusal *refusal)
{
	struct body_value values[UPDATE_FIELDS];
	if (!parameter_path_id(&exchange->request, &update->item_id, refusal)
			|| !if_match_parse(exchange->request.if_match, &update->if_match, refusal)
			|| !body_read(exchange->document, "", update_fields, UPDATE_FIELDS, values, refusal))
		return false;
	update->has_cost = values[UPDATE_COST].present;
	update->has_count = values[UPDATE_COUNT].present;
	update->has_delta = values[UPDATE_DELTA].present;
	update->cost_minor = values[UPDATE_COST].number;
	update->count = values[UPDATE_COUNT].number;
	update->delta = values[UPDATE_DELTA].number;
	if (update->has_count && update->has_delta)
		return refuse(refusal, PYGMY_INVALID_FIELD, "The fields count and delta exclude each other.");
	if (!update->has_cost && !update->has_count && !update->has_delta)
		return refuse(refusal, PYGMY_MISSING_FIELD, "One of the fields cost, count and delta must be there.");
	return true;
}

static void update_item(struct exchange *exchange, bool key_required)
{
	struct command command = { .type = COMMAND_ITEM_UPDATE };
	struct refusal refusal;
	struct result result;
	if (!read_update(exchange, &command.item_update, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	if (!write_prepare(exchange, KEY_SCOPE_ITEM, key_required, &command))
		return;
	enum pygmy_error error = write_propose(exchange, &command, &result);
	if (error == PYGMY_OK)
		exchange_succeed_empty_item(exchange, 201, SLICE_EMPTY);
	else
		fail_item(exchange, error, command.item_update.item_id);
}

void item_update(struct exchange *exchange)
{
	update_item(exchange, false);
}

void item_propagate(struct exchange *exchange)
{
	update_item(exchange, true);
}

/* ---- delete ------------------------------------------------------------------------------------------- */

void item_delete(struct exchange *exchange)
{
	struct command command = { .type = COMMAND_ITEM_DELETE };
	struct refusal refusal;
	struct result result;
	if (!parameter_path_id(&exchange->request, &command.item_delete.item_id, &refusal)
			|| !if_match_parse(exchange->request.if_match, &command.item_delete.if_match, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	if (!write_prepare(exchange, KEY_SCOPE_ITEM, false, &command))
		return;
	enum pygmy_error error = write_propose(exchange, &command, &result);
	if (error == PYGMY_OK)
		exchange_succeed_empty_item(exchange, 200, SLICE_EMPTY);
	else
		fail_item(exchange, error, command.item_delete.item_id);
}
