/*
 * fence: what the parts of the model of fences share; see tests/unit/test_fence_model.c. One thread, one model at a time.
 */
#ifndef PYGMY_TESTS_MODEL_FENCE_H
#define PYGMY_TESTS_MODEL_FENCE_H

#include "db/limits.h"
#include "nginx/cache_key.h"
#include "tests/unit/model/chance.h"

#define T_MS LEASE_DEFAULT_MS
#define PATIENCE_MS 500               /* PUSH_PATIENCE_MS of db/pusher.h */
#define RETRY_MS 60
#define REPLICAS 3
#define FRONTENDS 2
#define ITEMS 6
#define ENTRIES_MAX 2000
#define RING 24
#define CACHE_SIZE 256
#define EVENTS_MAX 4096
#define WAITS_MAX 256
#define SCHEDULE_MS 15000

enum rule {
	ALL_RULES,
	REPEATED_ANSWERS_PUSH,        /* an answer that repeats an acknowledgement waits for the frontends as the first one does */
	FIRST_LEASE_SETS_FLOOR,       /* what a table has not been told of counts as changed */
	READS_T_BOUND,                /* the cache is used only until the lease's question was sent T ago */
	WAIT_AFTER_FENCE,             /* T from when the fence was seen */
	FENCED_GET_NO_LEASE,
	LEASES_ARE_STRICT,            /* a replica answers as of the log's end, or not at all */
	LIST_AS_OF_THE_WRITE,         /* whom a write waits for is read at its index or behind it, not before it was put */
	UNCONFIRMED_IS_WAITED_OUT,
	LEASE_COUNTS_FROM_SENDING,    /* of its question, not from when its answer comes */
	FILLS_ASK_FOR_THE_REVISION,   /* a replica that has not applied what its frontend knows of is not asked to fill the cache */
	ANSWERS_RAISE_THE_SLOT,       /* what an answer shows, no later read at this frontend may be short of */
	UNCACHED_IS_STRICT,           /* without a lease the newest is asked for */
	LATE_ANSWERS_MAKE_DOUBT,      /* a read that began before the frontend knew of the log puts its lease in doubt */
	RULES
};

/* ---- the world -------------------------------------------------------------------------------------- */

struct registered {
	bool joined, fenced;
	uint64_t since;
};

struct entry {
	unsigned item;                /* ITEMS: no write */
	struct registered frontends[FRONTENDS];       /* behind this entry */
};

enum event_kind { APPLY, WRITE, ASK_AGAIN, TRY, PATIENCE, WAIT_ENDS, PUSH_ARRIVES, CONFIRM_ARRIVES, LEASE_TICK, ANSWER_MADE, ANSWER_ARRIVES, JOIN_ARRIVES,
	JOINED_ARRIVES, READ, FILL_READS, FILL_ENDS, RESTART, FREEZE, CUT_REPLICA, CUT_LINK };

struct event {
	enum event_kind kind;
	int64_t due_ms;
	int frontend;                 /* at which it happens; -1: elsewhere */
	unsigned start;               /* of the frontend it belongs to */
	unsigned peer, replica, item, wait, wait_serial;
	uint64_t revision;
	bool cached;
	struct coherence_question question;
	uint32_t era;                 /* in which a read began */
	uint64_t must_show, must_not_go_below, shows;
	char text[768];
};

/* An acknowledgement that is held back. */
struct wait {
	bool active, listed;
	unsigned serial, replica;
	uint64_t index, list_position;
	bool repeated;
	bool target[FRONTENDS], confirmed[FRONTENDS], was_fenced[FRONTENDS];
	uint64_t since[FRONTENDS];
	int64_t lapse_ms[FRONTENDS];
};

struct replica {
	uint64_t applied;
	int64_t cut_until_ms;         /* from the log */
	int64_t fence_seen_ms;
};

struct frontend {
	struct coherence_table *table;
	unsigned start;
	int64_t frozen_until_ms;
	int64_t cut_until_ms[REPLICAS];
	uint64_t seen[ITEMS];
	struct { char key[CACHE_KEY_MAX_BYTES + 1]; uint64_t shows; } cache[CACHE_SIZE];
};

extern struct fence_model {
	enum rule without;
	struct chance chance;
	int64_t now_ms;
	size_t event_count;
	struct event events[EVENTS_MAX];
	struct entry log[ENTRIES_MAX];
	uint64_t end;
	struct replica replicas[REPLICAS];
	struct frontend frontends[FRONTENDS];
	struct wait waits[WAITS_MAX];
	unsigned serial;
	uint64_t acknowledged[ITEMS];
	unsigned long reads, hits, violations, fences, returns, writes;
} m;

/* fence_schedule.c */
uint64_t chance(uint64_t below);
bool rule(enum rule rule);
/* Mostly soon, sometimes later than a lease lasts. */
int64_t delay_ms(void);
struct event *plan(enum event_kind kind, int frontend, int64_t after_ms);
bool is_cut(unsigned replica);
bool is_linked(int frontend, unsigned replica);
/* Plays one schedule; m holds what came of it. */
void fence_run_schedule(uint64_t seed, enum rule without);

/* fence_log.c: the log and the replicas */
struct entry *append(unsigned item);
uint64_t changed_at(unsigned item, uint64_t position);
void apply(unsigned replica);

/* fence_writer.c: acknowledgements that are held back */
void check_wait(struct wait *wait);
void start_wait(struct wait *wait);
struct wait *wait_of(const struct event *event);
void write_begins(void);
void ask_again(uint64_t index);
void try_to_push(struct wait *wait);
void lose_patience(const struct wait *wait);
void confirm_arrives(const struct event *event);

/* fence_frontend.c: pushes, leases and joins */
void push_arrives(const struct event *push);
void ask(int frontend);
void join_arrives(const struct event *event);
void answer_is_made(const struct event *asked);
void answer_arrives(const struct event *answer);
void joined_arrives(const struct event *answer);

/* fence_reader.c */
void read_begins(int frontend);
void fill_reads(const struct event *read);
void fill_ends(const struct event *read);

#endif
