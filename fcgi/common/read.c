/* read: see read.h. */
#include "fcgi/common/read.h"

#include "fcgi/common/etag.h"
#include "fcgi/common/worker.h"

struct reader *read_begin(struct exchange *exchange)
{
	struct replica *replica = atomic_load_explicit(&exchange->worker->replica, memory_order_acquire);
	struct refusal refusal;
	struct reader *reader = NULL;
	struct read_terms terms = { 0 };
	if (!request_min_revision(&exchange->request, &terms.min_revision, &refusal) ||
	    !request_is_strict(&exchange->request, &terms.strict, &refusal) ||
	    !request_allows_stale(&exchange->request, &terms.stale_allowed, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return NULL;
	}
	int64_t deadline_ms = exchange->started_us / 1000 + MIN_REVISION_WAIT_MS;
	enum pygmy_error error = reader_begin(replica, &terms, deadline_ms, &reader);
	if (error != PYGMY_OK) {
		const char *why = NULL;
		if (error == PYGMY_NOT_READY)
			replica_ready(replica, &why);
		exchange_fail(exchange, error, why != NULL ? "%s" : NULL, why);
		return NULL;
	}
	exchange->answer.stale_ms = reader_stale_ms(reader);
	exchange->answer.revision = reader_revision(reader);
	exchange->answer.has_revision = true;
	return reader;
}

bool read_depends_on(struct exchange *exchange, struct reader *reader, uint32_t slot)
{
	struct answer *answer = &exchange->answer;
	enum pygmy_error error = reader_slot_changed(reader, slot, &answer->changed);
	if (error != PYGMY_OK) {
		exchange_fail(exchange, error, NULL);
		return false;
	}
	uint64_t nginx_slot;
	answer->has_changed = true;
	answer->cacheable = answer->stale_ms == 0 && decimal_parse(exchange->request.nginx_slot, SLOT_COUNT - 1, &nginx_slot) && nginx_slot == slot;
	return true;
}

static void compare_tag(struct exchange *exchange)
{
	struct answer *answer = &exchange->answer;
	if (answer->status != 200)
		return;
	if (!if_match_allows(exchange->request.if_match, answer->etag)) {
		exchange_fail(exchange, PYGMY_PRECONDITION_FAILED, NULL);
		return;
	}
	if (!if_none_match_names(exchange->request.if_none_match, answer->etag))
		return;
	exchange_drop_body(exchange);
	answer->status = 304;
	answer->cacheable = false;
}

void read_tag_item(struct exchange *exchange, const struct item *item)
{
	item_etag(item, exchange->answer.etag);
	compare_tag(exchange);
}

void read_tag_body(struct exchange *exchange)
{
	bytes_etag(exchange_body(exchange), exchange->answer.etag);
	compare_tag(exchange);
}
