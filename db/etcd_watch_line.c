/*
 * etcd_watch_line: see etcd_watch_line.h.
 *
 *	{"result":{"header":{...},"created":true}}
 *	{"result":{"header":{...},"events":[{"kv":{"key":...,"create_revision":"2","mod_revision":"3","version":"2","value":...}}]}}
 *	{"result":{"header":{...},"events":[{"type":"DELETE","kv":{"key":...,"mod_revision":"7"}}]}}
 *	{"result":{"header":{...},"canceled":true,"compact_revision":"3"}}
 *	{"error":{"grpc_code":14,"http_code":503,"message":"..."}}
 */
#include "db/etcd_watch_line.h"

#include <stdio.h>

#define KEY_MAX_BYTES 256

void etcd_watch_line_close(struct etcd_watch_line *line)
{
	json_decref(line->root);
	line->root = NULL;
	line->events = NULL;
	line->next = 0;
}

static enum etcd_watch_line_kind refuse(struct etcd_watch_line *line, const char *reason, struct slice detail)
{
	snprintf(line->reason, sizeof line->reason, "%s%s%.*s", reason, detail.len > 0 ? ": " : "",
		 (int)(detail.len < 160 ? detail.len : 160), detail.len > 0 ? detail.ptr : "");
	etcd_watch_line_close(line);
	return ETCD_WATCH_LINE_ERROR;
}

static enum etcd_watch_line_kind refuse_error(struct etcd_watch_line *line)
{
	const json_t *error;
	struct slice message = SLICE_EMPTY;
	if (!etcd_json_object(line->root, "error", &error))
		etcd_json_text(line->root, "error", &message);
	else if (error != NULL)
		etcd_json_text(error, "message", &message);
	return refuse(line, error != NULL ? "etcd said" : "a line makes no sense", message);
}

static bool has_key(const json_t *kv, struct slice key)
{
	char bytes[KEY_MAX_BYTES];
	size_t max = etcd_json_bytes_max(kv, "key");
	struct buffer found = { .bytes = bytes, .capacity = sizeof bytes, .max_len = sizeof bytes };
	return max <= sizeof bytes && etcd_json_bytes(kv, "key", &found) && slice_equal(buffer_borrow(&found), key);
}

static bool read_event(const json_t *json, const struct etcd_position *header, struct etcd_event *event)
{
	const json_t *kv;
	struct slice type;
	*event = (struct etcd_event){ .position = *header };
	if (!json_is_object(json) || !etcd_json_object(json, "kv", &kv) || kv == NULL || !etcd_json_text(json, "type", &type) ||
	    !etcd_json_position(kv, &event->position))
		return false;
	event->is_delete = slice_equal(type, SLICE_LITERAL("DELETE"));
	if (event->is_delete)
		return event->position.mod_revision > 0;
	return (type.len == 0 || slice_equal(type, SLICE_LITERAL("PUT"))) && event->position.version > 0 &&
	       event->position.create_revision > 0 && event->position.mod_revision >= event->position.create_revision;
}

static bool events_make_sense(const struct etcd_watch_line *line, struct slice key)
{
	struct etcd_event event;
	for (size_t i = 0; i < json_array_size(line->events); i++) {
		const json_t *json = json_array_get(line->events, i);
		if (!read_event(json, &line->header, &event) || !has_key(json_object_get(json, "kv"), key))
			return false;
	}
	return true;
}

enum etcd_watch_line_kind etcd_watch_line_read(struct etcd_watch_line *line, struct slice text, struct slice key)
{
	const json_t *result;
	struct slice reason;
	bool canceled;
	etcd_watch_line_close(line);
	line->reason[0] = '\0';
	line->root = etcd_json_parse(text);
	if (line->root == NULL)
		return refuse(line, "a line is not JSON", SLICE_EMPTY);
	if (!etcd_json_object(line->root, "result", &result) || result == NULL)
		return refuse_error(line);
	if (!etcd_json_header(result, &line->header) || line->header.cluster_id == 0 || !etcd_json_bool(result, "canceled", &canceled) ||
	    !etcd_json_number(result, "compact_revision", &line->compact_revision) || !etcd_json_text(result, "cancel_reason", &reason) ||
	    !etcd_json_list(result, "events", &line->events) || !events_make_sense(line, key))
		return refuse(line, "a line makes no sense", SLICE_EMPTY);
	if (canceled && line->compact_revision == 0)
		return refuse(line, "the watch was canceled", reason);
	bool has_events = json_array_size(line->events) > 0;
	if (canceled || !has_events)
		etcd_watch_line_close(line);
	return canceled ? ETCD_WATCH_LINE_COMPACTED : has_events ? ETCD_WATCH_LINE_EVENTS : ETCD_WATCH_LINE_QUIET;
}

/* Room for all values of [from, end) at once, so that none moves. */
static bool reserve(const json_t *list, size_t from, size_t end, struct buffer *values)
{
	size_t sum = 0;
	for (size_t i = from; i < end; i++)
		sum += etcd_json_bytes_max(json_object_get(json_array_get(list, i), "kv"), "value");
	return buffer_reserve(values, sum) != NULL;
}

bool etcd_watch_line_take(struct etcd_watch_line *line, struct buffer *values, struct etcd_event *events, size_t *count)
{
	size_t size = json_array_size(line->events), first = line->next;
	size_t end = size - first < ETCD_WATCH_EVENTS_MAX ? size : first + ETCD_WATCH_EVENTS_MAX;
	*count = 0;
	buffer_clear(values);
	if (!reserve(line->events, first, end, values)) {
		refuse(line, "there is no memory for the values", SLICE_EMPTY);
		return false;
	}
	for (size_t i = first; i < end; i++) {
		const json_t *json = json_array_get(line->events, i);
		size_t start = values->len;
		if (!read_event(json, &line->header, &events[i - first]) || !etcd_json_bytes(json_object_get(json, "kv"), "value", values)) {
			refuse(line, "a value makes no sense", SLICE_EMPTY);
			return false;
		}
		events[i - first].value = (struct slice){ values->bytes + start, values->len - start };
	}
	*count = end - first;
	line->next = end;
	if (end == size)
		etcd_watch_line_close(line);
	return true;
}
