/*
 * etcd_endpoint: see etcd_endpoint.h. One easy handle per endpoint, which keeps the connection.
 *
 * libcurl sends a request again by itself when a connection that was kept alive turns out to be dead before a byte
 * of the answer came. For the log that is harmless: an entry may stand in it twice.
 */
#include "db/etcd_endpoint.h"

#include <stdio.h>

#include "db/etcd.h"

static size_t receive(char *bytes, size_t size, size_t count, void *context)
{
	struct buffer *answer = context;
	return buffer_append(answer, (struct slice){ bytes, size * count }) ? size * count : 0;
}

bool etcd_endpoint_configure(CURL *curl, const struct tls_files *tls, char *curl_error)
{
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, curl_error);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	return curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && tls_apply(curl, tls);
}

struct curl_slist *etcd_endpoint_headers(bool needs_leader)
{
	/*
	 * Without "Expect:" libcurl would ask before it sends a large body; without "Accept:" it says what it accepts, and with TLS etcd's gateway
	 * writes a warning into its log for each such request.
	 */
	static const char *const lines[] = { "Content-Type: application/json", "Expect:", "Accept:", "Grpc-Metadata-hasleader: true" };
	struct curl_slist *headers = NULL;
	for (size_t i = 0; i < (needs_leader ? 4 : 3); i++) {
		struct curl_slist *longer = curl_slist_append(headers, lines[i]);
		if (longer == NULL) {
			curl_slist_free_all(headers);
			return NULL;
		}
		headers = longer;
	}
	return headers;
}

bool etcd_endpoint_init(struct etcd_endpoint *endpoint, struct slice url, const struct tls_files *tls)
{
	*endpoint = (struct etcd_endpoint){ .answer = buffer_of(ETCD_ANSWER_MAX_BYTES) };
	if (url.len >= sizeof endpoint->url)
		return false;
	memcpy(endpoint->url, url.ptr, url.len);
	endpoint->curl = curl_easy_init();
	if (endpoint->curl == NULL || !etcd_endpoint_configure(endpoint->curl, tls, endpoint->curl_error))
		return false;
	curl_easy_setopt(endpoint->curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(endpoint->curl, CURLOPT_WRITEDATA, &endpoint->answer);
	return true;
}

void etcd_endpoint_close(struct etcd_endpoint *endpoint)
{
	curl_easy_cleanup(endpoint->curl);
	buffer_close(&endpoint->answer);
	*endpoint = (struct etcd_endpoint){ 0 };
}

static void describe(const struct etcd_endpoint *endpoint, CURLcode code, char *error)
{
	const char *why = endpoint->curl_error[0] != '\0' ? endpoint->curl_error : curl_easy_strerror(code);
	if (endpoint->answer.failed)
		why = "the answer is too large, or there is no memory for it";
	snprintf(error, ETCD_ERROR_MAX_BYTES, "%s: %s", endpoint->url, why);
}

enum etcd_exchange etcd_endpoint_exchange(struct etcd_endpoint *endpoint, const struct etcd_post *post, long *status, char *error)
{
	char url[ETCD_URL_MAX_BYTES + 64];
	long sent_bytes = 0;
	snprintf(url, sizeof url, "%s%s", endpoint->url, post->path);
	buffer_clear(&endpoint->answer);
	endpoint->curl_error[0] = '\0';
	*status = 0;
	curl_easy_setopt(endpoint->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body.len);
	curl_easy_setopt(endpoint->curl, CURLOPT_POSTFIELDS, post->body.ptr);
	curl_easy_setopt(endpoint->curl, CURLOPT_HTTPHEADER, post->headers);
	curl_easy_setopt(endpoint->curl, CURLOPT_TIMEOUT_MS, (long)post->timeout_ms);
	/* Whatever libcurl refuses before it connects has not been sent. */
	CURLcode code = curl_easy_setopt(endpoint->curl, CURLOPT_URL, url);
	if (code == CURLE_OK)
		code = curl_easy_perform(endpoint->curl);
	if (code == CURLE_OK) {
		curl_easy_getinfo(endpoint->curl, CURLINFO_RESPONSE_CODE, status);
		return ETCD_EXCHANGE_ANSWERED;
	}
	describe(endpoint, code, error);
	curl_easy_getinfo(endpoint->curl, CURLINFO_REQUEST_SIZE, &sent_bytes);
	return sent_bytes == 0 ? ETCD_EXCHANGE_NOT_SENT : ETCD_EXCHANGE_LOST;
}
