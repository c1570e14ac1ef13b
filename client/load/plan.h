/*
 * load_plan: what is asked next: which operation, of which item or topic, and the bytes of the request.
 *
 * Either a mix (each request is drawn by the operations' weights), or, per connection, the same three steps again and again:
 * a purchase, the first read of its item after the write was acknowledged, and one more read of it.
 */
#ifndef PYGMY_LOAD_PLAN_H
#define PYGMY_LOAD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/load/chance.h"
#include "client/load/target.h"

#define LOAD_REQUEST_MAX 1024
#define LOAD_PLAN_LINES_MAX 10000000
#define LOAD_TOPIC_MAX_BYTES 100

enum load_operation { LOAD_SEARCH, LOAD_LOOKUP, LOAD_BUY, LOAD_FIRST_READ, LOAD_NEXT_READ, LOAD_OPERATIONS };

/* "search", "lookup", "buy", "first_read", "next_read" */
const char *load_operation_name(enum load_operation operation);

struct load_plan {
	unsigned weights[LOAD_BUY + 1];       /* search, lookup, buy; not all 0 */
	bool after_write;             /* the three steps instead */
	bool strict;                  /* reads go past the cache */
	const char *keys;             /* purchases carry the key <keys>-<number>; NULL: none, nginx makes one */
	int64_t *items;               /* owned */
	size_t item_count;
	char (*topics)[LOAD_TOPIC_MAX_BYTES + 1];     /* owned */
	size_t topic_count;
	struct zipf item_ranks, topic_ranks;
	struct chance chance;
	uint64_t purchases;           /* so far: the number of the next key */
};

/* One request of a connection. */
struct load_job {
	enum load_operation operation;
	size_t item_index;
	uint64_t purchase;            /* number of its key */
};

/*
 * Reads ids and topics, one per line (NULL: item 1; no topics), which are drawn with Zipf's exponent (0: evenly). False with a
 * sentence in why. Then set the other members.
 */
bool load_plan_open(struct load_plan *plan, const char *items_file, const char *topics_file, double exponent, uint64_t seed, char *why,
	size_t why_size);
void load_plan_close(struct load_plan *plan);

/* Chooses the next job of a connection whose last one stands in *job (all zeros before the first). */
void load_plan_next(struct load_plan *plan, struct load_job *job);

/* Writes the request of a job; returns its length. */
size_t load_plan_write(const struct load_plan *plan, const struct load_job *job, const struct load_target *target,
	char request[LOAD_REQUEST_MAX]);

#endif
