/*
 * item_import: many items in one request, with ids of their own, applied all or none.
 *
 * An item that exists is overwritten; what is not named stays ("replace": false, which may be left out, is all there is).
 */
#include <stdio.h>
#include <stdlib.h>

#include "fcgi/catalog/catalog.h"
#include "fcgi/common/write.h"

enum { IMPORT_ITEMS, IMPORT_REPLACE, IMPORT_FIELDS };

static const struct body_field import_fields[IMPORT_FIELDS] = {
	[IMPORT_ITEMS] = { .name = "items", .type = BODY_LIST, .required = true },
	[IMPORT_REPLACE] = { .name = "replace", .type = BODY_BOOL },
};

enum { ITEM_COST, ITEM_COUNT, ITEM_ID, ITEM_TITLE, ITEM_TOPIC, ITEM_FIELDS };

static const struct body_field item_fields[ITEM_FIELDS] = {
	[ITEM_COST] = { .name = "cost", .type = BODY_MONEY, .required = true },
	[ITEM_COUNT] = { .name = "count", .type = BODY_INT, .required = true, .min = 0, .max = COUNT_MAX },
	[ITEM_ID] = { .name = "id", .type = BODY_INT, .required = true, .min = 1, .max = ID_MAX },
	[ITEM_TITLE] = { .name = "title", .type = BODY_TEXT, .required = true, .max = TITLE_MAX_BYTES },
	[ITEM_TOPIC] = { .name = "topic", .type = BODY_TEXT, .required = true, .max = TOPIC_MAX_BYTES },
};

static bool read_items(const json_t *list, struct item *items, struct refusal *refusal)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct body_value values[ITEM_FIELDS];
		char where[32];
		snprintf(where, sizeof where, "items[%zu].", i);
		if (!body_read(json_array_get(list, i), where, item_fields, ITEM_FIELDS, values, refusal))
			return false;
		items[i] = (struct item){ .id = values[ITEM_ID].number, .title = values[ITEM_TITLE].text, .topic = values[ITEM_TOPIC].text,
			.cost_minor = values[ITEM_COST].number, .count = values[ITEM_COUNT].number };
	}
	return true;
}

static int compare_ids(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

/* An id that comes twice is a mistake of whoever made the list. */
static bool ids_are_unique(struct arena *arena, const struct item *items, size_t count, struct refusal *refusal)
{
	int64_t *ids = arena_take(arena, count * sizeof *ids);
	if (ids == NULL)
		return refuse(refusal, PYGMY_OUT_OF_MEMORY, NULL);
	for (size_t i = 0; i < count; i++)
		ids[i] = items[i].id;
	qsort(ids, count, sizeof *ids, compare_ids);
	for (size_t i = 1; i < count; i++)
		if (ids[i] == ids[i - 1])
			return refuse(refusal, PYGMY_INVALID_FIELD, "The id %lld is given to more than one item.", (long long)ids[i]);
	return true;
}

static bool read_import(struct exchange *exchange, struct import_command *import, struct refusal *refusal)
{
	struct body_value values[IMPORT_FIELDS];
	if (!body_read(exchange->document, "", import_fields, IMPORT_FIELDS, values, refusal))
		return false;
	if (values[IMPORT_REPLACE].number != 0)
		return refuse(refusal, PYGMY_INVALID_FIELD, "The field replace must be false: items that are not in the list stay.");
	size_t count = json_array_size(values[IMPORT_ITEMS].list);
	if (count < 1 || count > IMPORT_ITEMS_MAX)
		return refuse(refusal, PYGMY_INVALID_FIELD, "The field items must have 1 to %d items.", IMPORT_ITEMS_MAX);
	struct item *items = arena_take(&exchange->arena, count * sizeof *items);
	if (items == NULL)
		return refuse(refusal, PYGMY_OUT_OF_MEMORY, NULL);
	import->item_count = count;
	import->items = items;
	return read_items(values[IMPORT_ITEMS].list, items, refusal) && ids_are_unique(&exchange->arena, items, count, refusal);
}

void item_import(struct exchange *exchange)
{
	struct command command = { .type = COMMAND_IMPORT };
	struct refusal refusal;
	struct result result;
	if (!read_import(exchange, &command.import, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	if (!write_prepare(exchange, KEY_SCOPE_IMPORT, false, &command))
		return;
	enum pygmy_error error = write_propose(exchange, &command, &result);
	if (error != PYGMY_OK) {
		write_fail(exchange, error);
		return;
	}
	exchange_succeed_empty_item(exchange, 201, arena_printf(&exchange->arena, "%lld items imported", (long long)result.quantity));
}
