/*
 * http: an easy handle that is set up anew for each request and keeps its connections.
 */
#include "client/pygmy/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/pygmy/args.h"
#include "client/pygmy/base_url.h"
#include "client/pygmy/safe_text.h"
#include "client/pygmy/wait.h"

#define URL_MAX_BYTES 8192
#define HEADER_MAX_BYTES 1024
#define RETRY_AFTER_MAX_S 3600

struct http {
	CURL *easy;
	char curl_reason[CURL_ERROR_SIZE];
};

static const char *trusted_ca;

bool http_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

void http_trust(const char *ca_file)
{
	trusted_ca = ca_file != NULL && ca_file[0] != '\0' ? ca_file : NULL;
}

struct http *http_create(void)
{
	struct http *http = calloc(1, sizeof(*http));
	if (http == NULL)
		return NULL;
	http->easy = curl_easy_init();
	if (http->easy == NULL) {
		free(http);
		return NULL;
	}
	return http;
}

void http_destroy(struct http *http)
{
	if (http == NULL)
		return;
	curl_easy_cleanup(http->easy);
	free(http);
}

void http_answer_init(struct http_answer *answer)
{
	*answer = (struct http_answer){ .result = HTTP_NOT_SENT, .body = TEXT_INIT(HTTP_ANSWER_MAX_BYTES) };
}

void http_answer_close(struct http_answer *answer)
{
	text_close(&answer->body);
}

static void clear_answer(struct http_answer *answer)
{
	struct text body = answer->body;
	text_clear(&body);
	*answer = (struct http_answer){ .result = HTTP_LOST, .body = body };
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct http_answer *answer = context;
	return text_append(&answer->body, bytes, size * count) ? size * count : 0;
}

/* Copies the header's value when it has this name and the value fits. */
static void take_header(const char *line, size_t len, const char *name, char *out)
{
	size_t name_len = strlen(name);
	if (len <= name_len || strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
		return;
	const char *value = line + name_len + 1;
	const char *end = line + len;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if ((size_t)(end - value) > HTTP_HEADER_VALUE_MAX_BYTES)
		return;
	memcpy(out, value, (size_t)(end - value));
	out[end - value] = '\0';
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
	struct http_answer *answer = context;
	size_t len = size * count;
	char retry_after[HTTP_HEADER_VALUE_MAX_BYTES + 1] = "";
	int64_t seconds;
	take_header(bytes, len, "X-Pygmy-Request-Key", answer->key);
	take_header(bytes, len, "X-Pygmy-Revision", answer->revision);
	take_header(bytes, len, "ETag", answer->etag);
	take_header(bytes, len, "Retry-After", retry_after);
	if (args_parse_integer(retry_after, 0, RETRY_AFTER_MAX_S, &seconds))
		answer->retry_after_ms = seconds * 1000;
	return len;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t upload_total, curl_off_t upload_now)
{
	(void)context, (void)total, (void)now, (void)upload_total, (void)upload_now;
	return wait_is_interrupted() ? 1 : 0;
}

/* Appends one header; a list that could not grow is freed and *list NULL. */
static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
	char line[HEADER_MAX_BYTES];
	int len = snprintf(line, sizeof(line), "%s%s", name, value);
	struct curl_slist *longer = len > 0 && (size_t)len < sizeof(line) ? curl_slist_append(*list, line) : NULL;
	explicit_bzero(line, sizeof(line));
	if (longer == NULL)
		return false;
	*list = longer;
	return true;
}

static bool make_headers(const struct http_request *request, struct curl_slist **list)
{
	return add_header(list, "Accept: application/json", "") && add_header(list, "Expect:", "") &&
	       (request->body == NULL || add_header(list, "Content-Type: application/json", "")) &&
	       (request->token == NULL || add_header(list, "Authorization: Bearer ", request->token)) &&
	       (request->key == NULL || add_header(list, "Idempotency-Key: ", request->key)) &&
	       (request->if_match == NULL || add_header(list, "If-Match: ", request->if_match));
}

static void free_headers(struct curl_slist *list)
{
	for (struct curl_slist *at = list; at != NULL; at = at->next)
		explicit_bzero(at->data, strlen(at->data));
	curl_slist_free_all(list);
}

static void set_limits(CURL *easy, const char *base_url, int64_t timeout_ms)
{
	int64_t connect_ms = timeout_ms < HTTP_CONNECT_TIMEOUT_MS ? timeout_ms : HTTP_CONNECT_TIMEOUT_MS;
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	if (base_url_is_loopback(base_url))
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	/* CURLOPT_CAPATH stays: the machine's own. */
	if (trusted_ca != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, trusted_ca);
}

static void set_request(CURL *easy, const struct http_request *request)
{
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "pygmy");
	curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	if (request->body != NULL) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
	}
	if (strcmp(request->method, "GET") != 0)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static enum http_result translate(CURLcode code, CURL *easy)
{
	long sent_bytes = 0;
	switch (code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_OUT_OF_MEMORY:
		return HTTP_IMPOSSIBLE;
	default:
		(void)curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
		return sent_bytes == 0 ? HTTP_NOT_SENT : HTTP_LOST;
	}
}

static void explain(struct http *http, CURLcode code, struct http_answer *answer)
{
	struct text reason = TEXT_INIT(HTTP_REASON_MAX_BYTES - 1);
	const char *words = http->curl_reason[0] != '\0' ? http->curl_reason : curl_easy_strerror(code);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		words = "stopped by a signal";
	else if (code == CURLE_WRITE_ERROR)
		words = "the answer is larger than 8 MiB";
	(void)safe_text_append(&reason, words, strlen(words));
	(void)snprintf(answer->reason, sizeof(answer->reason), "%s", text_borrow(&reason));
	text_close(&reason);
}

void http_send(struct http *http, const char *base_url, const struct http_request *request, int64_t timeout_ms,
	       struct http_answer *answer)
{
	char url[URL_MAX_BYTES];
	struct curl_slist *headers = NULL;
	clear_answer(answer);
	curl_easy_reset(http->easy);
	http->curl_reason[0] = '\0';
	int len = snprintf(url, sizeof(url), "%s%s", base_url, request->path);
	if (len < 0 || (size_t)len >= sizeof(url) || !make_headers(request, &headers)) {
		answer->result = HTTP_IMPOSSIBLE;
		(void)snprintf(answer->reason, sizeof(answer->reason), "the request is too long");
		free_headers(headers);
		return;
	}
	set_limits(http->easy, base_url, timeout_ms < 1 ? 1 : timeout_ms);
	set_request(http->easy, request);
	curl_easy_setopt(http->easy, CURLOPT_URL, url);
	curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(http->easy, CURLOPT_ERRORBUFFER, http->curl_reason);
	curl_easy_setopt(http->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(http->easy, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(http->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(http->easy, CURLOPT_HEADERDATA, answer);
	CURLcode code = curl_easy_perform(http->easy);
	answer->result = translate(code, http->easy);
	if (code == CURLE_OK)
		(void)curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &answer->status);
	else
		explain(http, code, answer);
	free_headers(headers);
}
