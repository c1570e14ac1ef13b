/*
 * changes: writes and parses the texts of changes.h.
 *
 * Parsing is two passes of one scanner: the first with no visitor proves the text sound, the second hands the pairs
 * out. So a text that breaks off in the middle changes nothing, and no memory is needed to remember the pairs.
 */
#include "db/changes.h"

#include <inttypes.h>
#include <stdio.h>

#include "db/limits.h"

static const char *const kind_names[] = { "push", "delta", "reset", "fenced" };

#define KIND_COUNT (sizeof kind_names / sizeof kind_names[0])
#define MAGIC "pygmy-changes 1 "

/* ---- writing -------------------------------------------------------------------------------- */

size_t changes_write_head(const struct changes_head *head, char *buf, size_t buf_size)
{
	int len = snprintf(buf, buf_size, MAGIC "%s %s %" PRIu64 "\n", head->log_id, kind_names[head->kind],
	                   head->position);
	return len < 0 || (size_t)len >= buf_size ? 0 : (size_t)len;
}

size_t changes_write_line(uint64_t revision, const uint32_t *slots, size_t slot_count, char *buf, size_t buf_size)
{
	if (slot_count == 0 || slot_count > CHANGES_LINE_SLOTS_MAX)
		return 0;
	int len = snprintf(buf, buf_size, "%" PRIu64, revision);
	if (len < 0 || (size_t)len >= buf_size)
		return 0;
	size_t used = (size_t)len;
	for (size_t i = 0; i < slot_count; i++) {
		len = snprintf(buf + used, buf_size - used, " %" PRIu32, slots[i]);
		if (len < 0 || (size_t)len >= buf_size - used)
			return 0;
		used += (size_t)len;
	}
	if (used + 1 > buf_size)
		return 0;
	buf[used++] = '\n';
	return used;
}

/* ---- parsing -------------------------------------------------------------------------------- */

struct scanner {
	const char *at;
	const char *end;
};

static bool take_char(struct scanner *in, char c)
{
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

static bool take_text(struct scanner *in, struct slice text)
{
	if (!slice_starts_with((struct slice){ in->at, (size_t)(in->end - in->at) }, text))
		return false;
	in->at += text.len;
	return true;
}

/* Decimal digits without leading zeros that fit into 64 bits. */
static bool take_number(struct scanner *in, uint64_t *out)
{
	const char *start = in->at;
	uint64_t value = 0;

	while (in->at < in->end && *in->at >= '0' && *in->at <= '9') {
		unsigned digit = (unsigned)(*in->at - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
		in->at++;
	}
	if (in->at == start || (*start == '0' && in->at - start > 1))
		return false;
	*out = value;
	return true;
}

static bool take_log_id(struct scanner *in, char out[LOG_ID_HEX_LEN + 1])
{
	if (in->end - in->at < LOG_ID_HEX_LEN)
		return false;
	for (size_t i = 0; i < LOG_ID_HEX_LEN; i++) {
		char c = in->at[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		out[i] = c;
	}
	out[LOG_ID_HEX_LEN] = '\0';
	in->at += LOG_ID_HEX_LEN;
	return true;
}

static bool take_kind(struct scanner *in, enum changes_kind *out)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (take_text(in, slice_of(kind_names[i]))) {
			*out = (enum changes_kind)i;
			return true;
		}
	}
	return false;
}

static bool take_head(struct scanner *in, struct changes_head *head)
{
	return take_text(in, SLICE_LITERAL(MAGIC)) && take_log_id(in, head->log_id) && take_char(in, ' ')
	       && take_kind(in, &head->kind) && take_char(in, ' ') && take_number(in, &head->position)
	       && take_char(in, '\n');
}

/* One line. A revision past the position would make frontends ask for what no worker has. */
static bool take_line(struct scanner *in, uint64_t position, changes_visit visit, void *context)
{
	uint64_t revision;
	if (!take_number(in, &revision) || revision > position)
		return false;

	size_t count = 0;
	while (take_char(in, ' ')) {
		uint64_t slot;
		if (!take_number(in, &slot) || slot >= SLOT_COUNT || ++count > CHANGES_LINE_SLOTS_MAX)
			return false;
		if (visit != NULL)
			visit(context, (uint32_t)slot, revision);
	}
	return count > 0 && take_char(in, '\n');
}

static bool take_lines(struct scanner in, uint64_t position, changes_visit visit, void *context)
{
	while (in.at < in.end) {
		if (!take_line(&in, position, visit, context))
			return false;
	}
	return true;
}

bool changes_parse(struct slice text, struct changes_head *head, changes_visit visit, void *context)
{
	struct scanner in = { text.ptr, text.ptr + text.len };

	if (text.len == 0 || text.len > CHANGES_TEXT_MAX_BYTES || !take_head(&in, head))
		return false;
	if (!take_lines(in, head->position, NULL, NULL) || (head->kind == CHANGES_FENCED && in.at < in.end))
		return false;
	return visit == NULL || take_lines(in, head->position, visit, context);
}
