/*
 * buy: purchases, by customers (/buy) and by other replicas (/update).
 *
 * What is bought comes from the path, the query or a JSON body; a name that comes in two of them is refused. All ways share
 * the key scope: an order that another replica sends again is the order that was made here. Each decision is a line of the
 * transaction log.
 */
#include <inttypes.h>

#include "fcgi/common/parameter.h"
#include "fcgi/common/worker.h"
#include "fcgi/common/write.h"
#include "fcgi/order/order.h"

enum { BUY_ID, BUY_QUANTITY, BUY_FIELDS };

static const struct body_field buy_fields[BUY_FIELDS] = {
	[BUY_ID] = { .name = "id", .type = BODY_INT, .min = 1, .max = ID_MAX },
	[BUY_QUANTITY] = { .name = "quantity", .type = BODY_INT, .min = 1, .max = QUANTITY_MAX },
};

enum { ADD_ITEM_ID, ADD_QUANTITY, ADD_FIELDS };

static const struct body_field add_fields[ADD_FIELDS] = {
	[ADD_ITEM_ID] = { .name = "item_id", .type = BODY_INT, .required = true, .min = 1, .max = ID_MAX },
	[ADD_QUANTITY] = { .name = "quantity", .type = BODY_INT, .min = 1, .max = QUANTITY_MAX },
};

/* One value that may come from the query or from the body, but not from both. fallback 0: it must come. */
static bool read_one(const struct exchange *exchange, const char *name, const struct body_value *in_body, int64_t max, int64_t fallback,
	int64_t *value, struct refusal *refusal)
{
	const struct query_string *query = &exchange->request.query;
	if (in_body->present && parameter_find(query, name) != NULL)
		return refuse(refusal, PYGMY_REPEATED_PARAMETER, "The parameter %s is given in the query and in the body.", name);
	if (in_body->present) {
		*value = in_body->number;
		return true;
	}
	if (fallback != 0)
		return parameter_int(query, name, 1, max, fallback, value, refusal);
	return parameter_required_int(query, name, 1, max, value, refusal);
}

static bool read_purchase(const struct exchange *exchange, struct buy_command *buy, struct refusal *refusal)
{
	struct body_value values[BUY_FIELDS] = { { .present = false } };
	if (exchange->document != NULL && !body_read(exchange->document, "", buy_fields, BUY_FIELDS, values, refusal))
		return false;
	if (exchange->request.path_id.len == 0)
		return read_one(exchange, "id", &values[BUY_ID], ID_MAX, 0, &buy->item_id, refusal)
			&& read_one(exchange, "quantity", &values[BUY_QUANTITY], QUANTITY_MAX, 1, &buy->quantity, refusal);
	if (values[BUY_ID].present)
		return refuse(refusal, PYGMY_REPEATED_PARAMETER, "The parameter id is given in the path and in the body.");
	return parameter_path_id(&exchange->request, &buy->item_id, refusal)
		&& read_one(exchange, "quantity", &values[BUY_QUANTITY], QUANTITY_MAX, 1, &buy->quantity, refusal);
}

static void log_transaction(struct exchange *exchange, const struct command *command, enum pygmy_error error, const struct result *result)
{
	struct transaction transaction = {
		.time_ms = command->time_ms,
		.key = exchange->answer.request_key,
		.item_id = command->buy.item_id,
		.quantity = command->buy.quantity,
		.error = error,
		.order_id = error == PYGMY_OK ? result->id : 0,
		/* The record behind a reused key is another request's. */
		.repeated = result->repeated && error != PYGMY_KEY_REUSED,
		.trace_id = exchange->request.trace_id,
	};
	transaction_log_write(&exchange->worker->transactions, &transaction);
}

static void fail_purchase(struct exchange *exchange, enum pygmy_error error, int64_t item_id, const struct result *result)
{
	if (error == PYGMY_SOLD_OUT || error == PYGMY_ITEM_NOT_FOUND)
		exchange_fail(exchange, error, "The item with id %" PRId64 " is no longer present in the catalog server", item_id);
	else if (error == PYGMY_INSUFFICIENT_STOCK)
		exchange_fail(exchange, error, "Only %" PRId64 " of the item with id %" PRId64 " are left.", result->quantity, item_id);
	else
		write_fail(exchange, error);
}

/* False: the answer has been made an error. */
static bool purchase(struct exchange *exchange, struct command *command, bool key_required, struct result *result)
{
	*result = (struct result){ .error = PYGMY_OK };
	if (!write_prepare(exchange, KEY_SCOPE_BUY, key_required, command))
		return false;
	enum pygmy_error error = write_propose(exchange, command, result);
	log_transaction(exchange, command, error, result);
	if (error == PYGMY_OK)
		return true;
	fail_purchase(exchange, error, command->buy.item_id, result);
	return false;
}

void buy(struct exchange *exchange)
{
	struct command command = { .type = COMMAND_BUY };
	struct refusal refusal;
	struct result result;
	if (!read_purchase(exchange, &command.buy, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	if (!purchase(exchange, &command, false, &result))
		return;
	struct writer *out = &exchange->out;
	writer_put_literal(out, "{\"message\":\"Item with id ");
	writer_put_int(out, command.buy.item_id);
	writer_put_literal(out, " bought successfully.\",\"order\":{\"id\":");
	writer_put_int(out, result.id);
	writer_put_literal(out, "},\"status\":\"Success\",\"validation_code\":200}\n");
	exchange->answer.status = 200;
}

void order_add(struct exchange *exchange)
{
	struct body_value values[ADD_FIELDS];
	struct command command = { .type = COMMAND_BUY };
	struct refusal refusal;
	struct result result;
	if (!body_read(exchange->document, "", add_fields, ADD_FIELDS, values, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	command.buy.item_id = values[ADD_ITEM_ID].number;
	command.buy.quantity = values[ADD_QUANTITY].present ? values[ADD_QUANTITY].number : 1;
	if (purchase(exchange, &command, true, &result))
		exchange_succeed_empty_item(exchange, 201,
			arena_printf(&exchange->arena, "successfully updated order id %" PRId64, result.id));
}
