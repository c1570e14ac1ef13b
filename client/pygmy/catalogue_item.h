/*
 * catalogue_item: one item as the catalogue file and the store's answers hold it.
 */
#ifndef PYGMY_CLIENT_CATALOGUE_ITEM_H
#define PYGMY_CLIENT_CATALOGUE_ITEM_H

#include <jansson.h>
#include <stdint.h>

#include "client/pygmy/text.h"

#define CATALOGUE_ITEM_ERROR_MAX_BYTES 160

struct catalogue_item {
	int64_t id;                   /* 1 to ID_MAX */
	const char *title, *topic;    /* borrowed from the JSON value */
	size_t title_len, topic_len;
	int64_t cost_minor;
	int64_t count;
};

#define CATALOGUE_ITEM_FIELDS 5

/* Checks all five fields, ignores others. Errors: false and a sentence. */
bool catalogue_item_from_json(const json_t *object, struct catalogue_item *out, char error[CATALOGUE_ITEM_ERROR_MAX_BYTES]);

/* Appends a JSON object without a line end: fields in the order of the catalogue file. Errors: false, as text_append. */
bool catalogue_item_append_json(struct text *out, const struct catalogue_item *item);

/* Appends a JSON string with its quotes. Errors: false, also when the bytes are no UTF-8. */
bool json_append_string(struct text *out, const char *bytes, size_t len);

#endif
