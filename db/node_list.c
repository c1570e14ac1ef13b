/* node_list: see node_list.h. */
#include "db/node_list.h"

#include <inttypes.h>
#include <stdio.h>

#include "db/member.h"

#define MAGIC "pygmy-nodes 1 "

static bool entry_is_valid(const struct node_list_entry *entry)
{
	return node_name_is_valid(slice_of(entry->name)) && node_url_is_valid(slice_of(entry->catalog_url)) &&
	       node_url_is_valid(slice_of(entry->order_url));
}

size_t node_list_write(const struct node_list *list, char *buf, size_t buf_size)
{
	int len = snprintf(buf, buf_size, MAGIC "%s %" PRIu64 "\n", list->log_id, list->revision);
	size_t used = len < 0 ? buf_size : (size_t)len;
	if (list->count == 0 || list->count > MEMBERS_MAX)
		return 0;
	for (uint32_t i = 0; i < list->count && used < buf_size; i++) {
		const struct node_list_entry *entry = &list->nodes[i];
		if (!entry_is_valid(entry) || (i > 0 && strcmp(list->nodes[i - 1].name, entry->name) >= 0))
			return 0;
		len = snprintf(buf + used, buf_size - used, "%s %s %s\n", entry->name, entry->catalog_url, entry->order_url);
		used += len < 0 ? buf_size - used : (size_t)len;
	}
	return used >= buf_size ? 0 : used;
}

/* ---- parsing -------------------------------------------------------------------------------- */

/* Takes what stands before the delimiter off the text, and the delimiter. False when there is none, or nothing before it. */
static bool take_word(struct slice *text, char delimiter, struct slice *word)
{
	const char *end = text->len == 0 ? NULL : memchr(text->ptr, delimiter, text->len);
	if (end == NULL || end == text->ptr)
		return false;
	*word = (struct slice){ text->ptr, (size_t)(end - text->ptr) };
	text->ptr = end + 1;
	text->len -= word->len + 1;
	return true;
}

static bool copy_word(struct slice word, char *out, size_t size)
{
	if (word.len >= size || memchr(word.ptr, '\0', word.len) != NULL)
		return false;
	memcpy(out, word.ptr, word.len);
	out[word.len] = '\0';
	return true;
}

static bool read_number(struct slice word, uint64_t *out)
{
	uint64_t value = 0;
	if (word.len > 1 && word.ptr[0] == '0')
		return false;
	for (size_t i = 0; i < word.len; i++) {
		unsigned digit = (unsigned)((unsigned char)word.ptr[i] - '0');
		if (digit > 9 || value > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

static bool take_head(struct slice *text, struct node_list *out)
{
	struct slice log_id, revision;
	if (!slice_starts_with(*text, SLICE_LITERAL(MAGIC)))
		return false;
	text->ptr += sizeof MAGIC - 1;
	text->len -= sizeof MAGIC - 1;
	if (!take_word(text, ' ', &log_id) || log_id.len != LOG_ID_HEX_LEN || !copy_word(log_id, out->log_id, sizeof out->log_id))
		return false;
	return strspn(out->log_id, "0123456789abcdef") == LOG_ID_HEX_LEN && take_word(text, '\n', &revision) && read_number(revision, &out->revision);
}

static bool take_entry(struct slice *text, struct node_list_entry *entry)
{
	struct slice name, catalog, order;
	return take_word(text, ' ', &name) && take_word(text, ' ', &catalog) && take_word(text, '\n', &order) &&
	       copy_word(name, entry->name, sizeof entry->name) && copy_word(catalog, entry->catalog_url, sizeof entry->catalog_url) &&
	       copy_word(order, entry->order_url, sizeof entry->order_url) && entry_is_valid(entry);
}

bool node_list_parse(struct slice text, struct node_list *out)
{
	memset(out, 0, sizeof *out);
	if (text.len > NODE_LIST_TEXT_MAX_BYTES || !take_head(&text, out))
		return false;
	while (text.len > 0) {
		struct node_list_entry *entry = &out->nodes[out->count];
		if (out->count == MEMBERS_MAX || !take_entry(&text, entry) || (out->count > 0 && strcmp(entry[-1].name, entry->name) >= 0))
			return false;
		out->count++;
	}
	return out->count > 0;
}
