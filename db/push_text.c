/* push_text: see push_text.h. */
#include "db/push_text.h"

#include <stdlib.h>

#include "db/changes.h"
#include "db/limits.h"

#define PUSH_PAIRS_MAX 4096
#define PAIR_TEXT_BYTES 28            /* a line of its own: revision, slot and two separators */
#define TEXT_BYTES (128 + PUSH_PAIRS_MAX * PAIR_TEXT_BYTES)

struct pair {
	uint64_t revision;
	uint32_t slot;
};

struct push_text {
	char log_id[LOG_ID_HEX_LEN + 1];
	uint64_t position;            /* the highest revision */
	bool all;
	size_t count;
	struct pair pairs[PUSH_PAIRS_MAX];
	char buf[TEXT_BYTES];
};

struct push_text *push_text_create(const char *log_id)
{
	struct push_text *text = calloc(1, sizeof *text);
	if (text != NULL)
		push_text_set_log(text, log_id);
	return text;
}

void push_text_set_log(struct push_text *text, const char *log_id)
{
	memcpy(text->log_id, log_id, LOG_ID_HEX_LEN);
}

void push_text_destroy(struct push_text *text)
{
	free(text);
}

void push_text_clear(struct push_text *text)
{
	text->position = 0;
	text->all = false;
	text->count = 0;
}

bool push_text_is_empty(const struct push_text *text)
{
	return text->count == 0 && !text->all;
}

void push_text_add(struct push_text *text, const struct result *result)
{
	if (result->slot_count == 0)
		return;
	if (result->revision > text->position)
		text->position = result->revision;
	if (result->slot_count == SLOTS_ALL_CHANGED || result->slot_count > PUSH_PAIRS_MAX - text->count) {
		text->all = true;
		return;
	}
	for (uint32_t i = 0; i < result->slot_count; i++)
		text->pairs[text->count++] = (struct pair){ result->revision, result->slots[i] };
}

/* By slot, the highest revision first. */
static int by_slot(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	return x->revision == y->revision ? 0 : x->revision > y->revision ? -1 : 1;
}

static int by_revision(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	if (x->revision != y->revision)
		return x->revision < y->revision ? -1 : 1;
	return x->slot == y->slot ? 0 : x->slot < y->slot ? -1 : 1;
}

static void keep_highest(struct push_text *text)
{
	size_t kept = 0;
	qsort(text->pairs, text->count, sizeof text->pairs[0], by_slot);
	for (size_t i = 0; i < text->count; i++)
		if (kept == 0 || text->pairs[kept - 1].slot != text->pairs[i].slot)
			text->pairs[kept++] = text->pairs[i];
	text->count = kept;
}

static size_t write_lines(struct push_text *text, size_t len)
{
	uint32_t slots[CHANGES_LINE_SLOTS_MAX];
	qsort(text->pairs, text->count, sizeof text->pairs[0], by_revision);
	for (size_t i = 0; i < text->count;) {
		uint64_t revision = text->pairs[i].revision;
		size_t n = 0;
		while (i < text->count && text->pairs[i].revision == revision && n < CHANGES_LINE_SLOTS_MAX)
			slots[n++] = text->pairs[i++].slot;
		len += changes_write_line(revision, slots, n, text->buf + len, TEXT_BYTES - len);
	}
	return len;
}

struct slice push_text_render(struct push_text *text)
{
	struct changes_head head = { .kind = text->all ? CHANGES_RESET : CHANGES_PUSH, .position = text->position };
	memcpy(head.log_id, text->log_id, sizeof head.log_id);
	size_t len = changes_write_head(&head, text->buf, TEXT_BYTES);
	if (!text->all) {
		keep_highest(text);
		len = write_lines(text, len);
	}
	return (struct slice){ text->buf, len };
}
