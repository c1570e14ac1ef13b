/*
 * proxy: the parts of etcd_proxy (see ../etcd_proxy.c): what to spoil, how often it was done, HTTP between two sockets, and the two
 * kinds of exchanges. One thread per connection; what is shared is behind a mutex or atomic.
 */
#ifndef PYGMY_TESTS_ETCD_PROXY_H
#define PYGMY_TESTS_ETCD_PROXY_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "tests/tools/common/control.h"
#include "tests/tools/common/http.h"
#include "tests/tools/common/tool.h"

/* ---- control.c: what to spoil ---------------------------------------------------------------------------- */

/* X(name): a probability from 0 to 1, drawn per line of a watch with events, or per request. */
#define PROXY_CHANCES(X) \
	X(watch_lose)                 /* a line is left out */ \
	X(watch_repeat)               /* a line comes twice, or the one before it once more */ \
	X(watch_reorder)              /* a line comes behind the next one */ \
	X(error)                      /* answered with `status`; forwarded all the same in half of the cases */ \
	X(put_lost)                   /* a put is forwarded, and its answer dropped: it has happened */ \
	X(put_swallowed)              /* a put is neither forwarded nor answered: it has not happened */
/* X(name, value without a word in the file): a whole number. */
#define PROXY_NUMBERS(X) \
	X(status, 503)                /* of `error` */ \
	X(delay_ms, 0)                /* before each answer, and each piece of a watch */ \
	X(cut, 0)                     /* raised: all watches that were opened before end */ \
	X(refuse, 0)                  /* 1: every connection is closed at once */

struct proxy_faults {
#define X(name) double name;
	PROXY_CHANCES(X)
#undef X
#define X(name, value) int64_t name;
	PROXY_NUMBERS(X)
#undef X
};

/* As the control file says now; see common/control.h. */
void proxy_open_control(const char *path);
struct proxy_faults proxy_faults_now(void);

/* X(name): how often it was done. */
#define PROXY_COUNTS(X) \
	X(connections) X(requests) X(watches) X(watch_lines) X(watch_lost) X(watch_repeated) X(watch_reordered) X(watch_cut) \
	X(delayed) X(errors_forwarded) X(errors_swallowed) X(puts_lost) X(puts_swallowed) X(refused)

struct proxy_counts {
#define X(name) atomic_llong name;
	PROXY_COUNTS(X)
#undef X
};
extern struct proxy_counts proxy_counts;
#define proxy_count(name) atomic_fetch_add(&proxy_counts.name, 1)
void proxy_print_counts(void);

/* ---- exchange.c and stream.c ------------------------------------------------------------------------------- */

struct proxy_connection {
	struct proxy_side client, upstream;
	struct sockaddr_in address;   /* of upstream */
	struct tool_chance chance;
};

/* Serves one client until either side goes; owns the descriptor. */
void exchange_run(struct proxy_connection *connection);
/* The watch behind an answer's head, which was read and is not yet forwarded. */
void stream_run(struct proxy_connection *connection, const struct proxy_message *answer);

#endif
