/* etag: see etag.h. */
#include "fcgi/common/etag.h"

#include "db/limits.h"

static struct slice trimmed(struct slice text)
{
	while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text = (struct slice){ text.ptr + 1, text.len - 1 };
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* Takes one entity tag from the front of rest, and the comma behind it. */
static bool next_tag(struct slice *rest, struct slice *opaque, bool *weak)
{
	struct slice text = trimmed(*rest);
	*weak = slice_starts_with(text, SLICE_LITERAL("W/"));
	if (*weak)
		text = (struct slice){ text.ptr + 2, text.len - 2 };
	if (text.len < 2 || text.ptr[0] != '"')
		return false;
	const char *end = memchr(text.ptr + 1, '"', text.len - 1);
	if (end == NULL)
		return false;
	*opaque = (struct slice){ text.ptr + 1, (size_t)(end - text.ptr) - 1 };
	text = trimmed((struct slice){ end + 1, text.len - opaque->len - 2 });
	if (text.len > 0 && text.ptr[0] != ',')
		return false;
	if (text.len > 0)
		text = trimmed((struct slice){ text.ptr + 1, text.len - 1 });
	*rest = text;
	return true;
}

/* Whether the list of tags is `*` or has this one, and is well-formed. */
static bool list_names(struct slice header, const char tag[ETAG_HEX_LEN + 1], bool weak_too)
{
	if (header.len == 0 || header.len > IF_NONE_MATCH_MAX_BYTES)
		return false;
	if (slice_equal(trimmed(header), SLICE_LITERAL("*")))
		return true;
	bool found = false;
	while (header.len > 0) {
		struct slice opaque;
		bool weak;
		if (!next_tag(&header, &opaque, &weak))
			return false;
		found = found || ((weak_too || !weak) && slice_equal(opaque, (struct slice){ tag, ETAG_HEX_LEN }));
	}
	return found;
}

bool if_none_match_names(struct slice header, const char tag[ETAG_HEX_LEN + 1])
{
	return list_names(header, tag, true);
}

bool if_match_allows(struct slice header, const char tag[ETAG_HEX_LEN + 1])
{
	return header.ptr == NULL || list_names(header, tag, false);
}

static bool is_own_form(struct slice opaque)
{
	if (opaque.len != ETAG_HEX_LEN)
		return false;
	for (size_t i = 0; i < opaque.len; i++)
		if (!((opaque.ptr[i] >= '0' && opaque.ptr[i] <= '9') || (opaque.ptr[i] >= 'a' && opaque.ptr[i] <= 'f')))
			return false;
	return true;
}

bool if_match_parse(struct slice header, struct slice *tag, struct refusal *refusal)
{
	*tag = SLICE_EMPTY;
	if (header.ptr == NULL)
		return true;
	struct slice rest = trimmed(header);
	if (slice_equal(rest, SLICE_LITERAL("*"))) {
		*tag = rest;
		return true;
	}
	bool weak;
	if (!next_tag(&rest, tag, &weak) || rest.len > 0)
		return refuse(refusal, PYGMY_INVALID_HEADER, "The header If-Match takes one entity tag in double quotes, or *.");
	if (weak || !is_own_form(*tag))
		return refuse(refusal, PYGMY_PRECONDITION_FAILED, NULL);
	return true;
}
