/* pusher: see pusher.h. libcurl's errors are handled here and go no further than a counter and the log. */
#include "db/pusher.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "db/changes.h"
#include "db/diagnostics.h"
#include "db/monotonic.h"
#include "db/push_text.h"

#define TRY_TIMEOUT_MS 250
#define RETRY_PAUSE_MS 20
#define LEASE_MARGIN_MS 10            /* clocks are read at two places */
#define URL_MAX 512
#define TOKEN_HEADER_MAX 256
#define HTTP_NO_CONTENT 204

struct frontend {
	CURL *handle;
	char name[URL_MAX];
	bool confirmed;
	bool silent;                  /* already reported */
};

/* A batch that waits for its push; on the stack of the thread that waits. */
struct push_wait {
	const struct result *results;
	size_t count;
	int64_t committed_ms;
	bool done;
	struct push_wait *next;
};

struct pusher {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct push_wait *first, **last;      /* batches that are not in the current push */
	bool pushing;
	char log_id[LOG_ID_HEX_LEN + 1];
	struct push_text *text;               /* the rest belongs to whoever pushes */
	CURLM *multi;
	struct curl_slist *headers;           /* for those on this machine */
	struct curl_slist *peer_headers;      /* the same, with the peer token */
	struct frontend frontends[FRONTENDS_MAX];
	size_t frontend_count;
	int lease_ms;
	struct replica_stats *stats;
};

/* ---- set-up ----------------------------------------------------------------------------------------- */

static size_t discard(char *bytes, size_t size, size_t count, void *context)
{
	(void)bytes;
	(void)context;
	return size * count;
}

static const char unix_prefix[] = "unix:", push_path[] = "/coherence/push";

/* Understands a name; logs why it is none. */
static bool name_is_valid(const struct pusher *pusher, struct slice name, const struct pusher_options *options)
{
	bool https = slice_starts_with(name, SLICE_LITERAL("https://"));
	if (https && !tls_is_on(options->tls)) {
		diagnose_error("PYGMY_FRONTENDS: %.*s needs PYGMY_PEER_CA, PYGMY_PEER_CERT and PYGMY_PEER_KEY", (int)name.len, name.ptr);
		return false;
	}
	if ((https || slice_starts_with(name, slice_of(unix_prefix)) || slice_starts_with(name, SLICE_LITERAL("http://"))) &&
	    name.len < URL_MAX && pusher->frontend_count < FRONTENDS_MAX)
		return true;
	diagnose_error("PYGMY_FRONTENDS: %.*s is not unix:/path, http://host:port or https://host:port, or there are more than %d",
		       (int)name.len, name.ptr, FRONTENDS_MAX);
	return false;
}

static void set_target(const struct pusher *pusher, struct frontend *frontend, const struct pusher_options *options)
{
	char url[URL_MAX + sizeof push_path] = "http://frontend/coherence/push";
	bool is_unix = slice_starts_with(slice_of(frontend->name), slice_of(unix_prefix));
	if (is_unix)
		curl_easy_setopt(frontend->handle, CURLOPT_UNIX_SOCKET_PATH, frontend->name + sizeof unix_prefix - 1);
	else
		snprintf(url, sizeof url, "%s%s", frontend->name, push_path);
	curl_easy_setopt(frontend->handle, CURLOPT_URL, url);
	curl_easy_setopt(frontend->handle, CURLOPT_HTTPHEADER, is_unix ? pusher->headers : pusher->peer_headers);
	tls_apply(frontend->handle, options->tls);
}

static enum pygmy_error add_frontend(struct pusher *pusher, struct slice name, const struct pusher_options *options)
{
	struct frontend *frontend = &pusher->frontends[pusher->frontend_count];
	if (!name_is_valid(pusher, name, options))
		return PYGMY_INTERNAL;
	memcpy(frontend->name, name.ptr, name.len);
	frontend->handle = curl_easy_init();
	if (frontend->handle == NULL)
		return PYGMY_OUT_OF_MEMORY;
	pusher->frontend_count++;
	set_target(pusher, frontend, options);
	curl_easy_setopt(frontend->handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(frontend->handle, CURLOPT_PROXY, "");
	curl_easy_setopt(frontend->handle, CURLOPT_TIMEOUT_MS, (long)TRY_TIMEOUT_MS);
	curl_easy_setopt(frontend->handle, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(frontend->handle, CURLOPT_PRIVATE, frontend);
	return PYGMY_OK;
}

static enum pygmy_error add_frontends(struct pusher *pusher, const struct pusher_options *options)
{
	enum pygmy_error error = PYGMY_OK;
	for (const char *names = options->frontends; error == PYGMY_OK && *names != '\0';) {
		size_t len = strcspn(names, " ");
		if (len > 0)
			error = add_frontend(pusher, (struct slice){ names, len }, options);
		names += len + (names[len] == ' ' ? 1 : 0);
	}
	return error;
}

/* False without memory. */
static bool make_headers(struct pusher *pusher, const char *token)
{
	static const char type[] = "Content-Type: text/plain";
	char authorization[TOKEN_HEADER_MAX];
	pusher->headers = curl_slist_append(NULL, type);
	pusher->peer_headers = curl_slist_append(NULL, type);
	if (pusher->headers == NULL || pusher->peer_headers == NULL)
		return false;
	if (token == NULL || token[0] == '\0')
		return true;
	snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", token);
	struct curl_slist *with_token = curl_slist_append(pusher->peer_headers, authorization);
	sodium_memzero(authorization, sizeof authorization);
	return with_token != NULL;
}

enum pygmy_error pusher_create(const struct pusher_options *options, struct replica_stats *stats, struct pusher **out)
{
	struct pusher *pusher = calloc(1, sizeof *pusher);
	*out = NULL;
	if (pusher == NULL)
		return PYGMY_OUT_OF_MEMORY;
	pthread_mutex_init(&pusher->mutex, NULL);
	pthread_cond_init(&pusher->changed, NULL);
	pusher->last = &pusher->first;
	pusher->lease_ms = options->lease_ms;
	pusher->stats = stats;
	memcpy(pusher->log_id, options->log_id, LOG_ID_HEX_LEN);
	pusher->text = push_text_create(options->log_id);
	pusher->multi = curl_multi_init();
	enum pygmy_error error = PYGMY_OUT_OF_MEMORY;
	if (pusher->text != NULL && pusher->multi != NULL && make_headers(pusher, options->peer_token))
		error = add_frontends(pusher, options);
	if (error != PYGMY_OK) {
		pusher_destroy(pusher);
		return error;
	}
	*out = pusher;
	return PYGMY_OK;
}

void pusher_destroy(struct pusher *pusher)
{
	if (pusher == NULL)
		return;
	for (size_t i = 0; i < pusher->frontend_count; i++)
		curl_easy_cleanup(pusher->frontends[i].handle);
	if (pusher->multi != NULL)
		curl_multi_cleanup(pusher->multi);
	curl_slist_free_all(pusher->headers);
	curl_slist_free_all(pusher->peer_headers);
	push_text_destroy(pusher->text);
	pthread_cond_destroy(&pusher->changed);
	pthread_mutex_destroy(&pusher->mutex);
	free(pusher);
}

/* ---- one push to all frontends ------------------------------------------------------------------------ */

static void note_answer(struct pusher *pusher, const CURLMsg *message)
{
	struct frontend *frontend = NULL;
	long status = 0;
	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&frontend);
	curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
	frontend->confirmed = message->data.result == CURLE_OK && status == HTTP_NO_CONTENT;
	if (frontend->confirmed) {
		if (frontend->silent)
			diagnose_info("frontend %s confirms pushes again", frontend->name);
		frontend->silent = false;
		return;
	}
	atomic_fetch_add(&pusher->stats->push_failures, 1);
	if (!frontend->silent)
		diagnose_warning("frontend %s did not confirm a push: %s, status %ld", frontend->name,
				 curl_easy_strerror(message->data.result), status);
	frontend->silent = true;
}

/* Sends text once to each frontend that has not confirmed it. */
static void try_all(struct pusher *pusher, struct slice text)
{
	for (size_t i = 0; i < pusher->frontend_count; i++) {
		struct frontend *frontend = &pusher->frontends[i];
		if (frontend->confirmed)
			continue;
		curl_easy_setopt(frontend->handle, CURLOPT_POSTFIELDSIZE, (long)text.len);
		curl_easy_setopt(frontend->handle, CURLOPT_POSTFIELDS, text.ptr);
		curl_multi_add_handle(pusher->multi, frontend->handle);
	}
	int running = 0, left;
	do {
		if (curl_multi_perform(pusher->multi, &running) != CURLM_OK)
			break;
		if (running > 0)
			curl_multi_poll(pusher->multi, NULL, 0, TRY_TIMEOUT_MS, NULL);
	} while (running > 0);
	for (CURLMsg *message; (message = curl_multi_info_read(pusher->multi, &left)) != NULL;)
		if (message->msg == CURLMSG_DONE)
			note_answer(pusher, message);
	for (size_t i = 0; i < pusher->frontend_count; i++)
		curl_multi_remove_handle(pusher->multi, pusher->frontends[i].handle);
}

static bool all_confirmed(const struct pusher *pusher)
{
	for (size_t i = 0; i < pusher->frontend_count; i++)
		if (!pusher->frontends[i].confirmed)
			return false;
	return true;
}

static void pause_ms(int64_t ms)
{
	struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };
	nanosleep(&pause, NULL);
}

static void push_until(struct pusher *pusher, struct slice text, int64_t lapse_ms)
{
	int64_t started_us = monotonic_us();
	for (size_t i = 0; i < pusher->frontend_count; i++)
		pusher->frontends[i].confirmed = false;
	for (;;) {
		try_all(pusher, text);
		if (all_confirmed(pusher))
			break;
		int64_t left = lapse_ms - monotonic_ms();
		if (left <= 0) {
			atomic_fetch_add(&pusher->stats->push_lapses, 1);
			break;
		}
		pause_ms(left < RETRY_PAUSE_MS ? left : RETRY_PAUSE_MS);
	}
	atomic_fetch_add(&pusher->stats->pushes, 1);
	histogram_observe(&pusher->stats->push_seconds, (double)(monotonic_us() - started_us) / 1e6);
}

/* ---- waiting together ------------------------------------------------------------------------------- */

/* With the mutex held: takes all waiting batches, pushes them without it, and marks them. */
static void push_waiting(struct pusher *pusher)
{
	struct push_wait *taken = pusher->first;
	int64_t committed_ms = 0;
	pusher->first = NULL;
	pusher->last = &pusher->first;
	pusher->pushing = true;
	push_text_set_log(pusher->text, pusher->log_id);
	pthread_mutex_unlock(&pusher->mutex);
	push_text_clear(pusher->text);
	for (struct push_wait *wait = taken; wait != NULL; wait = wait->next) {
		for (size_t i = 0; i < wait->count; i++)
			push_text_add(pusher->text, &wait->results[i]);
		committed_ms = wait->committed_ms > committed_ms ? wait->committed_ms : committed_ms;
	}
	if (!push_text_is_empty(pusher->text))
		push_until(pusher, push_text_render(pusher->text), committed_ms + pusher->lease_ms + LEASE_MARGIN_MS);
	pthread_mutex_lock(&pusher->mutex);
	pusher->pushing = false;
	for (struct push_wait *wait = taken, *next; wait != NULL; wait = next) {
		next = wait->next;
		wait->done = true;
	}
	pthread_cond_broadcast(&pusher->changed);
}

void pusher_set_log(struct pusher *pusher, const char *log_id)
{
	pthread_mutex_lock(&pusher->mutex);
	memcpy(pusher->log_id, log_id, LOG_ID_HEX_LEN);
	pthread_mutex_unlock(&pusher->mutex);
}

void pusher_confirm(struct pusher *pusher, const struct result *results, size_t count, int64_t committed_ms)
{
	struct push_wait wait = { .results = results, .count = count, .committed_ms = committed_ms };
	if (pusher->frontend_count == 0)
		return;
	pthread_mutex_lock(&pusher->mutex);
	*pusher->last = &wait;
	pusher->last = &wait.next;
	while (!wait.done) {
		if (pusher->pushing)
			pthread_cond_wait(&pusher->changed, &pusher->mutex);
		else
			push_waiting(pusher);
	}
	pthread_mutex_unlock(&pusher->mutex);
}
