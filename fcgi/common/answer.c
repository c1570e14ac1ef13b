/* answer: see answer.h. */
#include "fcgi/common/answer.h"

const char *http_reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 201: return "Created";
	case 304: return "Not Modified";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 409: return "Conflict";
	case 412: return "Precondition Failed";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 415: return "Unsupported Media Type";
	case 422: return "Unprocessable Content";
	case 429: return "Too Many Requests";
	case 500: return "Internal Server Error";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	}
	return "Unknown";
}

static void put_text_header(struct writer *out, struct slice name, struct slice value)
{
	if (value.len == 0)
		return;
	writer_put(out, name);
	writer_put(out, value);
	writer_put_literal(out, "\r\n");
}

static void put_number_header(struct writer *out, struct slice name, uint64_t value)
{
	writer_put(out, name);
	writer_put_uint(out, value);
	writer_put_literal(out, "\r\n");
}

void answer_write_head(const struct answer *answer, size_t body_len, struct writer *out)
{
	writer_put_literal(out, "Status: ");
	writer_put_uint(out, (uint64_t)(answer->told_status != 0 ? answer->told_status : answer->status));
	writer_put_literal(out, " ");
	put_text_header(out, SLICE_EMPTY, slice_of(http_reason(answer->status)));
	if (answer->status != 304) {
		put_text_header(out, SLICE_LITERAL("Content-Type: "), slice_of(answer->content_type));
		put_number_header(out, SLICE_LITERAL("Content-Length: "), body_len);
	}
	if (answer->etag[0] != '\0') {
		writer_put_literal(out, "ETag: \"");
		writer_put(out, (struct slice){ answer->etag, ETAG_HEX_LEN });
		writer_put_literal(out, "\"\r\n");
	}
	if (answer->has_revision)
		put_number_header(out, SLICE_LITERAL("X-Pygmy-Revision: "), answer->revision);
	if (answer->has_changed)
		put_number_header(out, SLICE_LITERAL("X-Pygmy-Changed: "), answer->changed);
	if (answer->stale_ms > 0)
		put_number_header(out, SLICE_LITERAL("X-Pygmy-Stale-Ms: "), (uint64_t)answer->stale_ms);
	put_text_header(out, SLICE_LITERAL("X-Accel-Redirect: /.snapshot/"), answer->file);
	put_text_header(out, SLICE_LITERAL("X-Pygmy-Chain: "), answer->chain);
	writer_put_literal(out, "Cache-Control: no-cache\r\n");
	if (answer->cacheable)
		writer_put_literal(out, "X-Accel-Expires: 31536000\r\n");
	else
		writer_put_literal(out, "X-Accel-Expires: 0\r\n");
	if (answer->challenge)
		writer_put_literal(out, "WWW-Authenticate: Bearer realm=\"pygmy\"\r\n");
	if (answer->retry_after_s > 0)
		put_number_header(out, SLICE_LITERAL("Retry-After: "), (uint64_t)answer->retry_after_s);
	put_text_header(out, SLICE_LITERAL("Location: "), answer->location);
	put_text_header(out, SLICE_LITERAL("Allow: "), answer->allow);
	put_text_header(out, SLICE_LITERAL("X-Pygmy-Request-Key: "), answer->request_key);
	writer_put_literal(out, "\r\n");
}
