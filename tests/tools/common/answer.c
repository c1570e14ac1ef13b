/* answer: what libcurl brings back; see tool.h. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/tools/common/tool.h"

#define HEADER_LINE_MAX 1024

struct tool_tls tool_tls;

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	struct answer *answer = context;
	size_t len = size * count;
	if (answer->body_len + len >= ANSWER_BODY_MAX)
		return 0;
	if (answer->body_len + len >= answer->body_size) {
		size_t wanted = 2 * (answer->body_len + len) + 512;
		char *grown = realloc(answer->body, wanted);
		if (grown == NULL)
			return 0;
		answer->body = grown;
		answer->body_size = wanted;
	}
	memcpy(answer->body + answer->body_len, bytes, len);
	answer->body_len += len;
	answer->body[answer->body_len] = '\0';
	return len;
}

static void keep_header(const char *line, size_t len, const char *name, char value[ANSWER_HEADER_MAX])
{
	size_t name_len = strlen(name);
	if (len <= name_len || strncasecmp(line, name, name_len) != 0)
		return;
	line += name_len;
	len -= name_len;
	while (len > 0 && *line == ' ') {
		line++;
		len--;
	}
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	snprintf(value, ANSWER_HEADER_MAX, "%.*s", (int)len, line);
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
	struct answer *answer = context;
	keep_header(bytes, size * count, "Cache-Status:", answer->cache_status);
	keep_header(bytes, size * count, "ETag:", answer->etag);
	keep_header(bytes, size * count, "X-Pygmy-Revision:", answer->revision);
	keep_header(bytes, size * count, "X-Pygmy-Stale-Ms:", answer->stale_ms);
	return size * count;
}

void answer_attach(struct answer *answer, CURL *handle)
{
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(handle, CURLOPT_HEADERDATA, answer);
}

void answer_clear(struct answer *answer)
{
	answer->result = CURLE_OK;
	answer->status = 0;
	answer->body_len = 0;
	if (answer->body != NULL)
		answer->body[0] = '\0';
	answer->cache_status[0] = '\0';
	answer->etag[0] = '\0';
	answer->revision[0] = '\0';
	answer->stale_ms[0] = '\0';
}

void answer_finish(struct answer *answer, CURL *handle, CURLcode result)
{
	answer->result = result;
	curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer->status);
}

void answer_free(struct answer *answer)
{
	free(answer->body);
	answer->body = NULL;
}

bool answer_is_failure(const struct answer *answer)
{
	return answer->result != CURLE_OK || answer->status >= 500 || answer->status == 0;
}

static json_t *parse(const struct answer *answer)
{
	return answer->body_len == 0 ? NULL : json_loadb(answer->body, answer->body_len, 0, NULL);
}

void answer_outcome(const struct answer *answer, char *text, size_t size)
{
	if (answer->result != CURLE_OK) {
		snprintf(text, size, "curl %d", (int)answer->result);
		return;
	}
	json_t *root = parse(answer);
	const char *code = json_string_value(json_object_get(root, "code"));
	if (code != NULL)
		snprintf(text, size, "%s", code);
	else if (root != NULL && answer->status >= 200 && answer->status < 300)
		snprintf(text, size, "ok");
	else
		snprintf(text, size, "status %ld", answer->status);
	json_decref(root);
}

int64_t answer_order_id(const struct answer *answer)
{
	json_t *root = parse(answer);
	int64_t id = json_integer_value(json_object_get(json_object_get(root, "order"), "id"));
	json_decref(root);
	return id;
}

CURL *tool_handle(struct answer *answer, long timeout_ms)
{
	CURL *handle = curl_easy_init();
	if (handle == NULL)
		tool_fail("no memory for a connection");
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_PROXY, "");
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, timeout_ms);
	if (tool_tls.ca != NULL)
		curl_easy_setopt(handle, CURLOPT_CAINFO, tool_tls.ca);
	if (tool_tls.cert != NULL)
		curl_easy_setopt(handle, CURLOPT_SSLCERT, tool_tls.cert);
	if (tool_tls.key != NULL)
		curl_easy_setopt(handle, CURLOPT_SSLKEY, tool_tls.key);
	answer_attach(answer, handle);
	return handle;
}

struct curl_slist *tool_header(struct curl_slist *list, const char *format, ...)
{
	char line[HEADER_LINE_MAX];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	struct curl_slist *longer = len < 0 || len >= (int)sizeof line ? NULL : curl_slist_append(list, line);
	if (longer == NULL)
		tool_fail("no room for a header");
	return longer;
}
