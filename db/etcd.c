/*
 * etcd: the client and the log key; see etcd.h. Small keys are in etcd_keys.c, the cluster's care in etcd_care.c.
 *
 * The hot call is etcd_log_append: its request is written by hand into a buffer that is kept; the value is encoded once.
 */
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>

#include "db/diagnostics.h"
#include "db/etcd_call.h"

/* A value in base64 and what stands around it. etcd takes 1.5 MiB (before base64) unless it is told otherwise. */
#define REQUEST_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define VALUE_MAX_BYTES ((size_t)2 * 1024 * 1024)

const char *etcd_outcome_text(enum etcd_outcome outcome)
{
	switch (outcome) {
	case ETCD_OK:
		return "ok";
	case ETCD_UNREACHABLE:
		return "no endpoint could carry it out";
	case ETCD_UNKNOWN:
		return "sent and not answered: it may have happened";
	case ETCD_COMPARE_FAILED:
		return "the key is not what it was expected to be";
	case ETCD_COMPACTED:
		return "the revision is compacted";
	case ETCD_NO_SPACE:
		return "etcd's database space is exceeded";
	case ETCD_TOO_LARGE:
		return "the request is too large for etcd";
	case ETCD_NOT_FOUND:
		return "not found";
	case ETCD_REFUSED:
		return "refused";
	}
	return "?";
}

/* ---- the client ------------------------------------------------------------------------------------- */

static bool is_url(struct slice url)
{
	size_t scheme_len = slice_starts_with(url, SLICE_LITERAL("http://")) ? 7 : slice_starts_with(url, SLICE_LITERAL("https://")) ? 8 : 0;
	if (scheme_len == 0 || url.len == scheme_len || url.len >= ETCD_URL_MAX_BYTES)
		return false;
	for (size_t i = scheme_len; i < url.len; i++)
		if ((unsigned char)url.ptr[i] <= ' ' || strchr("/?#@\"\\", url.ptr[i]) != NULL || (unsigned char)url.ptr[i] >= 0x7f)
			return false;
	return true;
}

static bool add_endpoint(struct etcd *etcd, struct slice url, const struct tls_files *tls)
{
	if (url.len > 0 && url.ptr[url.len - 1] == '/')
		url.len--;
	if (!is_url(url) || etcd->count == ETCD_ENDPOINTS_MAX) {
		diagnose_error("etcd: %.*s is not http://host:port or https://host:port, or there are more than %d endpoints",
			       (int)(url.len < 200 ? url.len : 200), url.ptr, ETCD_ENDPOINTS_MAX);
		return false;
	}
	if (etcd_endpoint_init(&etcd->endpoints[etcd->count++], url, tls))
		return true;
	diagnose_error("etcd: out of memory");
	return false;
}

static bool add_endpoints(struct etcd *etcd, const char *endpoints, const struct tls_files *tls)
{
	for (const char *at = endpoints; *at != '\0';) {
		size_t len = strcspn(at, " ");
		if (len > 0 && !add_endpoint(etcd, (struct slice){ at, len }, tls))
			return false;
		at += len + (at[len] == ' ' ? 1 : 0);
	}
	if (etcd->count == 0)
		diagnose_error("etcd: no endpoint is given");
	return etcd->count > 0;
}

bool etcd_create(const char *endpoints, const struct tls_files *tls, struct etcd **out)
{
	struct etcd *etcd = calloc(1, sizeof *etcd);
	*out = NULL;
	if (etcd == NULL || sodium_init() < 0) {
		free(etcd);
		diagnose_error("etcd: out of memory");
		return false;
	}
	etcd->body = buffer_of(REQUEST_MAX_BYTES);
	etcd->headers = etcd_endpoint_headers(false);
	etcd->headers_leader = etcd_endpoint_headers(true);
	if (etcd->headers == NULL || etcd->headers_leader == NULL)
		diagnose_error("etcd: out of memory");
	else if (add_endpoints(etcd, endpoints, tls))
		*out = etcd;
	if (*out == NULL)
		etcd_destroy(etcd);
	return *out != NULL;
}

void etcd_destroy(struct etcd *etcd)
{
	if (etcd == NULL)
		return;
	for (int i = 0; i < etcd->count; i++)
		etcd_endpoint_close(&etcd->endpoints[i]);
	curl_slist_free_all(etcd->headers);
	curl_slist_free_all(etcd->headers_leader);
	buffer_close(&etcd->body);
	free(etcd);
}

int etcd_endpoint_count(const struct etcd *etcd)
{
	return etcd->count;
}

const char *etcd_endpoint(const struct etcd *etcd, int number)
{
	return etcd->endpoints[number].url;
}

void etcd_prefer(struct etcd *etcd, int number)
{
	etcd->preferred = (number % etcd->count + etcd->count) % etcd->count;
}

const char *etcd_last_error(const struct etcd *etcd)
{
	return etcd->error;
}

/* ---- answers about the log key ------------------------------------------------------------------------ */

/* The one key in a range's answer, or NULL (then it is not there). False: the answer makes no sense. */
static bool read_one(const json_t *range, const json_t **kv)
{
	const json_t *list;
	if (!etcd_json_list(range, "kvs", &list) || json_array_size(list) > 1)
		return false;
	*kv = json_array_get(list, 0);
	return *kv == NULL || json_is_object(*kv);
}

/* A key that is there has all three numbers, in order. */
static bool read_position(const json_t *kv, struct etcd_position *position)
{
	return etcd_json_position(kv, position) && position->version > 0 && position->create_revision > 0 &&
	       position->mod_revision >= position->create_revision;
}

static enum etcd_outcome read_txn(void *context, const json_t *answer)
{
	struct etcd_position *out = context, position;
	const json_t *responses, *range, *kv;
	bool succeeded;
	if (!etcd_json_header(answer, &position) || !etcd_json_bool(answer, "succeeded", &succeeded) || position.cluster_id == 0)
		return ETCD_UNKNOWN;
	if (!succeeded)
		return ETCD_COMPARE_FAILED;
	if (!etcd_json_list(answer, "responses", &responses) || json_array_size(responses) != 2 ||
	    !etcd_json_object(json_array_get(responses, 1), "response_range", &range) || !read_one(range, &kv) || kv == NULL ||
	    !read_position(kv, &position))
		return ETCD_UNKNOWN;
	*out = position;
	return ETCD_OK;
}

static enum etcd_outcome read_range_position(void *context, const json_t *answer)
{
	struct etcd_position *out = context, position;
	const json_t *kv;
	if (!etcd_json_header(answer, &position) || position.cluster_id == 0 || !read_one(answer, &kv) ||
	    (kv != NULL && !read_position(kv, &position)))
		return ETCD_UNKNOWN;
	*out = position;
	return ETCD_OK;
}

struct value_reader {
	struct arena *arena;
	struct etcd_value *out;
	bool no_memory;
};

static enum etcd_outcome read_value(void *context, const json_t *answer)
{
	struct value_reader *reader = context;
	struct etcd_position position;
	const json_t *kv;
	if (!etcd_json_header(answer, &position) || position.cluster_id == 0 || !read_one(answer, &kv))
		return ETCD_UNKNOWN;
	if (kv == NULL)
		return ETCD_NOT_FOUND;
	size_t max = etcd_json_bytes_max(kv, "value");
	char *bytes = arena_take(reader->arena, max + 1);
	reader->no_memory = bytes == NULL;
	if (bytes == NULL)
		return ETCD_REFUSED;
	struct buffer value = { .bytes = bytes, .capacity = max + 1, .max_len = max };
	if (!read_position(kv, &position) || !etcd_json_bytes(kv, "value", &value))
		return ETCD_UNKNOWN;
	*reader->out = (struct etcd_value){ position, { bytes, value.len } };
	return ETCD_OK;
}

/* ---- the log key -------------------------------------------------------------------------------------- */

/* {"compare": [create_revision is the given one], "success": [put, range keys_only]} */
static void build_txn(struct etcd *etcd, struct slice key, uint64_t create_revision, struct slice value)
{
	etcd_body_start(etcd, "{\"compare\":[{\"result\":\"EQUAL\",\"target\":\"CREATE\",\"key\":");
	etcd_body_bytes(etcd, key);
	etcd_body_text(etcd, ",\"create_revision\":");
	etcd_body_number(etcd, create_revision);
	etcd_body_text(etcd, "}],\"success\":[{\"request_put\":{\"key\":");
	etcd_body_bytes(etcd, key);
	etcd_body_text(etcd, ",\"value\":");
	etcd_body_bytes(etcd, value);
	etcd_body_text(etcd, "}},{\"request_range\":{\"keys_only\":true,\"key\":");
	etcd_body_bytes(etcd, key);
	etcd_body_text(etcd, "}}]}");
}

static enum etcd_outcome put_if(struct etcd *etcd, const char *key, uint64_t create_revision, struct slice value, int64_t deadline_ms,
				struct etcd_position *out, bool *was_uncertain)
{
	struct etcd_request request = { .path = "/v3/kv/txn", .is_write = true, .endpoint = -1, .read = read_txn, .context = out,
					.was_uncertain = was_uncertain };
	if (value.len > VALUE_MAX_BYTES)
		return etcd_fail(etcd, ETCD_TOO_LARGE, "the value has %zu bytes", value.len);
	build_txn(etcd, slice_of(key), create_revision, value);
	return etcd_call(etcd, &request, deadline_ms);
}

enum etcd_outcome etcd_log_create(struct etcd *etcd, const char *key, struct slice value, int64_t deadline_ms, struct etcd_position *out)
{
	bool was_uncertain = false;
	enum etcd_outcome outcome = put_if(etcd, key, 0, value, deadline_ms, out, &was_uncertain);
	if (outcome != ETCD_UNKNOWN || !was_uncertain)
		return outcome;
	/* Is it there, and ours? */
	struct arena arena;
	struct etcd_value found;
	arena_init(&arena, ETCD_ANSWER_MAX_BYTES);
	if (etcd_log_read(etcd, key, 0, deadline_ms, &arena, &found) == ETCD_OK && found.position.version == 1 &&
	    slice_equal(found.bytes, value)) {
		*out = found.position;
		outcome = ETCD_OK;
	}
	arena_close(&arena);
	return outcome;
}

enum etcd_outcome etcd_log_append(struct etcd *etcd, const char *key, uint64_t create_revision, struct slice value, int64_t deadline_ms,
				  struct etcd_position *out)
{
	/* (0 would create it.) */
	if (create_revision == 0)
		return etcd_fail(etcd, ETCD_COMPARE_FAILED, "the log's create_revision is not known");
	return put_if(etcd, key, create_revision, value, deadline_ms, out, NULL);
}

enum etcd_outcome etcd_log_position(struct etcd *etcd, const char *key, int64_t deadline_ms, struct etcd_position *out)
{
	struct etcd_request request = { .path = "/v3/kv/range", .endpoint = -1, .read = read_range_position, .context = out };
	etcd_body_start(etcd, "{\"keys_only\":true,\"key\":");
	etcd_body_bytes(etcd, slice_of(key));
	etcd_body_text(etcd, "}");
	return etcd_call(etcd, &request, deadline_ms);
}

enum etcd_outcome etcd_log_read(struct etcd *etcd, const char *key, uint64_t revision, int64_t deadline_ms, struct arena *arena,
				struct etcd_value *out)
{
	struct value_reader reader = { arena, out, false };
	struct etcd_request request = { .path = "/v3/kv/range", .endpoint = -1, .read = read_value, .context = &reader };
	etcd_body_start(etcd, "{\"key\":");
	etcd_body_bytes(etcd, slice_of(key));
	etcd_body_text(etcd, ",\"revision\":");
	etcd_body_number(etcd, revision);
	etcd_body_text(etcd, "}");
	enum etcd_outcome outcome = etcd_call(etcd, &request, deadline_ms);
	return reader.no_memory ? etcd_fail(etcd, outcome, "there is no memory for the value") : outcome;
}
