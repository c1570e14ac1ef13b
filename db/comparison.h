/*
 * comparison: which of the other members hold the same state as this replica, told from the (index, chain hash) pairs that they
 * publish. Knows neither clock nor network; the own chain is asked for by a callback each time, so nothing here outlives a rebuild.
 *
 * A pair is comparable when this replica has applied its index and still remembers its own chain there. Pairs that are ahead
 * of us are kept until we get there. A few per member are kept; of a member whose index went back, or whose chain at one index
 * changed (it was rebuilt), only what came since.
 */
#ifndef PYGMY_DB_COMPARISON_H
#define PYGMY_DB_COMPARISON_H

#include "db/member.h"
#include "db/verdict.h"

#define COMPARISON_PAIRS 8
#define COMPARISON_PEERS_MAX (2 * MEMBERS_MAX)

struct comparison_pair {
	uint64_t index;
	uint8_t chain[CHAIN_BYTES];
};

struct comparison_peer {
	char name[NODE_NAME_MAX_BYTES + 1];
	struct comparison_pair pairs[COMPARISON_PAIRS];       /* by index */
	int pair_count;
	bool seen;                    /* in the round that runs */
	bool counts;                  /* is configured, and does not say of itself that it is wrong */
};

struct comparison {
	struct comparison_peer peers[COMPARISON_PEERS_MAX];
	int peer_count;
};

/* The own chain behind entry index. False: not applied or not remembered. */
typedef bool (*comparison_chain)(void *context, uint64_t index, uint8_t chain[CHAIN_BYTES]);

void comparison_init(struct comparison *comparison);

/* One round: begin, see for every other live member, end (forgets those that were not seen), then the verdict. */
void comparison_begin(struct comparison *comparison);
/* applied is this replica's. */
void comparison_see(struct comparison *comparison, const struct member *member, bool is_configured, uint64_t applied);
void comparison_end(struct comparison *comparison);

struct comparison_result {
	enum verdict verdict;
	int agree, differ;
	int open;                     /* live configured members that may still decide: nothing comparable is known of them */
	uint64_t differs_at;          /* the first index at which somebody differs; 0: nobody does */
	char differs_from[NODE_NAME_MAX_BYTES + 1];   /* who does there */
};

/*
 * configured counts the members with this one. An agreement about an index before the first difference proves nothing about it, and
 * does not count.
 */
struct comparison_result comparison_verdict(const struct comparison *comparison, int configured, comparison_chain chain, void *context);

#endif
