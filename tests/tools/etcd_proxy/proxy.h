/*
 * proxy: the parts of etcd_proxy (see ../etcd_proxy.c): what to spoil, how often it was done, HTTP between two sockets, and the two
 * kinds of exchanges. One thread per connection; what is shared is behind a mutex or atomic.
 */
#ifndef PYGMY_TESTS_ETCD_PROXY_H
#define PYGMY_TESTS_ETCD_PROXY_H

#include <netinet/in.h>
#include <stdatomic.h>

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

/* The file may be missing (nothing is spoiled) and is looked at again before every decision. */
void control_init(const char *path);
struct proxy_faults control_read(void);
bool control_strikes(struct tool_chance *chance, double probability);

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

/* ---- http.c: one side of a connection ---------------------------------------------------------------------- */

#define PROXY_HEAD_MAX ((size_t)64 * 1024)
#define PROXY_BODY_MAX ((size_t)16 * 1024 * 1024)

/* What was read and not used yet. */
struct proxy_side {
	int fd;                       /* -1: not connected */
	int other_fd;                 /* when that one's other end goes away, waiting ends */
	char *bytes;
	size_t start, len, size;
};

/* A head and what it says; owns both texts. */
struct proxy_message {
	char *head;                   /* NUL-terminated, with the empty line */
	char *body;
	size_t body_len;
	bool is_chunked;
};

void side_close(struct proxy_side *side);
/* Waits for bytes, limit_ms at most (-1: for ever). 1: some, 0: time is over, -1: the end, of this side or the other. */
int side_fill(struct proxy_side *side, int limit_ms);
bool side_read_head(struct proxy_side *side, struct proxy_message *message);
/* The whole body, of any framing; without one that says how long it is, none. */
bool side_read_body(struct proxy_side *side, struct proxy_message *message);
/* The next piece of a chunked body: 1 with *bytes (valid until the next call) and *len, 0: time is over, -1: its end. */
int side_read_chunk(struct proxy_side *side, int limit_ms, char **bytes, size_t *len);
bool side_write(int fd, const void *bytes, size_t len);
bool side_printf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
void message_free(struct proxy_message *message);

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
