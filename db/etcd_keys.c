/* etcd_keys: small keys, and the leases that let them go when their owner is gone; see etcd.h. */
#include "db/etcd_call.h"

#define KEYS_MAX 256

/* An answer in which nothing is looked for. */
static enum etcd_outcome read_done(void *context, const json_t *answer)
{
	struct etcd_position position;
	(void)context;
	return etcd_json_header(answer, &position) && position.cluster_id != 0 ? ETCD_OK : ETCD_UNKNOWN;
}

static enum etcd_outcome read_lease(void *context, const json_t *answer)
{
	uint64_t *out = context, id;
	if (!etcd_json_number(answer, "ID", &id) || id == 0)
		return ETCD_UNKNOWN;
	*out = id;
	return ETCD_OK;
}

/* The gateway wraps answers of streams: {"result": {..., "TTL": "3"}}; a lease that is gone has no TTL. */
static enum etcd_outcome read_kept(void *context, const json_t *answer)
{
	const json_t *result;
	uint64_t id, ttl;
	(void)context;
	if (!etcd_json_object(answer, "result", &result) || !etcd_json_number(result, "ID", &id) || id == 0 ||
	    !etcd_json_number(result, "TTL", &ttl))
		return ETCD_UNKNOWN;
	return ttl > 0 ? ETCD_OK : ETCD_NOT_FOUND;
}

enum etcd_outcome etcd_lease_grant(struct etcd *etcd, int ttl_s, int64_t deadline_ms, uint64_t *lease)
{
	struct etcd_request request = { .path = "/v3/lease/grant", .is_write = true, .endpoint = -1, .read = read_lease, .context = lease };
	etcd_body_start(etcd, "{\"TTL\":");
	etcd_body_number(etcd, ttl_s > 0 ? (uint64_t)ttl_s : 1);
	etcd_body_text(etcd, "}");
	return etcd_call(etcd, &request, deadline_ms);
}

static enum etcd_outcome call_lease(struct etcd *etcd, const struct etcd_request *request, uint64_t lease, int64_t deadline_ms)
{
	etcd_body_start(etcd, "{\"ID\":");
	etcd_body_number(etcd, lease);
	etcd_body_text(etcd, "}");
	return etcd_call(etcd, request, deadline_ms);
}

enum etcd_outcome etcd_lease_keep(struct etcd *etcd, uint64_t lease, int64_t deadline_ms)
{
	struct etcd_request request = { .path = "/v3/lease/keepalive", .endpoint = -1, .read = read_kept };
	enum etcd_outcome outcome = call_lease(etcd, &request, lease, deadline_ms);
	return outcome == ETCD_NOT_FOUND ? etcd_fail(etcd, outcome, "the lease has run out") : outcome;
}

enum etcd_outcome etcd_lease_revoke(struct etcd *etcd, uint64_t lease, int64_t deadline_ms)
{
	struct etcd_request request = { .path = "/v3/lease/revoke", .is_write = true, .endpoint = -1, .read = read_done };
	return call_lease(etcd, &request, lease, deadline_ms);
}

enum etcd_outcome etcd_put(struct etcd *etcd, const char *key, struct slice value, uint64_t lease, int64_t deadline_ms)
{
	struct etcd_request request = { .path = "/v3/kv/put", .is_write = true, .endpoint = -1, .read = read_done };
	etcd_body_start(etcd, "{\"key\":");
	etcd_body_bytes(etcd, slice_of(key));
	etcd_body_text(etcd, ",\"value\":");
	etcd_body_bytes(etcd, value);
	etcd_body_text(etcd, ",\"lease\":");
	etcd_body_number(etcd, lease);
	etcd_body_text(etcd, "}");
	return etcd_call(etcd, &request, deadline_ms);
}

/* ---- all keys with a prefix ----------------------------------------------------------------------------- */

struct list_reader {
	struct slice prefix;
	struct buffer bytes;          /* keys and values, one behind the other */
	etcd_visit visit;
	void *context;
};

/* One key after the other; without is_visiting it only looks whether all make sense. */
static bool read_keys(struct list_reader *reader, const json_t *list, bool is_visiting)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *kv = json_array_get(list, i);
		uint64_t lease;
		buffer_clear(&reader->bytes);
		if (!json_is_object(kv) || !etcd_json_bytes(kv, "key", &reader->bytes))
			return false;
		size_t key_len = reader->bytes.len;
		if (!etcd_json_bytes(kv, "value", &reader->bytes) || !etcd_json_number(kv, "lease", &lease))
			return false;
		struct slice key = { reader->bytes.bytes, key_len };
		struct slice value = { reader->bytes.bytes + key_len, reader->bytes.len - key_len };
		if (key_len == 0 || !slice_starts_with(key, reader->prefix))
			return false;
		if (is_visiting)
			reader->visit(reader->context, key, value, lease);
	}
	return true;
}

static enum etcd_outcome read_list(void *context, const json_t *answer)
{
	struct list_reader *reader = context;
	struct etcd_position position;
	const json_t *list;
	if (!etcd_json_header(answer, &position) || position.cluster_id == 0 || !etcd_json_list(answer, "kvs", &list) ||
	    json_array_size(list) > KEYS_MAX || !read_keys(reader, list, false))
		return ETCD_UNKNOWN;
	/* Nothing fails twice but memory, of which the first look took as much. */
	return read_keys(reader, list, true) ? ETCD_OK : ETCD_REFUSED;
}

enum etcd_outcome etcd_list(struct etcd *etcd, const char *prefix, int64_t deadline_ms, etcd_visit visit, void *context)
{
	struct list_reader reader = { slice_of(prefix), buffer_of(ETCD_ANSWER_MAX_BYTES), visit, context };
	struct etcd_request request = { .path = "/v3/kv/range", .without_leader = true, .endpoint = -1, .read = read_list, .context = &reader };
	char end[128];
	size_t len = strlen(prefix);
	/* The end of a range of all keys with a prefix: the prefix with its last byte raised. */
	if (len == 0 || len >= sizeof end || (unsigned char)prefix[len - 1] == 0xff)
		return etcd_fail(etcd, ETCD_REFUSED, "the prefix is empty or too long");
	memcpy(end, prefix, len);
	end[len - 1] = (char)((unsigned char)end[len - 1] + 1);
	etcd_body_start(etcd, "{\"serializable\":true,\"limit\":");
	etcd_body_number(etcd, KEYS_MAX);
	etcd_body_text(etcd, ",\"key\":");
	etcd_body_bytes(etcd, reader.prefix);
	etcd_body_text(etcd, ",\"range_end\":");
	etcd_body_bytes(etcd, (struct slice){ end, len });
	etcd_body_text(etcd, "}");
	enum etcd_outcome outcome = etcd_call(etcd, &request, deadline_ms);
	buffer_close(&reader.bytes);
	return outcome;
}
