/*
 * orders: reading them, one or in pages, forwards (after) or backwards (before).
 */
#include <inttypes.h>

#include "fcgi/common/parameter.h"
#include "fcgi/common/read.h"
#include "fcgi/order/order.h"

static void write_order(const struct order *order, struct writer *out)
{
	writer_put_literal(out, "{\"cost\":");
	writer_put_money(out, order->unit_cost_minor);
	writer_put_literal(out, ",\"created_ms\":");
	writer_put_int(out, order->created_ms);
	writer_put_literal(out, ",\"id\":");
	writer_put_int(out, order->id);
	writer_put_literal(out, ",\"item_id\":");
	writer_put_int(out, order->item_id);
	writer_put_literal(out, ",\"quantity\":");
	writer_put_int(out, order->quantity);
	writer_put_literal(out, ",\"total\":");
	/* COST_MAX_MINOR times QUANTITY_MAX fits. */
	writer_put_money(out, order->unit_cost_minor * order->quantity);
	writer_put_literal(out, "}");
}

_Static_assert(COST_MAX_MINOR <= INT64_MAX / QUANTITY_MAX, "the total of an order must fit");

/* Orders come last in the alphabetical envelope, behind `next`, so it is written around them. */
static void begin_envelope(struct writer *out, int64_t next)
{
	writer_put_literal(out, "{\"message\":{},");
	if (next > 0) {
		writer_put_literal(out, "\"next\":");
		writer_put_int(out, next);
		writer_put_literal(out, ",");
	}
	writer_put_literal(out, "\"order\":");
}

static void end_envelope(struct exchange *exchange)
{
	writer_put_literal(&exchange->out, ",\"status\":\"Success\",\"validation_code\":200}\n");
	exchange->answer.status = 200;
	read_tag_body(exchange);
}

void order_get(struct exchange *exchange)
{
	struct refusal refusal;
	struct order order;
	int64_t id;
	if (!parameter_path_id(&exchange->request, &id, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	struct reader *reader = read_begin(exchange);
	if (reader == NULL)
		return;
	enum pygmy_error error = reader_order(reader, id, &order);
	reader_end(reader);
	if (error == PYGMY_ORDER_NOT_FOUND) {
		exchange_fail(exchange, error, "There is no order with id %" PRId64 ".", id);
	} else if (error != PYGMY_OK) {
		exchange_fail(exchange, error, NULL);
	} else {
		begin_envelope(&exchange->out, 0);
		write_order(&order, &exchange->out);
		end_envelope(exchange);
	}
}

struct page {
	bool descending;
	int64_t bound;
	int64_t limit;
	struct order *orders;
	size_t count;
};

static bool collect(void *context, const struct order *order)
{
	struct page *page = context;
	if (page->count < (size_t)page->limit)
		page->orders[page->count++] = *order;
	return true;
}

static bool read_page(const struct exchange *exchange, struct page *page, struct refusal *refusal)
{
	const struct query_string *query = &exchange->request.query;
	int64_t before;
	page->descending = parameter_find(query, "before") != NULL;
	if (page->descending && parameter_find(query, "after") != NULL)
		return refuse(refusal, PYGMY_INVALID_PARAMETER, "The parameters after and before exclude each other.");
	if (!parameter_int(query, "before", 1, ID_MAX, 0, &before, refusal)
			|| !parameter_int(query, "after", 0, ID_MAX, 0, &page->bound, refusal)
			|| !parameter_int(query, "limit", 1, PAGE_MAX, PAGE_DEFAULT, &page->limit, refusal))
		return false;
	if (page->descending)
		page->bound = before;
	return true;
}

static void write_page(struct exchange *exchange, const struct page *page, bool more)
{
	struct writer *out = &exchange->out;
	begin_envelope(out, more && page->count > 0 ? page->orders[page->count - 1].id : 0);
	writer_put_literal(out, "[");
	for (size_t i = 0; i < page->count; i++) {
		if (i > 0)
			writer_put_literal(out, ",");
		write_order(&page->orders[i], out);
	}
	writer_put_literal(out, "]");
	end_envelope(exchange);
}

void order_list(struct exchange *exchange)
{
	struct page page = { .count = 0 };
	struct refusal refusal;
	bool more = false;
	if (!read_page(exchange, &page, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	page.orders = arena_take(&exchange->arena, (size_t)page.limit * sizeof *page.orders);
	if (page.orders == NULL) {
		exchange_fail(exchange, PYGMY_OUT_OF_MEMORY, NULL);
		return;
	}
	struct reader *reader = read_begin(exchange);
	if (reader == NULL)
		return;
	enum pygmy_error error = reader_orders(reader, page.bound, page.descending, (int)page.limit, collect, &page, &more);
	reader_end(reader);
	if (error == PYGMY_OK)
		write_page(exchange, &page, more);
	else
		exchange_fail(exchange, error, NULL);
}
