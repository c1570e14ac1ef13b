/* etcd_json: see etcd_json.h. */
#include "db/etcd_json.h"

#include <sodium.h>

/* Counts what jansson would make values of, without recursion, before it recurses. */
static bool is_within_bounds(struct slice text)
{
	size_t depth = 0, tokens = 0;
	bool in_string = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '\0')
			return false; /* jansson skips one behind a number */
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		if (in_string)
			continue;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
		if (c == '{' || c == '[' || c == ',')
			tokens++;
		if (depth > ETCD_JSON_DEPTH_MAX || tokens > ETCD_JSON_TOKENS_MAX)
			return false;
	}
	return true;
}

json_t *etcd_json_parse(struct slice text)
{
	json_error_t error;
	if (text.len == 0 || !is_within_bounds(text))
		return NULL;
	json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
	if (root != NULL && !json_is_object(root)) {
		json_decref(root);
		return NULL;
	}
	return root;
}

bool etcd_json_object(const json_t *parent, const char *name, const json_t **out)
{
	*out = json_object_get(parent, name);
	return *out == NULL || json_is_object(*out);
}

bool etcd_json_list(const json_t *parent, const char *name, const json_t **out)
{
	*out = json_object_get(parent, name);
	return *out == NULL || json_is_array(*out);
}

/* Decimal digits only, no sign, no overflow. */
static bool parse_number(const char *text, size_t len, uint64_t *out)
{
	uint64_t value = 0;
	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(text[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

bool etcd_json_number(const json_t *parent, const char *name, uint64_t *out)
{
	const json_t *field = json_object_get(parent, name);
	*out = 0;
	if (field == NULL)
		return true;
	if (json_is_string(field))
		return parse_number(json_string_value(field), json_string_length(field), out);
	if (!json_is_integer(field) || json_integer_value(field) < 0)
		return false;
	*out = (uint64_t)json_integer_value(field);
	return true;
}

bool etcd_json_bool(const json_t *parent, const char *name, bool *out)
{
	const json_t *field = json_object_get(parent, name);
	*out = json_is_true(field);
	return field == NULL || json_is_boolean(field);
}

bool etcd_json_text(const json_t *parent, const char *name, struct slice *out)
{
	const json_t *field = json_object_get(parent, name);
	*out = (struct slice){ json_string_value(field), json_string_length(field) };
	return field == NULL || json_is_string(field);
}

size_t etcd_json_bytes_max(const json_t *parent, const char *name)
{
	return json_string_length(json_object_get(parent, name)) / 4 * 3;
}

bool etcd_json_bytes(const json_t *parent, const char *name, struct buffer *out)
{
	struct slice text;
	size_t len, max = etcd_json_bytes_max(parent, name);
	if (!etcd_json_text(parent, name, &text) || text.len % 4 != 0)
		return false;
	if (text.len == 0)
		return true;
	char *room = buffer_reserve(out, max);
	if (room == NULL ||
	    sodium_base642bin((unsigned char *)room, max, text.ptr, text.len, NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return false;
	out->len += len;
	return true;
}

bool etcd_json_header(const json_t *answer, struct etcd_position *out)
{
	const json_t *header;
	*out = (struct etcd_position){ 0 };
	return etcd_json_object(answer, "header", &header) && etcd_json_number(header, "cluster_id", &out->cluster_id) &&
	       etcd_json_number(header, "revision", &out->header_revision);
}

bool etcd_json_position(const json_t *kv, struct etcd_position *out)
{
	return etcd_json_number(kv, "create_revision", &out->create_revision) &&
	       etcd_json_number(kv, "mod_revision", &out->mod_revision) && etcd_json_number(kv, "version", &out->version);
}
