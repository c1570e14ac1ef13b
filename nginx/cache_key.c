/*
 * cache_key: from raw arguments to a key. See cache_key.h for its form.
 *
 * /lookup has a path of its own without the parser, since it is most of what a store is asked. Both paths give
 * the same resource for the same id.
 */
#include "nginx/cache_key.h"

#include "db/limits.h"
#include "db/query_string.h"
#include "db/slot.h"

#define ID_DIGITS_MAX 18
#define RESOURCE_MAX_BYTES (sizeof "topic:?after=&limit=" + 3 * TOPIC_MAX_BYTES + ID_DIGITS_MAX + 4)
#define HEAD_MAX_BYTES (sizeof "@#./" + 5 + 15 + COHERENCE_NONCE_HEX_LEN + 5)

_Static_assert(HEAD_MAX_BYTES + RESOURCE_MAX_BYTES <= CACHE_KEY_MAX_BYTES, "every key must fit");
_Static_assert(ID_MAX == INT64_C(999999999999999999), "ids are told from others by their number of digits");

struct resource {
	uint32_t slot;
	bool canonical;               /* may be cached */
	size_t len;
	char text[RESOURCE_MAX_BYTES];
};

/* ---- writing text --------------------------------------------------------------------------- */

static char *put(char *to, const char *bytes, size_t len)
{
	memcpy(to, bytes, len);
	return to + len;
}

static char *put_slice(char *to, struct slice bytes)
{
	return put(to, bytes.ptr, bytes.len);
}

#define PUT_LITERAL(to, text) put((to), (text), sizeof(text) - 1)

static char *put_number(char *to, uint64_t number)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return put(to, digits + at, sizeof digits - at);
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'
	       || c == '_' || c == '~';
}

static char *put_encoded(char *to, struct slice bytes)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.ptr[i];
		if (is_plain((char)c)) {
			*to++ = (char)c;
		} else {
			*to++ = '%';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
		}
	}
	return to;
}

/* ---- resources ------------------------------------------------------------------------------ */

/* Decimal digits without a leading zero, at most ID_DIGITS_MAX of them; "0" is one. */
static bool parse_number(struct slice text, uint64_t *number)
{
	if (text.len == 0 || text.len > ID_DIGITS_MAX || (text.ptr[0] == '0' && text.len > 1))
		return false;
	*number = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	return true;
}

static bool item_resource(struct slice id, struct resource *out)
{
	uint64_t number;
	if (!parse_number(id, &number) || number == 0)
		return false;
	char *end = put_slice(PUT_LITERAL(out->text, "item:"), id);
	out->len = (size_t)(end - out->text);
	out->slot = slot_of_resource((struct slice){ out->text, out->len });
	return true;
}

static bool lookup_resource(struct slice args, struct resource *out)
{
	static const struct slice prefix = SLICE_LITERAL("id=");

	if (slice_starts_with(args, prefix)
			&& item_resource((struct slice){ args.ptr + prefix.len, args.len - prefix.len }, out)) {
		out->canonical = true;
		return true;
	}
	/* Another spelling of an id the workers know: not cached, but its answers still raise the slot. */
	struct query_string query;
	out->canonical = false;
	return query_string_parse(args, &query) == QUERY_STRING_OK && query.count == 1
	       && slice_equal(query.params[0].name, SLICE_LITERAL("id")) && item_resource(query.params[0].value, out);
}

struct search {
	struct slice topic;
	uint64_t after;
	uint64_t limit;
};

/* Each parameter at most once, topic at least once, none else: a bit of `seen` for each. */
static bool parse_search(const struct query_string *query, struct search *out)
{
	unsigned seen = 0;
	*out = (struct search){ .after = 0, .limit = PAGE_DEFAULT };

	for (size_t i = 0; i < query->count; i++) {
		const struct query_param *param = &query->params[i];
		unsigned bit;
		bool valid;
		if (slice_equal(param->name, SLICE_LITERAL("topic"))) {
			bit = 1;
			out->topic = param->value;
			valid = param->value.len > 0 && param->value.len <= TOPIC_MAX_BYTES;
		} else if (slice_equal(param->name, SLICE_LITERAL("after"))) {
			bit = 2;
			valid = parse_number(param->value, &out->after);
		} else if (slice_equal(param->name, SLICE_LITERAL("limit"))) {
			bit = 4;
			valid = parse_number(param->value, &out->limit) && out->limit >= 1 && out->limit <= PAGE_MAX;
		} else {
			return false;
		}
		if (!valid || (seen & bit) != 0)
			return false;
		seen |= bit;
	}
	return (seen & 1) != 0;
}

static bool search_resource(struct slice args, struct resource *out)
{
	struct query_string query;
	struct search search;

	if (query_string_parse(args, &query) != QUERY_STRING_OK || !parse_search(&query, &search))
		return false;
	char *to = put_encoded(PUT_LITERAL(out->text, "topic:"), search.topic);
	to = put_number(PUT_LITERAL(to, "?after="), search.after);
	to = put_number(PUT_LITERAL(to, "&limit="), search.limit);
	out->len = (size_t)(to - out->text);
	out->slot = slot_of_topic(search.topic);
	out->canonical = true;
	return true;
}

static bool find_resource(enum cache_route route, struct slice args, struct resource *out)
{
	return route == CACHE_ROUTE_LOOKUP ? lookup_resource(args, out) : search_resource(args, out);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static char *put_head(char *to, const struct coherence_table *table, uint32_t slot, uint64_t revision, uint32_t era)
{
	to = PUT_LITERAL(put_number(to, slot), "@");
	to = PUT_LITERAL(put_number(to, revision), "#");
	to = PUT_LITERAL(put(to, coherence_table_nonce(table), COHERENCE_NONCE_HEX_LEN), ".");
	return PUT_LITERAL(put_number(to, era), "/");
}

size_t cache_key_write(const struct coherence_table *table, enum cache_route route, struct slice args, int64_t now_ms,
	int64_t lease_ms, char *key)
{
	struct resource resource;
	struct coherence_view view;

	if (!find_resource(route, args, &resource) || !resource.canonical)
		return 0;
	coherence_table_view(table, resource.slot, now_ms, lease_ms, &view);
	if (!view.leased)
		return 0;
	char *to = put_head(key, table, resource.slot, view.revision, view.era);
	return (size_t)(put(to, resource.text, resource.len) - key);
}

size_t cache_key_write_tag(const struct coherence_table *table, enum cache_route route, struct slice args, char *key)
{
	struct resource resource;
	struct coherence_view view;

	if (!find_resource(route, args, &resource))
		return 0;
	coherence_table_view(table, resource.slot, 0, 0, &view);
	return (size_t)(put_head(key, table, resource.slot, 0, view.era) - key);
}

/* Takes the number before `stop` off the front of text. */
static bool take_number(struct slice *text, char stop, uint64_t *number)
{
	const char *end = text->len == 0 ? NULL : memchr(text->ptr, stop, text->len);
	if (end == NULL || !parse_number((struct slice){ text->ptr, (size_t)(end - text->ptr) }, number))
		return false;
	text->len -= (size_t)(end + 1 - text->ptr);
	text->ptr = end + 1;
	return true;
}

bool cache_key_raise(struct coherence_table *table, struct slice key, struct slice changed, int64_t now_ms)
{
	uint64_t slot, key_revision, era, revision;
	struct slice nonce = { coherence_table_nonce(table), COHERENCE_NONCE_HEX_LEN };

	if (!take_number(&key, '@', &slot) || !take_number(&key, '#', &key_revision) || !slice_starts_with(key, nonce))
		return false;
	key.ptr += nonce.len;
	key.len -= nonce.len;
	if (key.len == 0 || key.ptr[0] != '.')
		return false;
	key.ptr++;
	key.len--;
	if (!take_number(&key, '/', &era) || !parse_number(changed, &revision))
		return false;
	if (slot >= SLOT_COUNT || era >= COHERENCE_ERAS_MAX || revision > COHERENCE_REVISION_MAX)
		return false;
	if (revision > key_revision)
		coherence_table_raise(table, (uint32_t)era, (uint32_t)slot, revision, now_ms);
	return true;
}
