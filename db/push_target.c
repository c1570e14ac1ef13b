/* push_target: see push_target.h. */
#include "db/push_target.h"

#include <sodium.h>
#include <stdio.h>

#include "db/diagnostics.h"

#define TOKEN_HEADER_MAX 256

static const char unix_prefix[] = "unix:", push_path[] = "/coherence/push";

bool push_headers_init(struct push_headers *headers, const char *token)
{
	static const char type[] = "Content-Type: text/plain";
	char authorization[TOKEN_HEADER_MAX];
	headers->plain = curl_slist_append(NULL, type);
	headers->peer = curl_slist_append(NULL, type);
	if (headers->plain == NULL || headers->peer == NULL)
		return false;
	if (token == NULL || token[0] == '\0')
		return true;
	snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", token);
	struct curl_slist *with_token = curl_slist_append(headers->peer, authorization);
	sodium_memzero(authorization, sizeof authorization);
	return with_token != NULL;
}

void push_headers_close(struct push_headers *headers)
{
	curl_slist_free_all(headers->plain);
	curl_slist_free_all(headers->peer);
}

static size_t discard(char *bytes, size_t size, size_t count, void *context)
{
	(void)bytes;
	(void)context;
	return size * count;
}

/* Logs why it is none. */
static bool url_is_valid(struct slice url, const struct tls_files *tls)
{
	bool https = slice_starts_with(url, SLICE_LITERAL("https://"));
	if (https && !tls_is_on(tls)) {
		diagnose_error("frontend %.*s needs PYGMY_PEER_CA, PYGMY_PEER_CERT and PYGMY_PEER_KEY", (int)url.len, url.ptr);
		return false;
	}
	if ((https || slice_starts_with(url, slice_of(unix_prefix)) || slice_starts_with(url, SLICE_LITERAL("http://"))) && url.len < PUSH_URL_MAX)
		return true;
	diagnose_error("frontend %.*s is not unix:/path, http://host:port or https://host:port", (int)url.len, url.ptr);
	return false;
}

static void set_address(const struct push_target *target, CURL *try)
{
	char url[PUSH_URL_MAX + sizeof push_path] = "http://frontend/coherence/push";
	bool is_unix = slice_starts_with(slice_of(target->url), slice_of(unix_prefix));
	if (is_unix)
		curl_easy_setopt(try, CURLOPT_UNIX_SOCKET_PATH, target->url + sizeof unix_prefix - 1);
	else
		snprintf(url, sizeof url, "%s%s", target->url, push_path);
	curl_easy_setopt(try, CURLOPT_URL, url);
	curl_easy_setopt(try, CURLOPT_HTTPHEADER, is_unix ? target->headers->plain : target->headers->peer);
}

/* NULL without memory. */
static CURL *make_try(struct push_target *target)
{
	CURL *try = curl_easy_init();
	if (try == NULL)
		return NULL;
	set_address(target, try);
	if (!tls_apply(try, target->tls)) {
		curl_easy_cleanup(try);
		return NULL;
	}
	curl_easy_setopt(try, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(try, CURLOPT_PROXY, "");
	curl_easy_setopt(try, CURLOPT_TIMEOUT_MS, (long)PUSH_TRY_MS);
	curl_easy_setopt(try, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(try, CURLOPT_PRIVATE, target);
	return try;
}

void push_target_close(struct push_target *target)
{
	for (size_t i = 0; i < PUSH_TRIES_MAX; i++) {
		if (target->tries[i] != NULL)
			curl_easy_cleanup(target->tries[i]);
		target->tries[i] = NULL;
	}
}

enum pygmy_error push_target_init(struct push_target *target, struct slice url, const struct push_headers *headers, const struct tls_files *tls)
{
	*target = (struct push_target){ .headers = headers, .tls = tls };
	if (!url_is_valid(url, tls))
		return PYGMY_INTERNAL;
	memcpy(target->url, url.ptr, url.len);
	target->tries[0] = make_try(target);
	return target->tries[0] != NULL ? PYGMY_OK : PYGMY_OUT_OF_MEMORY;
}

/* ---- tries ------------------------------------------------------------------------------------------- */

void push_target_start(struct push_target *target, CURLM *multi, struct slice text)
{
	size_t i = 0;
	while (i < PUSH_TRIES_MAX && target->busy[i])
		i++;
	if (i < PUSH_TRIES_MAX && target->tries[i] == NULL)
		target->tries[i] = make_try(target);
	if (i == PUSH_TRIES_MAX || target->tries[i] == NULL)
		return;
	curl_easy_setopt(target->tries[i], CURLOPT_POSTFIELDSIZE, (long)text.len);
	curl_easy_setopt(target->tries[i], CURLOPT_POSTFIELDS, text.ptr);
	target->busy[i] = curl_multi_add_handle(multi, target->tries[i]) == CURLM_OK;
}

void push_target_end(struct push_target *target, CURLM *multi, CURL *try)
{
	for (size_t i = 0; i < PUSH_TRIES_MAX; i++) {
		if (!target->busy[i] || target->tries[i] != try)
			continue;
		curl_multi_remove_handle(multi, try);
		target->busy[i] = false;
	}
}

void push_target_stop(struct push_target *target, CURLM *multi)
{
	for (size_t i = 0; i < PUSH_TRIES_MAX; i++)
		push_target_end(target, multi, target->tries[i]);
}

bool push_target_is_busy(const struct push_target *target)
{
	for (size_t i = 0; i < PUSH_TRIES_MAX; i++)
		if (target->busy[i])
			return true;
	return false;
}
