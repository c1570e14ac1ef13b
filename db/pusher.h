/*
 * pusher: tells the frontends which slots a write changed, before the write is acknowledged.
 *
 * Batches that are waiting while a push is under way go out together in the next one. The text is that of changes.h, sent by
 * POST /coherence/push; a frontend confirms with 204. One that does not confirm soon is told again and again, while the tries of before
 * go on, until T has passed since the commit: by then its lease has lapsed, or was renewed after the commit and so includes the change.
 *
 * Whom to tell is said when the pusher is made; or, in a cluster, by the log (frontends.h). There a frontend that does not confirm is to be
 * fenced after PUSH_PATIENCE_MS, and then costs no write any time once the leases of before the fence have lapsed.
 */
#ifndef PYGMY_DB_PUSHER_H
#define PYGMY_DB_PUSHER_H

#include <stddef.h>

#include "db/error.h"
#include "db/fencer.h"
#include "db/frontends.h"
#include "db/result.h"
#include "db/stats.h"
#include "db/tls.h"

#define PUSH_PATIENCE_MS 500

struct pusher;

struct pusher_options {
	const char *frontends;        /* `unix:/path` or `http(s)://host:port`, space separated, at most FRONTENDS_MAX; "" for none */
	struct frontends *registered; /* those that count, instead; with fencer. NULL: frontends says it all */
	struct fencer *fencer;
	const char *log_id;
	const char *peer_token;       /* bearer token for those that are not on a Unix socket; NULL or "" for none */
	const struct tls_files *tls;  /* for https; NULL for none */
	int lease_ms;                 /* T */
};

/*
 * Texts of the options are copied; registered, fencer, stats, and with registered tls, must outlive the pusher. Errors: INTERNAL (a name that can't be understood, or https without
 * certificates; logged), OUT_OF_MEMORY.
 */
enum pygmy_error pusher_create(const struct pusher_options *options, struct replica_stats *stats, struct pusher **out);
/* Nobody may be waiting. NULL is allowed. */
void pusher_destroy(struct pusher *pusher);

/* The log that what is confirmed from now on belongs to (a replica in a cluster learns it late): 16 hex digits. Any thread. */
void pusher_set_log(struct pusher *pusher, const char *log_id);

/*
 * Returns when each frontend has confirmed the slots of all results, or can't serve what they replaced any more.
 * committed_ms is the monotonic time behind the commit. Blocks until then, at most T and the time of one try longer.
 */
void pusher_confirm(struct pusher *pusher, const struct result *results, size_t count, int64_t committed_ms);

#endif
