/*
 * snapshot_download: a snapshot over HTTP into a file. See snapshot.h.
 *
 * The answer's length must be known and right: a transfer that was cut off must not look whole. A peer may take SNAPSHOT_MAKE_MS to
 * make its copy before the first byte comes; from then on, SNAPSHOT_STALL_MS without SNAPSHOT_STALL_BYTES ends the transfer.
 */
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/monotonic.h"
#include "db/snapshot_internal.h"
#include "db/tls.h"

#define CONNECT_MS 3000
#define FIRST_BYTE_MS (2 * SNAPSHOT_MAKE_MS + 5000)   /* another asker's copy, ours, and the way */
#define BUFFER_BYTES (512L * 1024)
#define REFUSAL_MAX_BYTES 4096
#define HEADER_MAX_BYTES 1024
#define HTTP_OK 200

struct download {
	const struct snapshot_source *source;
	CURL *easy;
	struct curl_slist *headers;
	int fd;
	char *why;
	enum pygmy_error error;       /* why a callback ended the transfer */
	bool begun;                   /* the answer's head was looked at */
	long status;
	int64_t bytes, total;
	int64_t looked_ms, looked_bytes;      /* the last time that enough had come */
	char refusal[REFUSAL_MAX_BYTES];      /* the body of an answer that is no snapshot */
	size_t refusal_len;
};

/* ---- the answer -------------------------------------------------------------------------------------- */

static bool give_up(struct download *download, enum pygmy_error error, const char *text)
{
	if (download->error == PYGMY_OK) {
		download->error = error;
		snprintf(download->why, SNAPSHOT_WHY_BYTES, "%s", text);
	}
	return false;
}

/* With the first byte of the body: whether it is a snapshot that is coming, and whether there is room for it. */
static bool look_at_head(struct download *download)
{
	curl_off_t length = -1;
	const char *type = NULL;
	download->begun = true;
	curl_easy_getinfo(download->easy, CURLINFO_RESPONSE_CODE, &download->status);
	if (download->status != HTTP_OK)
		return true;
	curl_easy_getinfo(download->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	curl_easy_getinfo(download->easy, CURLINFO_CONTENT_TYPE, &type);
	if (type == NULL || strcasecmp(type, SNAPSHOT_CONTENT_TYPE) != 0)
		return give_up(download, PYGMY_NOT_READY, "the answer is no snapshot");
	if (length <= 0)
		return give_up(download, PYGMY_NOT_READY, "the answer does not say how long it is");
	if (length > SNAPSHOT_MAX_BYTES)
		return give_up(download, PYGMY_NOT_READY, "the snapshot is larger than any may be");
	download->total = length;
	if (!snapshot_fits(download->fd, length))
		return give_up(download, PYGMY_STORAGE_FULL, "there is no room for it on the disk");
	return true;
}

static bool write_all(struct download *download, const char *bytes, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t written = write(download->fd, bytes + done, len - done);
		if (written > 0) {
			done += (size_t)written;
		} else if (written == 0 || errno != EINTR) {
			char text[SNAPSHOT_WHY_BYTES];
			enum pygmy_error error = snapshot_file_error(written == 0 ? EIO : errno, "download", text);
			return give_up(download, error, text);
		}
	}
	download->bytes += (int64_t)len;
	return true;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct download *download = context;
	size_t len = size * count;
	if (!download->begun && !look_at_head(download))
		return 0;
	if (download->status == HTTP_OK)
		return write_all(download, bytes, len) ? len : 0;
	size_t kept = len < sizeof download->refusal - download->refusal_len ? len : sizeof download->refusal - download->refusal_len;
	memcpy(download->refusal + download->refusal_len, bytes, kept);
	download->refusal_len += kept;
	return kept == len ? len : 0;
}

/* libcurl calls it at least once a second, also while nothing comes. */
static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t upload_total, curl_off_t upload_now)
{
	struct download *download = context;
	const struct snapshot_source *source = download->source;
	(void)total, (void)upload_total, (void)upload_now;
	int64_t now_ms = monotonic_ms(), limit_ms = download->begun ? SNAPSHOT_STALL_MS : FIRST_BYTE_MS;
	if (now - download->looked_bytes >= SNAPSHOT_STALL_BYTES || (download->looked_bytes == 0 && now > 0)) {
		download->looked_bytes = now;
		download->looked_ms = now_ms;
	}
	if (source->go_on != NULL && !source->go_on(source->context, download->bytes, download->total))
		give_up(download, PYGMY_STOPPING, "stopped");
	else if (now_ms - download->looked_ms >= limit_ms)
		give_up(download, PYGMY_NOT_READY, download->begun ? "the transfer has come to a halt" : "no answer came");
	return download->error != PYGMY_OK;
}

/* ---- the request ------------------------------------------------------------------------------------- */

static bool add_header(struct download *download, const char *line)
{
	struct curl_slist *longer = curl_slist_append(download->headers, line);
	if (longer != NULL)
		download->headers = longer;
	return longer != NULL;
}

static bool prepare(struct download *download)
{
	const struct snapshot_source *source = download->source;
	char text[HEADER_MAX_BYTES];
	CURL *easy = download->easy = curl_easy_init();
	int len = snprintf(text, sizeof text, "Authorization: Bearer %s", source->token);
	if (easy == NULL || len < 0 || len >= (int)sizeof text)
		return false;
	if (source->token[0] != '\0' && !add_header(download, text))
		return false;
	if (!add_header(download, source->complete ? "X-Pygmy-Consistency: strict" : "X-Pygmy-Allow-Stale: 1"))
		return false;
	explicit_bzero(text, sizeof text);
	len = snprintf(text, sizeof text, "%s/snapshot", source->url);
	if (len < 0 || len >= (int)sizeof text || curl_easy_setopt(easy, CURLOPT_URL, text) != CURLE_OK)
		return false;
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, download->headers);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, download);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, download);
	return source->tls == NULL || tls_apply(easy, source->tls);
}

static void close_all(struct download *download)
{
	for (struct curl_slist *at = download->headers; at != NULL; at = at->next)
		explicit_bzero(at->data, strlen(at->data));
	curl_slist_free_all(download->headers);
	curl_easy_cleanup(download->easy);
}

/* The store's own words, if the answer has them. */
static void tell_refusal(const struct download *download)
{
	json_t *envelope = json_loadb(download->refusal, download->refusal_len, 0, NULL);
	const json_t *message = json_object_get(envelope, "message");
	if (json_is_string(message))
		snprintf(download->why, SNAPSHOT_WHY_BYTES, "it answered %ld: %s", download->status, json_string_value(message));
	else
		snprintf(download->why, SNAPSHOT_WHY_BYTES, "it answered %ld", download->status);
	json_decref(envelope);
}

static enum pygmy_error finish(struct download *download, CURLcode code)
{
	if (download->error != PYGMY_OK)
		return download->error;
	if (code == CURLE_OUT_OF_MEMORY)
		return PYGMY_OUT_OF_MEMORY;
	if (download->status == 0 && code == CURLE_OK)
		curl_easy_getinfo(download->easy, CURLINFO_RESPONSE_CODE, &download->status);
	if (download->status != 0 && download->status != HTTP_OK)
		tell_refusal(download);
	else if (code != CURLE_OK)
		snprintf(download->why, SNAPSHOT_WHY_BYTES, "%s", curl_easy_strerror(code));
	else if (download->bytes == 0 || download->bytes != download->total)
		snprintf(download->why, SNAPSHOT_WHY_BYTES, "the answer is empty");
	else
		return PYGMY_OK;
	return PYGMY_NOT_READY;
}

enum pygmy_error snapshot_download(const struct snapshot_source *source, int fd, long *status, char why[SNAPSHOT_WHY_BYTES])
{
	char ignored[SNAPSHOT_WHY_BYTES];
	struct download download = { .source = source, .fd = fd, .why = why != NULL ? why : ignored, .looked_ms = monotonic_ms() };
	download.why[0] = '\0';
	enum pygmy_error error = PYGMY_OUT_OF_MEMORY;
	if (prepare(&download))
		error = finish(&download, curl_easy_perform(download.easy));
	close_all(&download);
	if (status != NULL)
		*status = download.status;
	return error;
}
