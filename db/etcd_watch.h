/*
 * etcd_watch: follows one key of etcd from a revision on, over the gateway's streaming answer.
 *
 * The stream is parsed as it comes (`fragment: true`; one JSON text per line), and read only as fast as events are taken:
 * nothing is queued here but the line that is being received, ETCD_WATCH_LINE_MAX_BYTES at most. A watch belongs to
 * one thread, but etcd_watch_interrupt may be called by any. Nothing is promised about the events: who takes them checks versions
 * (sequencer.h), since a stream may lose, repeat and reorder, and a dead one may stay open.
 */
#ifndef PYGMY_DB_ETCD_WATCH_H
#define PYGMY_DB_ETCD_WATCH_H

#include "db/etcd.h"

struct etcd_watch;

#define ETCD_WATCH_LINE_MAX_BYTES ((size_t)8 * 1024 * 1024)
#define ETCD_WATCH_EVENTS_MAX 256     /* taken out by one call */

enum etcd_watch_outcome {
	ETCD_WATCH_EVENTS,            /* *count events */
	ETCD_WATCH_TIMEOUT,           /* nothing came until the deadline, or it was interrupted */
	ETCD_WATCH_COMPACTED,         /* what was asked for is gone: the stream is of no more use (etcd leaves it open) */
	ETCD_WATCH_BROKEN             /* the stream ended, could not be opened, or makes no sense */
};

/* One put (value) or, with is_delete, the key's deletion. value is valid until the next call on the watch. */
struct etcd_event {
	struct etcd_position position;
	struct slice value;
	bool is_delete;
};

/* One watch, not open yet. tls as in etcd_create. */
bool etcd_watch_create(const struct tls_files *tls, struct etcd_watch **out);
void etcd_watch_destroy(struct etcd_watch *watch);        /* NULL is allowed */

/* Opens it at one endpoint, from the given revision of the store on; an open one is closed before. Does not block. */
void etcd_watch_open(struct etcd_watch *watch, const char *endpoint, const char *key, uint64_t from_revision);

/*
 * Waits for events until deadline_ms (monotonic). All that came in one line are given together, at most ETCD_WATCH_EVENTS_MAX at a time.
 * After COMPACTED and BROKEN it must be opened again. compact_revision is set with COMPACTED.
 */
enum etcd_watch_outcome etcd_watch_next(struct etcd_watch *watch, int64_t deadline_ms, struct etcd_event *events, size_t *count,
					uint64_t *compact_revision);

/* Makes etcd_watch_next return soon. Any thread. */
void etcd_watch_interrupt(struct etcd_watch *watch);

/* Why the stream broke, for people; valid until the next call. */
const char *etcd_watch_error(const struct etcd_watch *watch);

#endif
