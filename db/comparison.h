/*
 * comparison: which of the other members hold the same state as this replica, told from the (index, chain hash) pairs that they
 * publish. Knows neither clock nor network; the own chain is asked for by a callback each time, so nothing here outlives a rebuild.
 *
 * A pair is comparable when this replica has applied its index and still remembers its own chain there. Pairs that are ahead
 * of us are kept until we get there. A few per member are kept; of a member that was rebuilt, or started again, only what came since.
 *
 * That two others differ from us proves nothing: they may differ from each other, one of them healed a moment ago. So members publish
 * also with whom they agree, and up to which index: who differs from us at an index up to which it agrees with others is right together
 * with them. (A chain hash covers all that was before: who agrees at one index agrees at those below.)
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
	int64_t since_ms;             /* the life that the pairs are of */
	uint64_t era;
	bool seen;                    /* in the round that runs */
	bool counts;                  /* is configured, and does not say of itself that it is wrong */
	struct member_agreement agreements[MEMBERS_MAX];      /* published together with the last pair, in the same life */
	size_t agreement_count;
	uint64_t agreed;              /* the index at which it agrees with us as of the last verdict, 0: none */
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
	int agree;
	int differ;                   /* from us, and not from each other: see verdict.h */
	uint64_t differs_at;          /* the first index at which somebody differs; 0: nobody does */
	char differs_from[NODE_NAME_MAX_BYTES + 1];   /* who does there */
};

/*
 * configured counts the members with this one. An agreement about an index before the first difference proves nothing about it, and
 * does not count.
 */
struct comparison_result comparison_verdict(struct comparison *comparison, int configured, comparison_chain chain, void *context);

/* With whom we agree, as of the last verdict, to be published. Returns how many. */
size_t comparison_agreements(const struct comparison *comparison, struct member_agreement out[MEMBERS_MAX]);

#endif
