/*
 * peer: the parts of peer_proxy (see ../peer_proxy.c): what to spoil, how often it was done, and the exchanges. One thread per connection.
 */
#ifndef PYGMY_TESTS_PEER_PROXY_H
#define PYGMY_TESTS_PEER_PROXY_H

#include <stdatomic.h>

#include "tests/tools/common/control.h"
#include "tests/tools/common/http.h"
#include "tests/tools/common/listener.h"

/* X(name): a probability from 0 to 1. Of a push the first four are drawn one after the other, each from what the one before left. */
#define PEER_CHANCES(X) \
	X(push_swallowed)             /* neither forwarded nor answered */ \
	X(push_unanswered)            /* forwarded, its answer never comes */ \
	X(push_broken)                /* the connection breaks, before or behind it */ \
	X(push_forged)                /* confirmed, and not forwarded: nothing that a network does; to see whether it is found out */ \
	X(push_late)                  /* neither answered, nor forwarded before delay_max_ms at most are over */ \
	X(lease_lost)                 /* a question for a lease or a join, or its answer */ \
	X(lease_late)                 /* the answer to such a question comes late, up to delay_max_ms */ \
	X(fill_held)                  /* the answer to a read that fills the cache is held back, up to delay_max_ms */ \
	X(fill_trickled)              /* it comes in pieces over that time, none of which is late enough to be given up */
/* X(name, value without a word in the file): a whole number. */
#define PEER_NUMBERS(X) \
	X(delay_max_ms, 5000)         /* delays are drawn evenly, from 0 on */

struct peer_faults {
#define X(name) double name;
	PEER_CHANCES(X)
#undef X
#define X(name, value) int64_t name;
	PEER_NUMBERS(X)
#undef X
};

#define DELAY_CLASSES 5               /* of delay_max_ms, all as wide */

/* X(name): how often it was done. */
#define PEER_COUNTS(X) \
	X(connections) X(requests) X(pushes) X(pushes_swallowed) X(pushes_unanswered) X(pushes_broken) X(pushes_forged) X(pushes_late) \
	X(leases) X(leases_lost) X(leases_late) X(fills) X(fills_held) X(fills_trickled)

struct peer_counts {
#define X(name) atomic_llong name;
	PEER_COUNTS(X)
#undef X
	atomic_llong delays[DELAY_CLASSES];   /* of fills, by length */
};
extern struct peer_counts peer_counts;
#define peer_count(name) atomic_fetch_add(&peer_counts.name, 1)
void peer_print_counts(void);

void peer_open_control(const char *path);
struct peer_faults peer_faults_now(void);

struct peer_connection {
	struct proxy_side client, upstream;
	struct sockaddr_in address;   /* of upstream */
	struct tool_chance chance;
};

/* Serves one client until either side goes; owns the descriptor. */
void peer_run(struct peer_connection *connection);

#endif
