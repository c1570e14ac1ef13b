/* member: see member.h. Names, URLs and versions are checked first, so they hold nothing that JSON would have to escape. */
#include "db/member.h"

#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>

#define AGREEMENTS_TEXT_BYTES (MEMBERS_MAX * (NODE_NAME_MAX_BYTES + 24) + 3)     /* name, quotes, colon, comma, 20 digits */
#define VERSION_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+~-"

static bool version_is_valid(const char *version)
{
	return version[0] != '\0' && version[strspn(version, VERSION_CHARACTERS)] == '\0';
}

static bool is_valid(const struct member *member)
{
	for (size_t i = 0; i < member->agreement_count; i++)
		if (!node_name_is_valid(slice_of(member->agreements[i].name)) || member->agreements[i].index > INT64_MAX)
			return false;
	return member->agreement_count <= MEMBERS_MAX && node_name_is_valid(slice_of(member->name)) &&
	       (member->catalog_url[0] == '\0' || node_url_is_valid(slice_of(member->catalog_url))) &&
	       version_is_valid(member->version) && member->applied <= INT64_MAX && member->durable <= INT64_MAX && member->era <= INT64_MAX &&
	       member->since_ms >= 0 && member->phase <= NODE_STORAGE_FAILED;
}

/* `{"B":12,"C":11}` */
static void write_agreements(const struct member *member, char out[AGREEMENTS_TEXT_BYTES])
{
	size_t len = (size_t)snprintf(out, AGREEMENTS_TEXT_BYTES, "{");
	for (size_t i = 0; i < member->agreement_count; i++)
		len += (size_t)snprintf(out + len, AGREEMENTS_TEXT_BYTES - len, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", member->agreements[i].name,
					member->agreements[i].index);
	snprintf(out + len, AGREEMENTS_TEXT_BYTES - len, "}");
}

size_t member_write(const struct member *member, char *buf, size_t buf_size)
{
	char chain[2 * CHAIN_BYTES + 1], agreements[AGREEMENTS_TEXT_BYTES];
	if (!is_valid(member))
		return 0;
	sodium_bin2hex(chain, sizeof chain, member->chain, CHAIN_BYTES);
	write_agreements(member, agreements);
	int len = snprintf(buf, buf_size,
		"{\"agrees\":%s,\"applied\":%" PRIu64 ",\"catalog_url\":\"%s\",\"chain\":\"%s\",\"durable\":%" PRIu64
		",\"era\":%" PRIu64 ",\"name\":\"%s\",\"phase\":\"%s\",\"since_ms\":%" PRId64 ",\"version\":\"%s\"}",
		agreements, member->applied, member->catalog_url, chain, member->durable, member->era, member->name, node_phase_code(member->phase),
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

static bool get_agreements(const json_t *object, struct member *out)
{
	const json_t *agreements = json_object_get(object, "agrees");
	const char *name;
	json_t *index;
	if (!json_is_object(agreements) || json_object_size(agreements) > MEMBERS_MAX)
		return false;
	json_object_foreach((json_t *)(uintptr_t)agreements, name, index) {
		struct member_agreement *agreement = &out->agreements[out->agreement_count++];
		if (strlen(name) > NODE_NAME_MAX_BYTES || !json_is_integer(index) || json_integer_value(index) < 0)
			return false;
		memcpy(agreement->name, name, strlen(name) + 1);
		agreement->index = (uint64_t)json_integer_value(index);
	}
	return true;
}

#define MEMBER_FIELDS 10

bool member_parse(struct slice text, struct member *out)
{
	uint64_t since_ms = 0;
	memset(out, 0, sizeof *out);
	if (text.len == 0 || text.len > MEMBER_TEXT_MAX_BYTES)
		return false;
	json_t *object = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	bool good = json_is_object(object) && json_object_size(object) == MEMBER_FIELDS &&
		get_agreements(object, out) && get_text(object, "name", out->name, sizeof out->name) && get_phase(object, &out->phase) &&
		get_number(object, "applied", &out->applied) && get_chain(object, out->chain) &&
		get_number(object, "durable", &out->durable) && get_number(object, "era", &out->era) && get_number(object, "since_ms", &since_ms) &&
		get_text(object, "version", out->version, sizeof out->version) &&
		get_text(object, "catalog_url", out->catalog_url, sizeof out->catalog_url);
	out->since_ms = (int64_t)since_ms;
	json_decref(object);
	return good && is_valid(out);
}
