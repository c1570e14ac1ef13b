/*
 * keeper_internal: what the keeper's files share. Only for them and for their tests.
 *
 * Three threads, each with a client of etcd of its own, so that none waits for what another one does: position (reads must come in time),
 * pulse (the lease must be kept in time) and care (defragmenting may take seconds). Each is a step function that is called again
 * at the time that it returned; all a step does is bounded by KEEPER_CALL_MS per question.
 */
#ifndef PYGMY_DB_KEEPER_INTERNAL_H
#define PYGMY_DB_KEEPER_INTERNAL_H

#include <pthread.h>

#include "db/comparison.h"
#include "db/compaction.h"
#include "db/etcd.h"
#include "db/keeper.h"
#include "db/line_log.h"
#include "db/reader.h"
#include "db/roll.h"

#define KEEPER_CALL_MS 1000           /* one question to etcd, with its tries at other endpoints */
#define KEEPER_PROGRESS_ENTRIES 16    /* of a long way, in T/2 */
#define KEEPER_LEASE_S 3
#define KEEPER_LEASE_RENEW_MS 750
#define KEEPER_PULSE_MS 250
#define KEEPER_PUT_MS 500             /* between two puts of the own record; but one that is urgent may come at once */
#define KEEPER_DOUBT_MS 1000          /* so long others may still come and decide, before we step out */
#define KEEPER_REBUILD_MS 10000       /* between two requests to rebuild */
#define KEEPER_DATABASE_RETRY_MS 1000
#define KEEPER_CARE_MS 250
#define KEEPER_AUDIT_MS 2000          /* after writes */
#define KEEPER_AUDIT_IDLE_MS 10000
#define KEEPER_COMPACT_MS 1000
#define KEEPER_ALARM_MS 2000
#define KEEPER_DEFRAGMENT_MS 2000
#define KEEPER_CURE_PAUSE_MAX_MS 30000

/* ---- position ------------------------------------------------------------------------------------------ */

struct keeper_position {
	struct etcd *etcd;
	int next;                                     /* endpoint whose turn it is */
	int64_t retry_at_ms[ETCD_ENDPOINTS_MAX];      /* it failed: others first until then; 0: it did not */
	int64_t retry_ms;                             /* until then none that failed is tried again */
	int answered;                                 /* endpoint that answered last, -1: none did */
	unsigned asked;                               /* a bit per endpoint that failed since the last answer */
	int64_t answered_at_ms;                       /* when the last question that was answered was sent */
	bool lost;                                    /* the quorum is, as far as was told */
	/* The end that the follower has to reach. */
	uint64_t mark, mark_applied;
	int64_t mark_at_ms;
};

/* ---- pulse --------------------------------------------------------------------------------------------- */

struct keeper_pulse {
	struct etcd *etcd;
	uint64_t lease;                               /* 0: none */
	int64_t lease_kept_ms;
	char text[MEMBER_TEXT_MAX_BYTES];             /* of the own record as it was put; text_len 0: none */
	size_t text_len;
	enum node_phase put_phase;
	uint64_t put_index, put_era;                  /* what was put last; index 0: nothing */
	uint8_t put_chain[CHAIN_BYTES];
	uint64_t era;
	int64_t put_ms, put_before_ms;                /* the last two puts */
	int64_t since_ms;                             /* wallclock of this keeper's start */
	int64_t database_retry_ms;
	uint64_t applied;                             /* the own position, as the database has it */
	bool has_list;                                /* of heartbeats, in this step */
	bool listed_self;
	struct member live[ROLL_MAX];
	size_t live_count;
	struct configured_member configured[MEMBERS_MAX];
	size_t configured_count;
	bool has_configured;
	struct roll roll;
	struct comparison comparison;
	int64_t doubt_since_ms, rebuild_at_ms;        /* 0: none */
	enum node_phase objection;
};

/* ---- care ---------------------------------------------------------------------------------------------- */

/* What pulse knows, for care; under keeper's mutex. */
struct keeper_knowledge {
	struct member live[ROLL_MAX];
	size_t live_count;
	struct configured_member configured[MEMBERS_MAX];
	size_t configured_count;
	bool no_space;                                /* etcd has refused something for want of space */
};

struct keeper_care {
	struct etcd *etcd;
	struct keeper_knowledge known;                /* a copy, for one step */
	bool on_duty;
	uint64_t audited_index;
	int64_t audited_ms;
	uint64_t compacted_index, compacted_log;      /* of the log with this create_revision */
	int64_t compacted_ms;
	int64_t alarms_ms;
	int64_t cure_at_ms, cure_pause_ms;            /* the next round of a cure: not before; 0: there was none */
	int cure_next;                                /* member that is defragmented next */
	int cure_rounds;
};

struct keeper {
	const struct cluster_config *config;
	struct node_state *state;
	struct replica *replica;
	struct follower *follower;
	struct reader_pool *readers;
	struct line_log log;
	bool has_log;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool stopping;
	struct keeper_knowledge knowledge;
	pthread_t threads[3];
	int thread_count;
	struct keeper_position position;
	struct keeper_pulse pulse;
	struct keeper_care care;
};

/*
 * All of a zeroed keeper whose config is set, but its readers and threads; release frees it, readers included. Errors: INTERNAL, OUT_OF_MEMORY;
 * release it then too.
 */
enum pygmy_error keeper_prepare(struct keeper *keeper);
void keeper_release(struct keeper *keeper);

/* Each returns the monotonic time of its next step. */
int64_t keeper_position_step(struct keeper *keeper);
int64_t keeper_pulse_step(struct keeper *keeper);
int64_t keeper_care_step(struct keeper *keeper);

/* Gives the lease back; called by pulse's thread at its end. */
void keeper_pulse_end(struct keeper *keeper);

/* keeper_verdict.c: what the others' chains say about ours, and what follows from it. Part of pulse's step. */
void keeper_judge(struct keeper *keeper);

/* keeper_space.c: etcd has no space left, or may have none. Part of care's step. */
void keeper_look_after_space(struct keeper *keeper);
/* The index to compact behind, 0: none; *mod_revision is etcd's revision of its entry. */
uint64_t keeper_compaction_index(struct keeper *keeper, struct compaction_margin margin, uint64_t *mod_revision);

/* Remembers that etcd refused something for want of space. */
void keeper_note_no_space(struct keeper *keeper);

/* A line of heartbeat.log, and of the process's log. */
void keeper_say(struct keeper *keeper, const char *event, const char *name, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Begins a read of the database as it is. False: it can't be read now. */
bool keeper_read(struct keeper *keeper, struct reader **reader);

bool keeper_is_configured(const struct configured_member *configured, size_t count, const char *name);

#endif
