/*
 * coherence_table: what one nginx knows about the newest change of every slot, shared by all its workers.
 *
 * A cached answer is addressed by (resource, revision of its slot). The table holds these revisions, and a lease:
 * until when they may be believed. Serving from the cache is right while a lease is held, because then each acknowledged
 * write is in the table: its push was confirmed, or the lease was renewed after it.
 *
 * Eras. A table learns from one log at a time. Whenever the log may have become another one (another log id, a position
 * that went back), a new era opens: it starts without revisions, floor and lease, and cache keys carry its number, so nothing
 * of the old era is served again. The answer that showed the change only opens the era; the lease comes from a question
 * asked inside it. So a push that the old era confirmed can't be missing from the new one. An answer to a request that began in
 * the era before can't raise a slot, since its revision may be another log's. It may show a write that is in no lease's answer yet, so it
 * puts the lease in doubt: only a question that is sent later than that renews it.
 *
 * Memory model. One word each: revision of a slot, floor, position, lease. Each word is (era, value) in 64 bits and is only
 * ever raised, by compare-and-swap. What comes late from an older era therefore has no effect, in any order, and
 * a process that dies between two instructions leaves nothing behind that others have to wait for: there are no locks.
 * Who renews raises slots and floor first, the position then, the lease last. Who reads takes the lease first.
 *
 * Fences. In a cluster the nodes lease to a frontend only as long as the log says that it counts, as the one that joined at a certain index: that
 * index goes along with its questions. When the answer is `fenced`, it joins again. Nothing else changes: its slots only rise, and the lease that
 * it gets then comes with everything that changed since its position, so that what it has cached stays of use.
 *
 * The memory is an anonymous shared mapping: nginx's workers inherit it from the master, so it lives as long as that
 * master, across reloads, and is new with it. Times are milliseconds of coherence_clock_ms() given by the caller.
 *
 * All functions but create and destroy: any thread or process that has the mapping; none of them blocks.
 */
#ifndef PYGMY_NGINX_COHERENCE_TABLE_H
#define PYGMY_NGINX_COHERENCE_TABLE_H

#include <stdint.h>

#include "db/changes.h"
#include "db/slice.h"

#define COHERENCE_REVISION_MAX ((UINT64_C(1) << 48) - 1)
#define COHERENCE_ERAS_MAX 4096
#define COHERENCE_NONCE_HEX_LEN 16

struct coherence_table;

/* A new table in memory that child processes share, without an era. NULL when there is no memory or no randomness. */
struct coherence_table *coherence_table_create(void);

/* Unmaps it from this process. */
void coherence_table_destroy(struct coherence_table *table);

/* Monotonic, and running on while the machine sleeps. The same in all processes of a machine. */
int64_t coherence_clock_ms(void);

/* ---- reading -------------------------------------------------------------------------------- */

struct coherence_view {
	uint32_t era;
	bool leased;                  /* may be served from and stored in the cache now */
	uint64_t revision;            /* of the slot: the larger of its own and the floor */
};

/* What the table says of a slot at now_ms, with leases that last lease_ms. */
void coherence_table_view(const struct coherence_table *table, uint32_t slot, int64_t now_ms, int64_t lease_ms,
	struct coherence_view *view);

/* Random hex digits that no other table has, NUL-terminated; valid as long as the table. */
const char *coherence_table_nonce(const struct coherence_table *table);

/* ---- learning ------------------------------------------------------------------------------- */

/*
 * Notes that a slot changed at revision, as seen by a request that began in era, before its client sees it. When the era has passed the lease is
 * put in doubt instead: until a question that was sent behind now_ms is answered, nothing is served from the cache.
 */
void coherence_table_raise(struct coherence_table *table, uint32_t era, uint32_t slot, uint64_t revision, int64_t now_ms);

enum coherence_outcome {
	COHERENCE_DONE = 0,           /* push: confirmed; answer: lease renewed */
	COHERENCE_ASK_AGAIN,          /* answer: a new era was opened; it needs a question of its own */
	COHERENCE_LATE,               /* answer: its era has passed; nothing was changed */
	COHERENCE_REFUSED,            /* not a text of this kind, or it contradicts itself; nothing was changed */
	COHERENCE_BUSY,               /* push: eras changed all the while; not confirmed */
	COHERENCE_SEALED,             /* answer: no eras are left; no lease until nginx is started anew */
	COHERENCE_FENCED              /* answer: it does not count, and has to join; nothing was changed */
};

/*
 * Takes in a push, or a reset when a write changed more than a push can name. Only after DONE may the writer count this
 * frontend as told. Errors: REFUSED, BUSY.
 */
enum coherence_outcome coherence_table_push(struct coherence_table *table, struct slice text);

/* The question by which a lease is renewed. Take it, send it, give it back with the answer. */
struct coherence_question {
	uint32_t era;
	bool has_position;            /* else everything up to the answer's position counts as changed */
	uint64_t since;               /* 0 without position */
	int64_t sent_at_ms;
	uint64_t joined;              /* the index at which it joined the cluster; 0: it has not */
	char log_id[LOG_ID_HEX_LEN + 1];      /* zeros without position: no log has this id, so the answer is a reset */
};

/* Whether the caller is the one to ask now: true for one caller in interval_ms, whatever became of the one before. */
bool coherence_table_claim(struct coherence_table *table, int64_t now_ms, int64_t interval_ms);

void coherence_table_ask(const struct coherence_table *table, int64_t now_ms, struct coherence_question *question);

/* Takes in a worker's answer. Errors: all but BUSY. */
enum coherence_outcome coherence_table_answer(struct coherence_table *table, const struct coherence_question *question,
	struct slice text);

/*
 * Joining. One caller at a time gets true, COHERENCE_JOIN_RETRY_MS after another. Behind each join the next one is held back: 1 s, 2 s, ... up to
 * COHERENCE_JOIN_PAUSE_MAX_MS, and 1 s again after half a minute of calm: each fence costs writes a lease's time. (One that some nodes reach and others
 * do not is not let in at all, see db/reach.h.)
 */
#define COHERENCE_JOIN_RETRY_MS 500
#define COHERENCE_JOIN_PAUSE_MS 1000
#define COHERENCE_JOIN_PAUSE_MAX_MS 8000
#define COHERENCE_JOIN_CALM_MS 30000
bool coherence_table_claim_join(struct coherence_table *table, int64_t now_ms);
void coherence_table_joined(struct coherence_table *table, int64_t now_ms, uint64_t index);

/* ---- for operators -------------------------------------------------------------------------- */

struct coherence_status {
	uint32_t era;
	bool leased;
	int64_t lease_left_ms;        /* 0 without lease */
	uint64_t position;
	uint64_t floor;
	uint64_t pushes, renewals, resets, refused, fences;   /* since the table was made */
	uint64_t joined;              /* index; 0: it has not */
	char log_id[LOG_ID_HEX_LEN + 1];              /* zeros without era */
};

void coherence_table_status(const struct coherence_table *table, int64_t now_ms, int64_t lease_ms,
	struct coherence_status *status);

#endif
