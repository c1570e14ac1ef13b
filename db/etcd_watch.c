/*
 * etcd_watch: see etcd_watch.h. One easy handle per opening, in a multi handle that is waited on.
 *
 * While a whole line waits to be taken the transfer is paused, so that etcd (and TCP) hold what comes behind it.
 */
#include "db/etcd_watch.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/etcd_endpoint.h"
#include "db/etcd_watch_line.h"
#include "db/line_buffer.h"
#include "db/monotonic.h"

#define CONNECT_TIMEOUT_MS 1000
#define KEY_MAX_BYTES 256
#define BODY_MAX_BYTES 2048

struct etcd_watch {
	CURLM *multi;
	CURL *easy;                   /* NULL: not open */
	struct curl_slist *headers;
	struct tls_files tls;
	char *tls_paths[3];           /* copies, of tls */
	char endpoint[ETCD_URL_MAX_BYTES];
	char key[KEY_MAX_BYTES];
	struct buffer body;
	struct line_buffer lines;
	struct etcd_watch_line line;  /* the one that events are taken from */
	struct buffer values;
	bool paused, ended, overflowed;
	atomic_bool interrupted;
	char curl_error[CURL_ERROR_SIZE];
	char error[ETCD_ERROR_MAX_BYTES];
};

/* ---- opening and closing ------------------------------------------------------------------------------ */

static bool copy_path(struct etcd_watch *watch, int number, const char *path, const char **out)
{
	if (path == NULL)
		return true;
	*out = watch->tls_paths[number] = strdup(path);
	return *out != NULL;
}

bool etcd_watch_create(const struct tls_files *tls, struct etcd_watch **out)
{
	struct etcd_watch *watch = calloc(1, sizeof *watch);
	*out = NULL;
	if (watch == NULL)
		return false;
	watch->body = buffer_of(BODY_MAX_BYTES);
	watch->lines = line_buffer_of(ETCD_WATCH_LINE_MAX_BYTES, CURL_MAX_WRITE_SIZE);
	watch->values = buffer_of(ETCD_WATCH_LINE_MAX_BYTES);
	watch->multi = curl_multi_init();
	watch->headers = etcd_endpoint_headers(false);
	snprintf(watch->error, sizeof watch->error, "the watch is not open");
	if (sodium_init() < 0 || watch->multi == NULL || watch->headers == NULL ||
	    (tls != NULL && !(copy_path(watch, 0, tls->ca, &watch->tls.ca) && copy_path(watch, 1, tls->certificate, &watch->tls.certificate) &&
			      copy_path(watch, 2, tls->key, &watch->tls.key)))) {
		etcd_watch_destroy(watch);
		return false;
	}
	*out = watch;
	return true;
}

static void close_stream(struct etcd_watch *watch)
{
	if (watch->easy != NULL) {
		curl_multi_remove_handle(watch->multi, watch->easy);
		curl_easy_cleanup(watch->easy);
		watch->easy = NULL;
	}
	etcd_watch_line_close(&watch->line);
	line_buffer_clear(&watch->lines);
	watch->paused = watch->ended = watch->overflowed = false;
}

void etcd_watch_destroy(struct etcd_watch *watch)
{
	if (watch == NULL)
		return;
	close_stream(watch);
	if (watch->multi != NULL)
		curl_multi_cleanup(watch->multi);
	curl_slist_free_all(watch->headers);
	buffer_close(&watch->body);
	line_buffer_close(&watch->lines);
	buffer_close(&watch->values);
	for (size_t i = 0; i < sizeof watch->tls_paths / sizeof watch->tls_paths[0]; i++)
		free(watch->tls_paths[i]);
	free(watch);
}

/* ---- the transfer --------------------------------------------------------------------------------------- */

static size_t receive(char *bytes, size_t size, size_t count, void *context)
{
	struct etcd_watch *watch = context;
	if (line_buffer_has_line(&watch->lines)) {
		watch->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (line_buffer_add(&watch->lines, (struct slice){ bytes, size * count }))
		return size * count;
	watch->overflowed = true;
	return 0;
}

static bool build_request(struct etcd_watch *watch, uint64_t from_revision)
{
	char number[32];
	snprintf(number, sizeof number, "%llu", (unsigned long long)from_revision);
	buffer_clear(&watch->body);
	buffer_append_text(&watch->body, "{\"create_request\":{\"fragment\":true,\"key\":\"");
	buffer_append_base64(&watch->body, slice_of(watch->key));
	buffer_append_text(&watch->body, "\",\"start_revision\":\"");
	buffer_append_text(&watch->body, number);
	return buffer_append_text(&watch->body, "\"}}");
}

static bool start_transfer(struct etcd_watch *watch)
{
	char url[ETCD_URL_MAX_BYTES + 16];
	snprintf(url, sizeof url, "%s/v3/watch", watch->endpoint);
	watch->easy = curl_easy_init();
	watch->curl_error[0] = '\0';
	if (watch->easy == NULL || !etcd_endpoint_configure(watch->easy, &watch->tls, watch->curl_error))
		return false;
	curl_easy_setopt(watch->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(watch->easy, CURLOPT_HTTPHEADER, watch->headers);
	curl_easy_setopt(watch->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)watch->body.len);
	curl_easy_setopt(watch->easy, CURLOPT_POSTFIELDS, watch->body.bytes);
	curl_easy_setopt(watch->easy, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(watch->easy, CURLOPT_WRITEDATA, watch);
	return curl_easy_setopt(watch->easy, CURLOPT_URL, url) == CURLE_OK && curl_multi_add_handle(watch->multi, watch->easy) == CURLM_OK;
}

void etcd_watch_open(struct etcd_watch *watch, const char *endpoint, const char *key, uint64_t from_revision)
{
	close_stream(watch);
	if (strlen(endpoint) >= sizeof watch->endpoint || strlen(key) >= sizeof watch->key) {
		snprintf(watch->error, sizeof watch->error, "the endpoint or the key is too long");
		return;
	}
	memcpy(watch->endpoint, endpoint, strlen(endpoint) + 1);
	memcpy(watch->key, key, strlen(key) + 1);
	if (build_request(watch, from_revision) && start_transfer(watch))
		return;
	snprintf(watch->error, sizeof watch->error, "%s: there is no memory for a transfer", watch->endpoint);
	close_stream(watch);
}

/* Why it ended: libcurl's words, or what was answered in place of a stream. */
static void describe_end(struct etcd_watch *watch, CURLcode code)
{
	struct slice rest = line_buffer_rest(&watch->lines);
	long status = 0;
	curl_easy_getinfo(watch->easy, CURLINFO_RESPONSE_CODE, &status);
	const char *why = watch->curl_error[0] != '\0' ? watch->curl_error : code != CURLE_OK ? curl_easy_strerror(code) : "the stream ended";
	if (watch->overflowed)
		why = "a line is too long, or there is no memory for it";
	snprintf(watch->error, sizeof watch->error, "%s: %s, status %ld: %.*s", watch->endpoint, why, status,
		 (int)(rest.len < 200 ? rest.len : 200), rest.len > 0 ? rest.ptr : "");
	watch->ended = true;
}

/* Moves the transfer on, without waiting. */
static void perform(struct etcd_watch *watch)
{
	int running, left;
	if (watch->paused) {
		watch->paused = false;
		CURLcode code = curl_easy_pause(watch->easy, CURLPAUSE_CONT);
		if (code != CURLE_OK)
			describe_end(watch, code);
	}
	if (curl_multi_perform(watch->multi, &running) != CURLM_OK)
		describe_end(watch, CURLE_FAILED_INIT);
	for (CURLMsg *message; (message = curl_multi_info_read(watch->multi, &left)) != NULL;)
		if (message->msg == CURLMSG_DONE)
			describe_end(watch, message->data.result);
}

/* ---- what was received ---------------------------------------------------------------------------------- */

static enum etcd_watch_outcome break_off(struct etcd_watch *watch)
{
	if (watch->line.reason[0] != '\0')
		snprintf(watch->error, sizeof watch->error, "%s: %s", watch->endpoint, watch->line.reason);
	watch->line.reason[0] = '\0';
	close_stream(watch);
	return ETCD_WATCH_BROKEN;
}

/* Takes what the stream has given. TIMEOUT: nothing. */
static enum etcd_watch_outcome take(struct etcd_watch *watch, struct etcd_event *events, size_t *count, uint64_t *compact_revision)
{
	struct slice text;
	for (;;) {
		if (watch->line.root != NULL)
			return etcd_watch_line_take(&watch->line, &watch->values, events, count) ? ETCD_WATCH_EVENTS : break_off(watch);
		if (!line_buffer_take(&watch->lines, &text))
			return ETCD_WATCH_TIMEOUT;
		switch (etcd_watch_line_read(&watch->line, text, slice_of(watch->key))) {
		case ETCD_WATCH_LINE_QUIET:
		case ETCD_WATCH_LINE_EVENTS:
			break;
		case ETCD_WATCH_LINE_COMPACTED:
			*compact_revision = watch->line.compact_revision;
			snprintf(watch->error, sizeof watch->error, "%s: the revision is compacted", watch->endpoint);
			close_stream(watch);
			return ETCD_WATCH_COMPACTED;
		case ETCD_WATCH_LINE_ERROR:
			return break_off(watch);
		}
	}
}

enum etcd_watch_outcome etcd_watch_next(struct etcd_watch *watch, int64_t deadline_ms, struct etcd_event *events, size_t *count,
					uint64_t *compact_revision)
{
	*count = 0;
	for (;;) {
		if (watch->easy == NULL)
			return ETCD_WATCH_BROKEN;
		enum etcd_watch_outcome outcome = take(watch, events, count, compact_revision);
		if (outcome != ETCD_WATCH_TIMEOUT)
			return outcome;
		if (watch->ended)
			return break_off(watch);
		perform(watch);
		if (watch->ended || line_buffer_has_line(&watch->lines))
			continue;
		int64_t left_ms = deadline_ms - monotonic_ms();
		if (left_ms <= 0 || atomic_exchange(&watch->interrupted, false))
			return ETCD_WATCH_TIMEOUT;
		if (curl_multi_poll(watch->multi, NULL, 0, (int)(left_ms < 60000 ? left_ms : 60000), NULL) != CURLM_OK)
			describe_end(watch, CURLE_FAILED_INIT);
	}
}

void etcd_watch_interrupt(struct etcd_watch *watch)
{
	atomic_store(&watch->interrupted, true);
	curl_multi_wakeup(watch->multi);
}

const char *etcd_watch_error(const struct etcd_watch *watch)
{
	return watch->error;
}
