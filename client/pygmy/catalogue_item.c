/*
 * catalogue_item: jansson values in, JSON text out.
 */
#include "client/pygmy/catalogue_item.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/pygmy/price.h"
#include "client/pygmy/safe_text.h"
#include "db/limits.h"

static bool item_fail(char *error, const char *sentence)
{
	(void)snprintf(error, CATALOGUE_ITEM_ERROR_MAX_BYTES, "%s", sentence);
	return false;
}

static bool check_names(const json_t *object, char *error)
{
	static const char *const names[] = { "id", "title", "topic", "cost", "count" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (json_object_get(object, names[i]) == NULL) {
			(void)snprintf(error, CATALOGUE_ITEM_ERROR_MAX_BYTES, "the field \"%s\" is missing", names[i]);
			return false;
		}
	}
	return true;
}

bool catalogue_item_from_json(const json_t *object, struct catalogue_item *out, char error[CATALOGUE_ITEM_ERROR_MAX_BYTES])
{
	if (!json_is_object(object))
		return item_fail(error, "an item is an object with id, title, topic, cost and count");
	if (!check_names(object, error))
		return false;
	const json_t *id = json_object_get(object, "id");
	const json_t *title = json_object_get(object, "title");
	const json_t *topic = json_object_get(object, "topic");
	const json_t *count = json_object_get(object, "count");
	out->id = json_integer_value(id);
	out->title = json_string_value(title);
	out->title_len = json_string_length(title);
	out->topic = json_string_value(topic);
	out->topic_len = json_string_length(topic);
	out->count = json_is_integer(count) ? json_integer_value(count) : -1;
	if (out->id < 1 || out->id > ID_MAX)
		return item_fail(error, "\"id\" is not a whole number from 1 to 999999999999999999");
	if (out->title_len < 1 || out->title_len > TITLE_MAX_BYTES)
		return item_fail(error, "\"title\" is not a text of 1 to 500 bytes");
	if (out->topic_len < 1 || out->topic_len > TOPIC_MAX_BYTES)
		return item_fail(error, "\"topic\" is not a text of 1 to 100 bytes");
	if (!price_from_json(json_object_get(object, "cost"), &out->cost_minor))
		return item_fail(error, "\"cost\" is not a number from 0 to 1000000000 with at most two decimals");
	if (out->count < 0 || out->count > COUNT_MAX)
		return item_fail(error, "\"count\" is not a whole number from 0 to 1000000000");
	return true;
}

static int append_chunk(const char *bytes, size_t len, void *context)
{
	return text_append(context, bytes, len) ? 0 : -1;
}

bool json_append_string(struct text *out, const char *bytes, size_t len)
{
	json_t *string = json_stringn(bytes, len);
	bool done = string != NULL && json_dump_callback(string, append_chunk, out, JSON_ENCODE_ANY) == 0;
	json_decref(string);
	return done;
}

bool catalogue_item_append_json(struct text *out, const struct catalogue_item *item)
{
	text_append_format(out, "{\"id\": %" PRId64 ", \"title\": ", item->id);
	bool done = json_append_string(out, item->title, item->title_len) && text_append_string(out, ", \"topic\": ") &&
		    json_append_string(out, item->topic, item->topic_len) && text_append_string(out, ", \"cost\": ");
	price_append_number(out, item->cost_minor);
	text_append_format(out, ", \"count\": %" PRId64 "}", item->count);
	return done && !out->failed;
}
