/*
 * etcd: a client of an etcd cluster (3.4 and later), through libcurl on its HTTP/JSON gateway.
 *
 * Only what the store's log, its members and its care need: the log key is created, appended to and read back; keys with
 * leases; compaction, defragmentation, alarms. Watching is in etcd_watch.h. (etcd's API: "etcd API Reference v3"; the gateway
 * takes and gives byte strings as base64 and 64-bit numbers as decimal text.)
 *
 * A client has one connection per endpoint, kept alive. It belongs to one thread at a time; a process makes as many as it
 * has threads that talk to etcd. All calls block until deadline_ms (monotonic) at most. An endpoint that does not answer within
 * ETCD_ATTEMPT_MS (more for a large value, and twice as much each time that all were asked in vain), or answers that it has no
 * leader, is followed by the next, until the deadline; the one that answered last is asked first.
 */
#ifndef PYGMY_DB_ETCD_H
#define PYGMY_DB_ETCD_H

#include <stdbool.h>
#include <stdint.h>

#include "db/arena.h"
#include "db/tls.h"

struct etcd;

#define ETCD_ENDPOINTS_MAX 9
#define ETCD_ATTEMPT_MS 400           /* one endpoint's time to answer */
#define ETCD_ANSWER_MAX_BYTES ((size_t)4 * 1024 * 1024)

enum etcd_outcome {
	ETCD_OK = 0,
	ETCD_UNREACHABLE,             /* nobody answered, and nothing can have happened (reads; writes that were never sent) */
	ETCD_UNKNOWN,                 /* a write was sent and not answered: it may have happened */
	ETCD_COMPARE_FAILED,          /* the log key is not there, is there already, or is another one */
	ETCD_COMPACTED,               /* the revision asked for is gone */
	ETCD_NO_SPACE,                /* database space exceeded: nothing was changed */
	ETCD_TOO_LARGE,               /* the request is over etcd's limit: nothing was changed */
	ETCD_NOT_FOUND,               /* no such key or lease */
	ETCD_REFUSED                  /* anything else that etcd refused for good; see etcd_last_error */
};

/* Where a key stands. All are 0 for a key that does not exist, but the ids and header_revision. */
struct etcd_position {
	uint64_t cluster_id;
	uint64_t header_revision;     /* of the whole store when etcd answered */
	uint64_t create_revision;
	uint64_t mod_revision;
	uint64_t version;             /* 1 for the first value, then dense */
};

struct etcd_value {
	struct etcd_position position;
	struct slice bytes;           /* in the arena that the caller gave */
};

/*
 * endpoints: `http://host:port` or `https://...`, space separated, at most ETCD_ENDPOINTS_MAX; the first is asked first. Strings
 * are copied. tls may be NULL. False (logged) when they can't be understood, or without memory.
 */
bool etcd_create(const char *endpoints, const struct tls_files *tls, struct etcd **out);
void etcd_destroy(struct etcd *etcd);        /* NULL is allowed */

int etcd_endpoint_count(const struct etcd *etcd);
/* Valid as long as the client. */
const char *etcd_endpoint(const struct etcd *etcd, int number);
/* From now on this endpoint (modulo their count) is asked first. */
void etcd_prefer(struct etcd *etcd, int number);
/* Why the last call did not end with ETCD_OK, for people; valid until the next call. */
const char *etcd_last_error(const struct etcd *etcd);

/* ---- the log key ------------------------------------------------------------------------------------ */

/* Creates the key with its first value, when it does not exist: else COMPARE_FAILED. */
enum etcd_outcome etcd_log_create(struct etcd *etcd, const char *key, struct slice value, int64_t deadline_ms, struct etcd_position *out);

/*
 * Appends: puts value if the key's create_revision is the given one (else COMPARE_FAILED), and tells at which version it went in.
 * A try that fails or times out is repeated at the next endpoint with the same value, so the value may be in the log more
 * than once, also when the outcome is OK.
 */
enum etcd_outcome etcd_log_append(struct etcd *etcd, const char *key, uint64_t create_revision, struct slice value, int64_t deadline_ms,
				  struct etcd_position *out);

/* The key's position, linearizable: as new as the moment at which this was called. A key that is not there: OK and version 0. */
enum etcd_outcome etcd_log_position(struct etcd *etcd, const char *key, int64_t deadline_ms, struct etcd_position *out);

/* The key's value as of revision (0: now, linearizable). NOT_FOUND, COMPACTED. */
enum etcd_outcome etcd_log_read(struct etcd *etcd, const char *key, uint64_t revision, int64_t deadline_ms, struct arena *arena,
				struct etcd_value *out);

/* ---- small keys with leases ------------------------------------------------------------------------- */

enum etcd_outcome etcd_lease_grant(struct etcd *etcd, int ttl_s, int64_t deadline_ms, uint64_t *lease);
/* NOT_FOUND: it has run out. */
enum etcd_outcome etcd_lease_keep(struct etcd *etcd, uint64_t lease, int64_t deadline_ms);
enum etcd_outcome etcd_lease_revoke(struct etcd *etcd, uint64_t lease, int64_t deadline_ms);
enum etcd_outcome etcd_put(struct etcd *etcd, const char *key, struct slice value, uint64_t lease, int64_t deadline_ms);

typedef void (*etcd_visit)(void *context, struct slice key, struct slice value, uint64_t lease);
/* Visits all keys that start with prefix, at most 256, as one member of the cluster knows them now (serializable: works without a quorum). */
enum etcd_outcome etcd_list(struct etcd *etcd, const char *prefix, int64_t deadline_ms, etcd_visit visit, void *context);

/* ---- care ------------------------------------------------------------------------------------------- */

/* Forgets what was superseded up to revision. COMPACTED: somebody did so already. */
enum etcd_outcome etcd_compact(struct etcd *etcd, uint64_t revision, int64_t deadline_ms);

struct etcd_status {
	uint64_t cluster_id, member_id, leader_id;   /* leader 0: none */
	uint64_t raft_term, raft_index;
	uint64_t db_bytes, db_used_bytes;
	char version[24];
};
/* Of one endpoint, and no other. */
enum etcd_outcome etcd_status(struct etcd *etcd, int endpoint, int64_t deadline_ms, struct etcd_status *out);
/* Blocks that member for as long as it takes. */
enum etcd_outcome etcd_defragment(struct etcd *etcd, int endpoint, int64_t deadline_ms);

enum etcd_alarm_type { ETCD_ALARM_NO_SPACE = 1, ETCD_ALARM_CORRUPT = 2 };
struct etcd_alarm {
	uint64_t member_id;
	enum etcd_alarm_type type;
};
enum etcd_outcome etcd_alarms(struct etcd *etcd, int64_t deadline_ms, struct etcd_alarm *alarms, int max, int *count);
enum etcd_outcome etcd_disarm(struct etcd *etcd, const struct etcd_alarm *alarm, int64_t deadline_ms);

/* Static text. */
const char *etcd_outcome_text(enum etcd_outcome outcome);

#endif
