/* command: what is decoded keeps every limit, and is encoded to the very bytes it was read from. */
#include <stdint.h>
#include <stdlib.h>

#include "db/cluster.h"
#include "db/command.h"
#include "db/limits.h"
#include "db/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_item(const struct item *item, bool with_id)
{
	check(with_id ? item->id >= 1 && item->id <= ID_MAX : item->id == 0);
	check(item->title.len >= 1 && item->title.len <= TITLE_MAX_BYTES);
	check(item->topic.len >= 1 && item->topic.len <= TOPIC_MAX_BYTES);
	check(item->cost_minor >= 0 && item->cost_minor <= COST_MAX_MINOR);
	check(item->count >= 0 && item->count <= COUNT_MAX);
}

static void check_update(const struct item_update_command *update)
{
	check(update->item_id >= 1 && update->item_id <= ID_MAX);
	check(update->has_cost || update->has_count || update->has_delta);
	check(!(update->has_count && update->has_delta));
	check(update->cost_minor >= 0 && update->cost_minor <= COST_MAX_MINOR);
	check(update->count >= 0 && update->count <= COUNT_MAX);
	check(update->delta >= -COUNT_MAX && update->delta <= COUNT_MAX);
}

static void check_member(struct slice name, struct slice url)
{
	check(name.len >= 1 && name.len <= NODE_NAME_MAX_BYTES);
	check(url.len >= 1 && url.len <= NODE_URL_MAX_BYTES);
}

static void check_limits(const struct command *command)
{
	check(command->request_key.len >= 1 && command->request_key.len <= SCOPED_KEY_MAX_BYTES);
	check(command->time_ms >= 0);
	switch (command->type) {
	case COMMAND_BUY:
		check(command->buy.item_id >= 1 && command->buy.item_id <= ID_MAX);
		check(command->buy.quantity >= 1 && command->buy.quantity <= QUANTITY_MAX);
		return;
	case COMMAND_ITEM_CREATE:
		check_item(&command->item_create.item, false);
		return;
	case COMMAND_ITEM_UPDATE:
		check_update(&command->item_update);
		return;
	case COMMAND_ITEM_DELETE:
		check(command->item_delete.item_id >= 1 && command->item_delete.item_id <= ID_MAX);
		return;
	case COMMAND_IMPORT:
		check(command->import.item_count <= IMPORT_ITEMS_MAX);
		for (uint64_t i = 0; i < command->import.item_count; i++)
			check_item(&command->import.items[i], true);
		return;
	case COMMAND_GENESIS:
		check(command->genesis.base_index < INT64_MAX && command->genesis.chain.len == CHAIN_BYTES);
		return;
	case COMMAND_MEMBER_SET:
		check_member(command->member_set.name, command->member_set.catalog_url);
		check_member(command->member_set.name, command->member_set.order_url);
		return;
	case COMMAND_MEMBER_REMOVE:
		check_member(command->member_remove.name, SLICE_LITERAL("x"));
		return;
	case COMMAND_AUDIT:
		check(command->audit.rows >= 1 && command->audit.rows <= AUDIT_ROWS_MAX);
		return;
	}
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size };
	struct command command;
	struct arena arena;
	arena_init(&arena, (size_t)16 * 1024 * 1024);
	while (rest.len > 0) {
		struct slice before = rest;
		if (command_decode(&rest, &arena, &command) != COMMAND_OK)
			break;
		check_limits(&command);
		struct slice again = command_encode(&command, &arena);
		check(again.ptr != NULL && again.len == before.len - rest.len && memcmp(again.ptr, before.ptr, again.len) == 0);
	}
	arena_close(&arena);
	return 0;
}
