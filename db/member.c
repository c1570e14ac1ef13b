/* member: see member.h. Names, URLs and versions are checked first, so they hold nothing that JSON would have to escape. */
#include "db/member.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>

#define VERSION_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+~-"

static bool version_is_valid(const char *version)
{
	return version[0] != '\0' && version[strspn(version, VERSION_CHARACTERS)] == '\0';
}

static bool is_valid(const struct member *member)
{
	return node_name_is_valid(slice_of(member->name)) &&
	       (member->catalog_url[0] == '\0' || node_url_is_valid(slice_of(member->catalog_url))) &&
	       version_is_valid(member->version) && member->applied <= INT64_MAX && member->durable <= INT64_MAX &&
	       member->since_ms >= 0 && member->phase <= NODE_STORAGE_FAILED;
}

size_t member_write(const struct member *member, char *buf, size_t buf_size)
{
	char chain[2 * CHAIN_BYTES + 1];
	if (!is_valid(member))
		return 0;
	sodium_bin2hex(chain, sizeof chain, member->chain, CHAIN_BYTES);
	int len = snprintf(buf, buf_size,
		"{\"applied\":%" PRIu64 ",\"catalog_url\":\"%s\",\"chain\":\"%s\",\"durable\":%" PRIu64
		",\"name\":\"%s\",\"phase\":\"%s\",\"since_ms\":%" PRId64 ",\"version\":\"%s\"}",
		member->applied, member->catalog_url, chain, member->durable, member->name, node_phase_code(member->phase),
		member->since_ms, member->version);
	return len > 0 && (size_t)len < buf_size ? (size_t)len : 0;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static bool get_text(const json_t *object, const char *name, char *out, size_t size)
{
	const json_t *value = json_object_get(object, name);
	size_t len = json_string_length(value);
	if (!json_is_string(value) || len >= size || strlen(json_string_value(value)) != len)
		return false;
	memcpy(out, json_string_value(value), len + 1);
	return true;
}

static bool get_number(const json_t *object, const char *name, uint64_t *out)
{
	const json_t *value = json_object_get(object, name);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*out = (uint64_t)json_integer_value(value);
	return true;
}

static bool get_chain(const json_t *object, uint8_t out[CHAIN_BYTES])
{
	char hex[2 * CHAIN_BYTES + 1];
	size_t len = 0;
	return get_text(object, "chain", hex, sizeof hex) && strlen(hex) == 2 * CHAIN_BYTES &&
	       sodium_hex2bin(out, CHAIN_BYTES, hex, 2 * CHAIN_BYTES, NULL, &len, NULL) == 0 && len == CHAIN_BYTES;
}

static bool get_phase(const json_t *object, enum node_phase *out)
{
	char code[32];
	if (!get_text(object, "phase", code, sizeof code))
		return false;
	for (int i = NODE_STARTING; i <= NODE_STORAGE_FAILED; i++)
		if (strcmp(code, node_phase_code((enum node_phase)i)) == 0) {
			*out = (enum node_phase)i;
			return true;
		}
	return false;
}

#define MEMBER_FIELDS 8

bool member_parse(struct slice text, struct member *out)
{
	uint64_t since_ms = 0;
	memset(out, 0, sizeof *out);
	if (text.len == 0 || text.len > MEMBER_TEXT_MAX_BYTES)
		return false;
	json_t *object = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	bool good = json_is_object(object) && json_object_size(object) == MEMBER_FIELDS &&
		get_text(object, "name", out->name, sizeof out->name) && get_phase(object, &out->phase) &&
		get_number(object, "applied", &out->applied) && get_chain(object, out->chain) &&
		get_number(object, "durable", &out->durable) && get_number(object, "since_ms", &since_ms) &&
		get_text(object, "version", out->version, sizeof out->version) &&
		get_text(object, "catalog_url", out->catalog_url, sizeof out->catalog_url);
	out->since_ms = (int64_t)since_ms;
	json_decref(object);
	return good && is_valid(out);
}
