/* command: encoder and decoder of the wire format in command.h. */
#include "db/command.h"

#include <sodium.h>

#include "db/cluster.h"
#include "db/codec.h"
#include "db/limits.h"
#include "db/query_string.h"
#include "db/schema.h"

enum update_flag { FLAG_COST = 1, FLAG_COUNT = 2, FLAG_DELTA = 4, FLAG_IF_MATCH = 8 };
enum import_flag { FLAG_FIRST_CATALOGUE = 1, FLAG_LAST_PART = 2 };

#define HEAD_MAX_BYTES (SCOPED_KEY_MAX_BYTES + 4 * VARINT_MAX_BYTES)
#define ITEM_MAX_BYTES (TITLE_MAX_BYTES + TOPIC_MAX_BYTES + 6 * VARINT_MAX_BYTES)

bool command_is_recorded(const struct command *command)
{
	return command->type != COMMAND_AUDIT;
}

/* ---- encoding -------------------------------------------------------------------------------------- */

static void put_item(struct codec_writer *writer, const struct item *item, bool with_id)
{
	if (with_id)
		codec_put_int(writer, item->id);
	codec_put_text(writer, item->title);
	codec_put_text(writer, item->topic);
	codec_put_int(writer, item->cost_minor);
	codec_put_int(writer, item->count);
}

static void put_update(struct codec_writer *writer, const struct item_update_command *update)
{
	codec_put_int(writer, update->item_id);
	codec_put_uint(writer, (update->has_cost ? FLAG_COST : 0u) | (update->has_count ? FLAG_COUNT : 0u) |
				       (update->has_delta ? FLAG_DELTA : 0u) | (update->if_match.len > 0 ? FLAG_IF_MATCH : 0u));
	if (update->has_cost)
		codec_put_int(writer, update->cost_minor);
	if (update->has_count)
		codec_put_int(writer, update->count);
	if (update->has_delta)
		codec_put_int(writer, update->delta);
	if (update->if_match.len > 0)
		codec_put_text(writer, update->if_match);
}

static void put_import(struct codec_writer *writer, const struct import_command *import)
{
	codec_put_uint(writer, (import->first_catalogue ? FLAG_FIRST_CATALOGUE : 0u) | (import->last_part ? FLAG_LAST_PART : 0u));
	codec_put_uint(writer, import->item_count);
	for (uint64_t i = 0; i < import->item_count; i++)
		put_item(writer, &import->items[i], true);
}

static void put_payload(struct codec_writer *writer, const struct command *command)
{
	switch (command->type) {
	case COMMAND_BUY:
		codec_put_int(writer, command->buy.item_id);
		codec_put_int(writer, command->buy.quantity);
		return;
	case COMMAND_ITEM_CREATE:
		put_item(writer, &command->item_create.item, false);
		return;
	case COMMAND_ITEM_UPDATE:
		put_update(writer, &command->item_update);
		return;
	case COMMAND_ITEM_DELETE:
		codec_put_int(writer, command->item_delete.item_id);
		codec_put_uint(writer, command->item_delete.if_match.len > 0 ? FLAG_IF_MATCH : 0u);
		if (command->item_delete.if_match.len > 0)
			codec_put_text(writer, command->item_delete.if_match);
		return;
	case COMMAND_IMPORT:
		put_import(writer, &command->import);
		return;
	case COMMAND_GENESIS:
		codec_put_uint(writer, command->genesis.base_index);
		codec_put_text(writer, command->genesis.chain);
		return;
	case COMMAND_MEMBER_SET:
		codec_put_text(writer, command->member_set.name);
		codec_put_text(writer, command->member_set.catalog_url);
		codec_put_text(writer, command->member_set.order_url);
		return;
	case COMMAND_MEMBER_REMOVE:
		codec_put_text(writer, command->member_remove.name);
		return;
	case COMMAND_AUDIT:
		codec_put_int(writer, command->audit.rows);
		return;
	}
	writer->ok = false;
}

/* An upper bound of what put_payload writes. */
static size_t payload_bound(const struct command *command)
{
	if (command->type != COMMAND_IMPORT)
		return ITEM_MAX_BYTES + ETAG_HEX_LEN;
	size_t bound = 2 * VARINT_MAX_BYTES;
	for (uint64_t i = 0; i < command->import.item_count; i++)
		bound += command->import.items[i].title.len + command->import.items[i].topic.len + 6 * VARINT_MAX_BYTES;
	return bound;
}

bool command_encode_parts(const struct command *command, struct arena *arena, struct command_parts *out)
{
	size_t size = HEAD_MAX_BYTES + payload_bound(command);
	char *buf = arena_take(arena, size);
	if (buf == NULL)
		return false;
	struct codec_writer writer = codec_writer(buf, size);
	codec_put_uint(&writer, (uint64_t)command->type);
	codec_put_text(&writer, command->request_key);
	codec_put_int(&writer, command->time_ms);
	size_t head_len = writer.len;
	put_payload(&writer, command);
	*out = (struct command_parts){ { buf, head_len }, { buf + head_len, writer.len - head_len } };
	return writer.ok;
}

size_t command_join(const struct command_parts *parts, uint64_t base_index, char *out)
{
	struct codec_writer writer = codec_writer(out, command_join_max(parts));
	codec_put_bytes(&writer, parts->head.ptr, parts->head.len);
	codec_put_uint(&writer, base_index);
	codec_put_bytes(&writer, parts->payload.ptr, parts->payload.len);
	return writer.len;
}

size_t command_join_max(const struct command_parts *parts)
{
	return parts->head.len + VARINT_MAX_BYTES + parts->payload.len;
}

struct slice command_encode(const struct command *command, struct arena *arena)
{
	struct command_parts parts;
	char *buf = command_encode_parts(command, arena, &parts) ? arena_take(arena, command_join_max(&parts)) : NULL;
	return buf == NULL ? SLICE_EMPTY : (struct slice){ buf, command_join(&parts, command->base_index, buf) };
}

/* ---- decoding -------------------------------------------------------------------------------------- */

static struct slice get_utf8(struct codec_reader *reader, size_t max_len)
{
	struct slice text = codec_get_text(reader, max_len);
	if (text.len == 0 || !utf8_is_valid(text))
		reader->ok = false;
	return text;
}

static void get_item(struct codec_reader *reader, struct item *item, bool with_id)
{
	item->id = with_id ? codec_get_range(reader, 1, ID_MAX) : 0;
	item->title = get_utf8(reader, TITLE_MAX_BYTES);
	item->topic = get_utf8(reader, TOPIC_MAX_BYTES);
	item->cost_minor = codec_get_range(reader, 0, COST_MAX_MINOR);
	item->count = codec_get_range(reader, 0, COUNT_MAX);
}

static struct slice get_if_match(struct codec_reader *reader)
{
	struct slice etag = codec_get_text(reader, ETAG_HEX_LEN);
	if (etag.len == 0)
		reader->ok = false;
	return etag;
}

static void get_update(struct codec_reader *reader, struct item_update_command *update)
{
	*update = (struct item_update_command){ .item_id = codec_get_range(reader, 1, ID_MAX) };
	uint64_t flags = codec_get_uint(reader);
	update->has_cost = (flags & FLAG_COST) != 0;
	update->has_count = (flags & FLAG_COUNT) != 0;
	update->has_delta = (flags & FLAG_DELTA) != 0;
	bool changes = update->has_cost || update->has_count || update->has_delta;
	if (flags > (FLAG_COST | FLAG_COUNT | FLAG_DELTA | FLAG_IF_MATCH) || !changes || (update->has_count && update->has_delta))
		reader->ok = false;
	if (update->has_cost)
		update->cost_minor = codec_get_range(reader, 0, COST_MAX_MINOR);
	if (update->has_count)
		update->count = codec_get_range(reader, 0, COUNT_MAX);
	if (update->has_delta)
		update->delta = codec_get_range(reader, -COUNT_MAX, COUNT_MAX);
	if ((flags & FLAG_IF_MATCH) != 0)
		update->if_match = get_if_match(reader);
}

static void get_delete(struct codec_reader *reader, struct item_delete_command *delete)
{
	*delete = (struct item_delete_command){ .item_id = codec_get_range(reader, 1, ID_MAX) };
	uint64_t flags = codec_get_uint(reader);
	if (flags == FLAG_IF_MATCH)
		delete->if_match = get_if_match(reader);
	else if (flags != 0)
		reader->ok = false;
}

static bool get_import(struct codec_reader *reader, struct arena *arena, struct import_command *import)
{
	uint64_t flags = codec_get_uint(reader);
	uint64_t count = codec_get_uint(reader);
	if (flags > (FLAG_FIRST_CATALOGUE | FLAG_LAST_PART) || flags == FLAG_LAST_PART || count > IMPORT_ITEMS_MAX ||
	    count > reader->left)
		reader->ok = false;
	if (!reader->ok)
		return true;
	struct item *items = arena_take(arena, (size_t)(count > 0 ? count : 1) * sizeof *items);
	if (items == NULL)
		return false;
	for (uint64_t i = 0; i < count && reader->ok; i++)
		get_item(reader, &items[i], true);
	*import = (struct import_command){ .first_catalogue = (flags & FLAG_FIRST_CATALOGUE) != 0,
					   .last_part = (flags & FLAG_LAST_PART) != 0,
					   .item_count = count, .items = items };
	return true;
}

static void get_genesis(struct codec_reader *reader, struct genesis_command *genesis)
{
	genesis->base_index = codec_get_uint(reader);
	genesis->chain = codec_get_text(reader, CHAIN_BYTES);
	if (genesis->base_index >= INT64_MAX || genesis->chain.len != CHAIN_BYTES)
		reader->ok = false;
}

/*
 * Names and URLs: what every version has to accept for ever. Whoever proposes a member is stricter (member.h), and may become
 * stricter still; an entry that was sound once must stay so.
 */
static struct slice get_printable(struct codec_reader *reader, size_t max_len)
{
	struct slice text = codec_get_text(reader, max_len);
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			reader->ok = false;
	if (text.len == 0)
		reader->ok = false;
	return text;
}

static void get_member_set(struct codec_reader *reader, struct member_set_command *member_set)
{
	member_set->name = get_printable(reader, NODE_NAME_MAX_BYTES);
	member_set->catalog_url = get_printable(reader, NODE_URL_MAX_BYTES);
	member_set->order_url = get_printable(reader, NODE_URL_MAX_BYTES);
}

/* Returns false when there is no memory; what is malformed is in reader->ok. */
static bool get_payload(struct codec_reader *reader, struct arena *arena, struct command *command)
{
	switch (command->type) {
	case COMMAND_BUY:
		command->buy.item_id = codec_get_range(reader, 1, ID_MAX);
		command->buy.quantity = codec_get_range(reader, 1, QUANTITY_MAX);
		return true;
	case COMMAND_ITEM_CREATE:
		get_item(reader, &command->item_create.item, false);
		return true;
	case COMMAND_ITEM_UPDATE:
		get_update(reader, &command->item_update);
		return true;
	case COMMAND_ITEM_DELETE:
		get_delete(reader, &command->item_delete);
		return true;
	case COMMAND_IMPORT:
		return get_import(reader, arena, &command->import);
	case COMMAND_GENESIS:
		get_genesis(reader, &command->genesis);
		return true;
	case COMMAND_MEMBER_SET:
		get_member_set(reader, &command->member_set);
		return true;
	case COMMAND_MEMBER_REMOVE:
		command->member_remove.name = get_printable(reader, NODE_NAME_MAX_BYTES);
		return true;
	case COMMAND_AUDIT:
		command->audit.rows = codec_get_range(reader, 1, AUDIT_ROWS_MAX);
		return true;
	}
	return true;
}

static void hash_payload(struct command *command, struct slice payload)
{
	unsigned char type = (unsigned char)command->type;
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, PAYLOAD_HASH_BYTES);
	crypto_generichash_update(&state, &type, 1);
	crypto_generichash_update(&state, (const unsigned char *)payload.ptr, payload.len);
	crypto_generichash_final(&state, command->payload_hash, PAYLOAD_HASH_BYTES);
}

enum command_decode_error command_decode(struct slice *bytes, struct arena *arena, struct command *out)
{
	struct codec_reader reader = codec_reader(*bytes);
	uint64_t type = codec_get_uint(&reader);
	if (!reader.ok || type == 0)
		return COMMAND_MALFORMED;
	if (type > COMMAND_AUDIT)
		return COMMAND_UNKNOWN;
	*out = (struct command){ .type = (enum command_type)type };
	out->request_key = get_utf8(&reader, SCOPED_KEY_MAX_BYTES);
	out->time_ms = codec_get_range(&reader, 0, INT64_MAX);
	out->base_index = codec_get_uint(&reader);
	struct slice payload = { reader.ptr, 0 };
	if (!get_payload(&reader, arena, out))
		return COMMAND_NO_MEMORY;
	if (!reader.ok)
		return COMMAND_MALFORMED;
	payload.len = (size_t)(reader.ptr - payload.ptr);
	hash_payload(out, payload);
	*bytes = (struct slice){ reader.ptr, reader.left };
	return COMMAND_OK;
}
