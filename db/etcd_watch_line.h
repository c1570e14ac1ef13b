/*
 * etcd_watch_line: one line of a watch's stream, looked at before it is believed. No network here.
 */
#ifndef PYGMY_DB_ETCD_WATCH_LINE_H
#define PYGMY_DB_ETCD_WATCH_LINE_H

#include "db/etcd_json.h"
#include "db/etcd_watch.h"

#define ETCD_WATCH_REASON_MAX_BYTES 256

enum etcd_watch_line_kind {
	ETCD_WATCH_LINE_QUIET,        /* created, or progress: nothing to take */
	ETCD_WATCH_LINE_EVENTS,
	ETCD_WATCH_LINE_COMPACTED,    /* compact_revision */
	ETCD_WATCH_LINE_ERROR         /* canceled, an error, or nonsense: reason */
};

struct etcd_watch_line {
	json_t *root;                 /* NULL: empty */
	const json_t *events;
	size_t next;                  /* of events, the first that was not taken */
	struct etcd_position header;
	uint64_t compact_revision;
	char reason[ETCD_WATCH_REASON_MAX_BYTES];
};

/* Reads one line without its end; an earlier one is freed. All events are looked at, but for their values: those are when they are taken. */
enum etcd_watch_line_kind etcd_watch_line_read(struct etcd_watch_line *line, struct slice text, struct slice key);

/*
 * The next events, ETCD_WATCH_EVENTS_MAX at most; *count 0: no more. Their values are in `values`, which is cleared before.
 * False (reason is set): a value is not base64, or there is no memory for it.
 */
bool etcd_watch_line_take(struct etcd_watch_line *line, struct buffer *values, struct etcd_event *events, size_t *count);

void etcd_watch_line_close(struct etcd_watch_line *line);

#endif
