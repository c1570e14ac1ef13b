/*
 * command: what a worker asks the log to do.
 *
 * Everything that is not deterministic is already in a command (the time, ids made elsewhere), so that apply is a pure
 * function. A command carries its request key, and a hash over the client's own fields only: the same key with the
 * same fields is the same request; with other fields it is refused (key_reused).
 *
 * Wire format, version 1 (codec.h: base_index, type, flags and lengths are unsigned varints, the other numbers
 * zigzag varints; a text is its length and its bytes):
 *     type, request key text, time_ms, base_index, payload
 * payload by type:
 *     BUY          item_id, quantity
 *     ITEM_CREATE  title, topic, cost_minor, count
 *     ITEM_UPDATE  item_id, flags (1 cost, 2 count, 4 delta, 8 if-match), then those present: cost_minor, count, delta,
 *                  if-match text
 *     ITEM_DELETE  item_id, flags (8 if-match), if-match text
 *     GENESIS      base_index, chain text (32 bytes): the first entry of a log; it continues that position (0 and zeros: a new store)
 *     MEMBER_SET   name text, catalog_url text, order_url text: a replica joins the cluster, or moves
 *     MEMBER_REMOVE  name text
 *     AUDIT        rows: every replica hashes the next so many rows of items and of orders into its chain hash
 *     IMPORT       flags (1 first catalogue, 2 its last part), number of items, then each: id, title, topic, cost_minor, count
 * The payload hash is BLAKE2b-128 over type and payload. The decoder checks every limit again: a log entry comes from outside.
 */
#ifndef PYGMY_DB_COMMAND_H
#define PYGMY_DB_COMMAND_H

#include <stdint.h>

#include "db/arena.h"
#include "db/item.h"

enum command_type {
	COMMAND_BUY = 1,
	COMMAND_ITEM_CREATE = 2,
	COMMAND_ITEM_UPDATE = 3,
	COMMAND_ITEM_DELETE = 4,
	COMMAND_IMPORT = 5,
	COMMAND_GENESIS = 6,
	COMMAND_MEMBER_SET = 7,
	COMMAND_MEMBER_REMOVE = 8,
	COMMAND_AUDIT = 9
};

struct buy_command {
	int64_t item_id;
	int64_t quantity;             /* 1 to QUANTITY_MAX */
};

struct item_create_command {
	struct item item;             /* its id is assigned by apply and 0 here */
};

struct item_update_command {
	int64_t item_id;
	bool has_cost, has_count, has_delta;   /* at least one; count and delta exclude each other */
	int64_t cost_minor;
	int64_t count;
	int64_t delta;
	struct slice if_match;        /* an ETag without quotes, or `*`; empty: none */
};

struct item_delete_command {
	int64_t item_id;
	struct slice if_match;
};

struct import_command {
	bool first_catalogue;         /* only applied when no first catalogue was loaded yet */
	bool last_part;               /* of the first catalogue: from now on it counts as loaded */
	uint64_t item_count;
	const struct item *items;     /* ids given; existing items are overwritten */
};

struct genesis_command {
	uint64_t base_index;          /* the first entry has index base_index + 1 */
	struct slice chain;           /* CHAIN_BYTES */
};

struct member_set_command {
	struct slice name, catalog_url, order_url;
};

struct member_remove_command {
	struct slice name;
};

struct audit_command {
	int64_t rows;                 /* 1 to AUDIT_ROWS_MAX */
};

#define PAYLOAD_HASH_BYTES 16

struct command {
	enum command_type type;
	struct slice request_key;     /* scoped: see request_key.h; 1 to SCOPED_KEY_MAX_BYTES */
	int64_t time_ms;              /* of the proposer, since the epoch, UTC */
	uint64_t base_index;          /* what the proposer had applied when it put the command into an entry; set by it */
	uint8_t payload_hash[PAYLOAD_HASH_BYTES];   /* set by command_decode */
	union {
		struct buy_command buy;
		struct item_create_command item_create;
		struct item_update_command item_update;
		struct item_delete_command item_delete;
		struct import_command import;
		struct genesis_command genesis;
		struct member_set_command member_set;
		struct member_remove_command member_remove;
		struct audit_command audit;
	};
};

/* Whether what is decided about a command is kept under its request key. Not so for audits: they decide nothing, and may be repeated. */
bool command_is_recorded(const struct command *command);

/*
 * Encodes into the arena. ptr is NULL when there is no memory. The command must keep the limits (the worker has
 * checked them); decode(encode(c)) equals c.
 */
struct slice command_encode(const struct command *command, struct arena *arena);

/*
 * The same without base_index, which is known last: the bytes in front of it and behind it, in the arena. command_join writes
 * the whole to out, of at least command_join_max bytes, and returns its length. False when there is no memory.
 */
struct command_parts {
	struct slice head;
	struct slice payload;
};
bool command_encode_parts(const struct command *command, struct arena *arena, struct command_parts *out);
size_t command_join_max(const struct command_parts *parts);
size_t command_join(const struct command_parts *parts, uint64_t base_index, char *out);

/*
 * Decodes one command from the front of *bytes and moves *bytes behind it. Slices of out point into bytes, lists into
 * the arena. Errors: COMMAND_MALFORMED (also out of range), COMMAND_UNKNOWN (a newer version's), COMMAND_NO_MEMORY.
 */
enum command_decode_error { COMMAND_OK = 0, COMMAND_MALFORMED, COMMAND_UNKNOWN, COMMAND_NO_MEMORY };
enum command_decode_error command_decode(struct slice *bytes, struct arena *arena, struct command *out);

#endif
