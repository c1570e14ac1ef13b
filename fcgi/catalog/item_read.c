/*
 * item_read: one item, and lists of items.
 *
 * The frontends' caches live from what these answers say of themselves: each names the slot that it depends on (item, topic or
 * everything). An unknown item's 404 depends on its slot like the item would.
 */
#include <inttypes.h>

#include "db/slot.h"
#include "fcgi/catalog/catalog.h"
#include "fcgi/common/parameter.h"
#include "fcgi/common/read.h"

void item_write_json(const struct item *item, struct writer *out)
{
	writer_put_literal(out, "{\"cost\":");
	writer_put_money(out, item->cost_minor);
	writer_put_literal(out, ",\"count\":");
	writer_put_int(out, item->count);
	writer_put_literal(out, ",\"id\":");
	writer_put_int(out, item->id);
	writer_put_literal(out, ",\"title\":");
	writer_put_json_string(out, item->title);
	writer_put_literal(out, ",\"topic\":");
	writer_put_json_string(out, item->topic);
	writer_put_literal(out, "}");
}

static void read_item(struct exchange *exchange, struct reader *reader, int64_t id)
{
	struct item item;
	enum pygmy_error error = reader_item(reader, id, &item);
	if (error == PYGMY_ITEM_NOT_FOUND) {
		exchange_fail(exchange, error, "There is no item with id %" PRId64 ".", id);
	} else if (error != PYGMY_OK) {
		exchange_fail(exchange, error, NULL);
	} else {
		writer_put_literal(&exchange->out, "{\"item\":[");
		item_write_json(&item, &exchange->out);
		writer_put_literal(&exchange->out, "],");
		exchange_end_success(exchange, 200, SLICE_EMPTY, 0);
		read_tag_item(exchange, &item);
	}
}

static void answer_item(struct exchange *exchange, int64_t id)
{
	struct reader *reader = read_begin(exchange);
	if (reader == NULL)
		return;
	if (read_depends_on(exchange, reader, slot_of_item(id)))
		read_item(exchange, reader, id);
	reader_end(reader);
}

void item_get(struct exchange *exchange)
{
	struct refusal refusal;
	int64_t id;
	if (parameter_path_id(&exchange->request, &id, &refusal))
		answer_item(exchange, id);
	else
		exchange_refuse(exchange, &refusal);
}

void item_lookup(struct exchange *exchange)
{
	struct refusal refusal;
	int64_t id;
	if (parameter_required_int(&exchange->request.query, "id", 1, ID_MAX, &id, &refusal))
		answer_item(exchange, id);
	else
		exchange_refuse(exchange, &refusal);
}

struct page {
	struct slice topic;           /* ptr NULL: all */
	int64_t after;
	int64_t limit;
	struct writer *out;
	int64_t last_id;              /* of what was written; 0: nothing */
};

static bool write_listed(void *context, const struct item *item)
{
	struct page *page = context;
	if (page->last_id != 0)
		writer_put_literal(page->out, ",");
	item_write_json(item, page->out);
	page->last_id = item->id;
	return !page->out->failed;
}

static void read_list(struct exchange *exchange, struct reader *reader, struct page *page)
{
	bool more = false;
	writer_put_literal(page->out, "{\"item\":[");
	enum pygmy_error error = reader_items(reader, page->topic, page->after, (int)page->limit, write_listed, page, &more);
	if (error != PYGMY_OK) {
		exchange_fail(exchange, error, NULL);
		return;
	}
	writer_put_literal(page->out, "],");
	exchange_end_success(exchange, 200, SLICE_EMPTY, more ? page->last_id : 0);
	read_tag_body(exchange);
}

static void answer_list(struct exchange *exchange, bool topic_required)
{
	const struct query_string *query = &exchange->request.query;
	struct page page = { .out = &exchange->out };
	struct refusal refusal;
	bool good = parameter_text(query, "topic", TOPIC_MAX_BYTES, &page.topic, &refusal)
		&& (page.topic.ptr != NULL || !topic_required || refuse(&refusal, PYGMY_MISSING_PARAMETER, "The parameter topic is missing."))
		&& parameter_int(query, "after", 0, ID_MAX, 0, &page.after, &refusal)
		&& parameter_int(query, "limit", 1, PAGE_MAX, PAGE_DEFAULT, &page.limit, &refusal);
	if (!good) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	struct reader *reader = read_begin(exchange);
	if (reader == NULL)
		return;
	if (read_depends_on(exchange, reader, page.topic.ptr != NULL ? slot_of_topic(page.topic) : slot_of_all()))
		read_list(exchange, reader, &page);
	reader_end(reader);
}

void item_list(struct exchange *exchange)
{
	answer_list(exchange, false);
}

void item_search(struct exchange *exchange)
{
	answer_list(exchange, true);
}
