/* request: see request.h. */
#include "fcgi/common/request.h"

#include <stdlib.h>
#include <strings.h>

#include "db/limits.h"

struct parameter_name {
	struct slice name;
	size_t offset;                /* of its slice in struct request */
	const char *header;           /* as a client knows it; NULL when nginx made it */
};

#define FROM_NGINX(text, field) { { (text), sizeof(text) - 1 }, offsetof(struct request, field), NULL }
#define FROM_CLIENT(text, field, header) { { (text), sizeof(text) - 1 }, offsetof(struct request, field), (header) }

static const struct parameter_name names[] = {
	FROM_NGINX("DOCUMENT_URI", path),
	FROM_NGINX("QUERY_STRING", query_text),
	FROM_NGINX("CONTENT_TYPE", content_type),
	FROM_NGINX("CONTENT_LENGTH", content_length),
	FROM_NGINX("PYGMY_REQUEST_ID", request_id),
	FROM_NGINX("PYGMY_TRACE_ID", trace_id),
	FROM_NGINX("PYGMY_REQUEST_KEY", nginx_key),
	FROM_NGINX("PYGMY_SLOT", nginx_slot),
	FROM_NGINX("PYGMY_MIN_REVISION", nginx_min_revision),
	FROM_NGINX("PYGMY_CONSISTENCY", nginx_consistency),
	FROM_NGINX("PYGMY_ARRIVED", nginx_arrived),
	FROM_NGINX("PYGMY_OVERLOADED", nginx_overloaded),
	FROM_NGINX("PYGMY_PRIVATE", nginx_private),
	FROM_NGINX("PYGMY_FRONTEND", nginx_frontend),
	FROM_CLIENT("HTTP_AUTHORIZATION", authorization, "Authorization"),
	FROM_CLIENT("HTTP_IDEMPOTENCY_KEY", idempotency_key, "Idempotency-Key"),
	FROM_CLIENT("HTTP_IF_MATCH", if_match, "If-Match"),
	FROM_CLIENT("HTTP_IF_NONE_MATCH", if_none_match, "If-None-Match"),
	FROM_CLIENT("HTTP_X_PYGMY_MIN_REVISION", min_revision, "X-Pygmy-Min-Revision"),
	FROM_CLIENT("HTTP_X_PYGMY_CONSISTENCY", consistency, "X-Pygmy-Consistency"),
	FROM_CLIENT("HTTP_X_PYGMY_ALLOW_STALE", allow_stale, "X-Pygmy-Allow-Stale"),
};

static struct slice *field_of(struct request *request, size_t offset)
{
	return (struct slice *)(void *)((char *)request + offset);
}

static void set_method(struct request *request, struct slice text)
{
	static const struct { const char *text; enum method method; } METHODS[] = {
		{ "GET", METHOD_GET }, { "HEAD", METHOD_GET }, { "POST", METHOD_POST }, { "PUT", METHOD_PUT }, { "DELETE", METHOD_DELETE },
	};
	request->method = METHOD_OTHER;
	for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++)
		if (slice_equal(text, slice_of(METHODS[i].text)))
			request->method = METHODS[i].method;
	request->head_only = slice_equal(text, SLICE_LITERAL("HEAD"));
}

static void collect_one(struct request *request, struct slice name, struct slice value)
{
	if (slice_equal(name, SLICE_LITERAL("REQUEST_METHOD"))) {
		set_method(request, value);
		return;
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!slice_equal(name, names[i].name))
			continue;
		struct slice *field = field_of(request, names[i].offset);
		if (field->ptr != NULL && names[i].header != NULL)
			request->repeated_header = names[i].header;
		*field = value;
		return;
	}
}

void request_collect(struct request *request, const struct request_source *source)
{
	/* Not the whole struct: the query's buffer is large, and query.count says that nothing in it is valid. */
	memset(request, 0, offsetof(struct request, query));
	request->query.count = 0;
	request->body = SLICE_EMPTY;
	request->path_id = SLICE_EMPTY;
	request->method = METHOD_OTHER;
	for (char *const *param = source->params; *param != NULL; param++) {
		const char *equals = strchr(*param, '=');
		if (equals == NULL)
			continue;
		collect_one(request, (struct slice){ *param, (size_t)(equals - *param) }, slice_of(equals + 1));
	}
}

bool request_check_headers(const struct request *request, struct refusal *refusal)
{
	if (request->repeated_header == NULL)
		return true;
	return refuse(refusal, PYGMY_INVALID_HEADER, "The header %s is given more than once.", request->repeated_header);
}

bool request_parse_query(struct request *request, struct refusal *refusal)
{
	if (request->query_text.len == 0) {
		request->query.count = 0;
		return true;
	}
	switch (query_string_parse(request->query_text, &request->query)) {
	case QUERY_STRING_OK:
		return true;
	case QUERY_STRING_TOO_LONG:
		return refuse(refusal, PYGMY_QUERY_TOO_LONG, "The query string is longer than %d bytes.", QUERY_STRING_MAX_BYTES);
	case QUERY_STRING_TOO_MANY:
		return refuse(refusal, PYGMY_INVALID_PARAMETER, "The query string has more than %d parameters.", QUERY_PARAMS_MAX);
	case QUERY_STRING_BAD_ENCODING:
		return refuse(refusal, PYGMY_BAD_ENCODING, "The query string has a percent sign without two hex digits, or a NUL byte.");
	case QUERY_STRING_BAD_UTF8:
		return refuse(refusal, PYGMY_BAD_ENCODING, "The query string is not valid UTF-8.");
	case QUERY_STRING_EMPTY_PAIR:
		return refuse(refusal, PYGMY_INVALID_PARAMETER, "The query string has a parameter without a name.");
	}
	return refuse(refusal, PYGMY_BAD_ENCODING, NULL);
}

bool request_has_body(const struct request *request)
{
	return request->content_length.len > 0 && !slice_equal(request->content_length, SLICE_LITERAL("0"));
}

/* application/json, with charset=utf-8 at most: JSON is always UTF-8 (RFC 8259, section 8.1). */
static bool is_json(struct slice type)
{
	static const struct slice JSON = { "application/json", sizeof "application/json" - 1 };
	static const struct slice CHARSET = { "charset=", sizeof "charset=" - 1 };
	if (type.len < JSON.len || strncasecmp(type.ptr, JSON.ptr, JSON.len) != 0)
		return false;
	size_t at = JSON.len;
	while (at < type.len && (type.ptr[at] == ' ' || type.ptr[at] == '\t'))
		at++;
	if (at == type.len)
		return true;
	if (type.ptr[at++] != ';')
		return false;
	while (at < type.len && (type.ptr[at] == ' ' || type.ptr[at] == '\t'))
		at++;
	if (type.len - at < CHARSET.len || strncasecmp(type.ptr + at, CHARSET.ptr, CHARSET.len) != 0)
		return false;
	at += CHARSET.len;
	struct slice charset = { type.ptr + at, type.len - at };
	return (charset.len == 5 && strncasecmp(charset.ptr, "utf-8", 5) == 0)
		|| (charset.len == 7 && strncasecmp(charset.ptr, "\"utf-8\"", 7) == 0);
}

bool request_read_body(struct request *request, const struct request_source *source, size_t max_bytes, struct arena *arena,
	struct refusal *refusal)
{
	uint64_t length = 0;
	if (!decimal_parse(request->content_length, INT64_MAX, &length))
		return refuse(refusal, PYGMY_INVALID_HEADER, "The header Content-Length is not a number of bytes.");
	if (length > max_bytes)
		return refuse(refusal, PYGMY_BODY_TOO_LARGE, "The body is larger than the %zu bytes that this path takes.", max_bytes);
	if (!is_json(request->content_type))
		return refuse(refusal, PYGMY_UNSUPPORTED_MEDIA_TYPE, "The body must be application/json, in UTF-8.");
	/* One byte more is asked for, to see a body that is longer than announced. */
	char *bytes = arena_take(arena, (size_t)length + 1);
	if (bytes == NULL)
		return refuse(refusal, PYGMY_OUT_OF_MEMORY, NULL);
	size_t got = source->read_body(source->context, bytes, (size_t)length + 1);
	if (got != length)
		return refuse(refusal, PYGMY_INVALID_HEADER, "The body is not as long as the header Content-Length says.");
	request->body = (struct slice){ bytes, (size_t)length };
	return true;
}

bool decimal_parse(struct slice text, uint64_t max, uint64_t *number)
{
	if (text.len == 0 || text.len > 20 || (text.len > 1 && text.ptr[0] == '0'))
		return false;
	uint64_t value = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(text.ptr[i] - '0');
		if (value > (max - digit) / 10 || digit > max)
			return false;
		value = value * 10 + digit;
	}
	*number = value;
	return true;
}

int64_t request_waited_ms(const struct request *request, int64_t now_ms)
{
	const struct slice text = request->nginx_arrived;
	uint64_t seconds, milliseconds = 0;
	if (text.len < 5 || text.ptr[text.len - 4] != '.')
		return 0;
	for (size_t i = text.len - 3; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return 0;
		milliseconds = 10 * milliseconds + (uint64_t)(text.ptr[i] - '0');
	}
	if (!decimal_parse((struct slice){ text.ptr, text.len - 4 }, INT64_MAX / 2000, &seconds))
		return 0;
	int64_t arrived_ms = (int64_t)(1000 * seconds + milliseconds);
	int64_t waited_ms = now_ms - arrived_ms;
	return waited_ms > 0 && waited_ms <= ADMISSION_WAIT_MAX_MS ? waited_ms : 0;
}

bool request_min_revision(const struct request *request, uint64_t *revision, struct refusal *refusal)
{
	uint64_t client = 0, nginx = 0;
	if (request->min_revision.len > 0 && !decimal_parse(request->min_revision, INT64_MAX, &client))
		return refuse(refusal, PYGMY_INVALID_HEADER, "The header X-Pygmy-Min-Revision is not a revision.");
	if (request->nginx_min_revision.len > 0 && !decimal_parse(request->nginx_min_revision, INT64_MAX, &nginx))
		return refuse(refusal, PYGMY_INVALID_HEADER, "The parameter PYGMY_MIN_REVISION is not a revision.");
	*revision = client > nginx ? client : nginx;
	return true;
}

bool request_is_strict(const struct request *request, bool *strict, struct refusal *refusal)
{
	bool client = slice_equal(request->consistency, SLICE_LITERAL("strict"));
	if (request->consistency.len > 0 && !client)
		return refuse(refusal, PYGMY_INVALID_HEADER, "The header X-Pygmy-Consistency knows only the value strict.");
	*strict = client || slice_equal(request->nginx_consistency, SLICE_LITERAL("strict"));
	return true;
}

bool request_allows_stale(const struct request *request, bool *allowed, struct refusal *refusal)
{
	*allowed = slice_equal(request->allow_stale, SLICE_LITERAL("1"));
	if (request->allow_stale.len > 0 && !*allowed)
		return refuse(refusal, PYGMY_INVALID_HEADER, "The header X-Pygmy-Allow-Stale knows only the value 1.");
	return true;
}
