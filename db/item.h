/*
 * item: what the catalogue holds, and its ETag.
 */
#ifndef PYGMY_DB_ITEM_H
#define PYGMY_DB_ITEM_H

#include <stdint.h>

#include "db/slice.h"

struct item {
	int64_t id;
	struct slice title;           /* UTF-8, 1 to TITLE_MAX_BYTES */
	struct slice topic;           /* UTF-8, 1 to TOPIC_MAX_BYTES */
	int64_t cost_minor;           /* 0 to COST_MAX_MINOR */
	int64_t count;                /* 0 to COUNT_MAX */
};

struct order {
	int64_t id;
	int64_t item_id;
	int64_t quantity;
	int64_t unit_cost_minor;
	int64_t created_ms;
};

#define ETAG_HEX_LEN 32

/*
 * Writes the item's entity tag without quotes: 32 hex digits of BLAKE2b-128 over a canonical encoding of all fields
 * above, and NUL. The same content has the same tag on every replica; apply compares it with If-Match.
 */
void item_etag(const struct item *item, char out[ETAG_HEX_LEN + 1]);

/* The same for any bytes: the ETag of lists. */
void bytes_etag(struct slice bytes, char out[ETAG_HEX_LEN + 1]);

#endif
