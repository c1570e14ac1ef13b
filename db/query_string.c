/*
 * query_string: the one decoder of parameters. See query_string.h.
 *
 * One pass over the text. The decoded bytes never outgrow the text, so the buffer of QUERY_STRING_MAX_BYTES
 * suffices once the length of the text was checked. Pairs are split before they are decoded: an encoded `&` or `=` is data.
 */
#include "db/query_string.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes bytes to *to and moves it on. */
static enum query_string_error decode(struct slice bytes, char **to, struct slice *out)
{
	char *start = *to;
	char *end = start;

	for (size_t i = 0; i < bytes.len; i++) {
		char c = bytes.ptr[i];
		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			if (bytes.len - i < 3)
				return QUERY_STRING_BAD_ENCODING;
			int high = hex_value(bytes.ptr[i + 1]);
			int low = hex_value(bytes.ptr[i + 2]);
			if (high < 0 || low < 0)
				return QUERY_STRING_BAD_ENCODING;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0')
			return QUERY_STRING_BAD_ENCODING;
		*end++ = c;
	}
	*out = (struct slice){ start, (size_t)(end - start) };
	*to = end;
	return utf8_is_valid(*out) ? QUERY_STRING_OK : QUERY_STRING_BAD_UTF8;
}

static enum query_string_error decode_pair(struct slice pair, char **to, struct query_param *out)
{
	struct slice name = pair;
	struct slice value = { pair.ptr + pair.len, 0 };

	const char *equals = memchr(pair.ptr, '=', pair.len);
	if (equals != NULL) {
		name.len = (size_t)(equals - pair.ptr);
		value.ptr = equals + 1;
		value.len = pair.len - name.len - 1;
	}
	if (name.len == 0)
		return QUERY_STRING_EMPTY_PAIR;
	enum query_string_error error = decode(name, to, &out->name);
	if (error == QUERY_STRING_OK)
		error = decode(value, to, &out->value);
	return error;
}

enum query_string_error query_string_parse(struct slice text, struct query_string *out)
{
	out->count = 0;
	if (text.len == 0)
		return QUERY_STRING_OK;
	if (text.len > QUERY_STRING_MAX_BYTES)
		return QUERY_STRING_TOO_LONG;

	char *to = out->decoded;
	const char *end = text.ptr + text.len;
	for (const char *at = text.ptr;; at++) {
		const char *stop = memchr(at, '&', (size_t)(end - at));
		if (stop == NULL)
			stop = end;
		if (stop == at)
			return QUERY_STRING_EMPTY_PAIR;
		if (out->count == QUERY_PARAMS_MAX)
			return QUERY_STRING_TOO_MANY;
		struct slice pair = { at, (size_t)(stop - at) };
		enum query_string_error error = decode_pair(pair, &to, &out->params[out->count]);
		if (error != QUERY_STRING_OK)
			return error;
		out->count++;
		if (stop == end)
			return QUERY_STRING_OK;
		at = stop;
	}
}

/* The length of the well-formed sequence at the start of bytes; 0 when there is none. The table of RFC 3629, section 4. */
static size_t utf8_sequence_len(struct slice bytes)
{
	const unsigned char *at = (const unsigned char *)bytes.ptr;
	unsigned char lowest = 0x80;       /* of the second byte */
	unsigned char highest = 0xbf;
	size_t len;

	if (at[0] < 0x80)
		return 1;
	if (at[0] >= 0xc2 && at[0] <= 0xdf) {
		len = 2;
	} else if (at[0] >= 0xe0 && at[0] <= 0xef) {
		len = 3;
		if (at[0] == 0xe0)
			lowest = 0xa0;     /* below: overlong */
		if (at[0] == 0xed)
			highest = 0x9f;    /* above: surrogates */
	} else if (at[0] >= 0xf0 && at[0] <= 0xf4) {
		len = 4;
		if (at[0] == 0xf0)
			lowest = 0x90;     /* below: overlong */
		if (at[0] == 0xf4)
			highest = 0x8f;    /* above: past U+10FFFF */
	} else {
		return 0;
	}
	if (bytes.len < len || at[1] < lowest || at[1] > highest)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool utf8_is_valid(struct slice bytes)
{
	while (bytes.len > 0) {
		size_t len = utf8_sequence_len(bytes);
		if (len == 0)
			return false;
		bytes.ptr += len;
		bytes.len -= len;
	}
	return true;
}
