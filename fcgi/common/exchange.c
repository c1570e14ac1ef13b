/* exchange: see exchange.h. */
#include "fcgi/common/exchange.h"

#include <stdarg.h>
#include <stdio.h>

#include "db/monotonic.h"

#define RETRY_AFTER_S 1

void exchange_init(struct exchange *exchange, struct worker *worker)
{
	exchange->worker = worker;
	exchange->document = NULL;
	arena_init(&exchange->arena, REQUEST_ARENA_MAX_BYTES);
	writer_init(&exchange->out, ANSWER_HEAD_MAX_BYTES + ANSWER_MAX_BYTES);
}

void exchange_close(struct exchange *exchange)
{
	json_decref(exchange->document);
	exchange->document = NULL;
	arena_close(&exchange->arena);
	writer_close(&exchange->out);
}

void exchange_begin(struct exchange *exchange, const struct request_source *source)
{
	json_decref(exchange->document);
	exchange->document = NULL;
	exchange->route = NULL;
	exchange->source = source;
	exchange->started_us = monotonic_us();
	exchange->answer = (struct answer){ .error = PYGMY_OK, .content_type = "application/json" };
	arena_reset(&exchange->arena);
	writer_reset(&exchange->out, ANSWER_HEAD_MAX_BYTES);
	request_collect(&exchange->request, source);
	exchange->waited_ms = request_waited_ms(&exchange->request, wallclock_ms());
}

void exchange_drop_body(struct exchange *exchange)
{
	writer_reset(&exchange->out, ANSWER_HEAD_MAX_BYTES);
}

struct slice exchange_body(const struct exchange *exchange)
{
	if (exchange->out.failed)
		return SLICE_EMPTY;
	return (struct slice){ exchange->out.bytes + ANSWER_HEAD_MAX_BYTES, exchange->out.len - ANSWER_HEAD_MAX_BYTES };
}

static void make_error(struct exchange *exchange, enum pygmy_error error, const char *text)
{
	struct writer *out = &exchange->out;
	struct answer *answer = &exchange->answer;
	exchange_drop_body(exchange);
	answer->error = error;
	answer->status = error_http_status(error);
	answer->told_status = 0;
	answer->content_type = "application/json";
	answer->etag[0] = '\0';
	answer->stale_ms = error == PYGMY_ITEM_NOT_FOUND || error == PYGMY_ORDER_NOT_FOUND ? answer->stale_ms : 0;
	answer->file = answer->chain = SLICE_EMPTY;
	/* Of the errors, only "there is no such item" follows from the slot's state. */
	answer->cacheable = answer->cacheable && error == PYGMY_ITEM_NOT_FOUND;
	answer->has_changed = answer->has_changed && error == PYGMY_ITEM_NOT_FOUND;
	answer->challenge = answer->status == 401;
	answer->retry_after_s = answer->status == 503 ? RETRY_AFTER_S : 0;
	writer_put_literal(out, "{\"code\":\"");
	writer_put_text(out, error_code(error));
	writer_put_literal(out, "\",\"message\":");
	writer_put_json_string(out, slice_of(text));
	writer_put_literal(out, ",\"status\":\"Failed\",\"validation_code\":");
	writer_put_int(out, answer->status);
	writer_put_literal(out, "}\n");
}

void exchange_fail(struct exchange *exchange, enum pygmy_error error, const char *format, ...)
{
	char text[2 * REFUSAL_TEXT_BYTES];
	const char *shown = error_text(error);
	if (format != NULL) {
		va_list args;
		va_start(args, format);
		vsnprintf(text, sizeof text, format, args);
		va_end(args);
		shown = text;
	}
	make_error(exchange, error, shown);
}

void exchange_refuse(struct exchange *exchange, const struct refusal *refusal)
{
	make_error(exchange, refusal->error, refusal->text[0] != '\0' ? refusal->text : error_text(refusal->error));
}

void exchange_overloaded(struct exchange *exchange)
{
	uint64_t status = 0;
	make_error(exchange, PYGMY_OVERLOADED, error_text(PYGMY_OVERLOADED));
	if (decimal_parse(exchange->request.nginx_overloaded, 599, &status) && status >= 500)
		exchange->answer.told_status = (int)status;
}

void exchange_end_success(struct exchange *exchange, int status, struct slice message, int64_t next)
{
	struct writer *out = &exchange->out;
	writer_put_literal(out, "\"message\":");
	if (message.len == 0)
		writer_put_literal(out, "{}");
	else
		writer_put_json_string(out, message);
	if (next > 0) {
		writer_put_literal(out, ",\"next\":");
		writer_put_int(out, next);
	}
	writer_put_literal(out, ",\"status\":\"Success\",\"validation_code\":");
	writer_put_int(out, status);
	writer_put_literal(out, "}\n");
	exchange->answer.status = status;
}

void exchange_succeed_empty_item(struct exchange *exchange, int status, struct slice message)
{
	writer_put_literal(&exchange->out, "{\"item\":{},");
	exchange_end_success(exchange, status, message, 0);
}

struct slice exchange_finish(struct exchange *exchange)
{
	struct writer *out = &exchange->out;
	if (out->failed || exchange->answer.status == 0)
		exchange_fail(exchange, out->failed ? PYGMY_OUT_OF_MEMORY : PYGMY_INTERNAL, NULL);
	if (out->failed)
		return SLICE_EMPTY;
	size_t body_len = exchange_body(exchange).len;
	/* The head is written in place and moved up against the body: they leave in one piece. */
	struct writer head = { .bytes = out->bytes, .size = ANSWER_HEAD_MAX_BYTES, .max_bytes = ANSWER_HEAD_MAX_BYTES };
	answer_write_head(&exchange->answer, body_len, &head);
	if (head.failed)
		return SLICE_EMPTY;
	char *start = out->bytes + ANSWER_HEAD_MAX_BYTES - head.len;
	memmove(start, out->bytes, head.len);
	bool without_body = exchange->request.head_only || exchange->answer.status == 304;
	return (struct slice){ start, head.len + (without_body ? 0 : body_len) };
}
