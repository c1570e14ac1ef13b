/*
 * sim: a cluster in one thread, on a virtual clock, from one seed.
 *
 * The replicas run the real code: applier, apply, sequencer, recorded, the verdict and the compaction rule, on SQLite files in memory. Around
 * it stand models: of etcd's log key (sim_etcd.c), of what a node does with events, proposals and heartbeats (sim_node.c, sim_proposer.c,
 * sim_keeper.c: the rules of the follower, the log and the keeper, with messages that are lost, late, repeated and reordered), of clients that
 * retry through other nodes, and of a world that kills, cuts off, flips bits and takes disks away (sim_world.c). A judge who has applied every
 * entry without any fault (sim_judge.c) knows what is true.
 *
 * What must hold: see judge_*. A violation ends the schedule. Damage is dealt out within what the cluster is made to bear: at most a
 * minority of the replicas has lost its disk or holds flipped bits at a time, and no snapshot is taken from a replica whose flipped
 * bits nobody has found yet (in the store: what a snapshot's check does not see is found by the next audit). One situation needs a person, and
 * gets one when the world is calm: a replica differs from all that can be asked, and the others are behind the compaction.
 *
 * A rule can be taken out (enum mutant): the simulation must find out, or it would prove nothing.
 */
#ifndef PYGMY_TESTS_SIMULATION_SIM_H
#define PYGMY_TESTS_SIMULATION_SIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/applier.h"
#include "db/arena.h"
#include "db/command.h"
#include "db/entry.h"
#include "db/limits.h"
#include "db/recorded.h"
#include "db/sequencer.h"

#define NODES_MAX 5
#define VALUES_MAX 2000
#define EVENTS_MAX 4096
#define CLIENTS 4
#define REQUESTS_PER_CLIENT 6
#define REQUESTS (CLIENTS * REQUESTS_PER_CLIENT)
#define BATCH_COMMANDS 4
#define QUEUE_MAX 16
#define GROUP_MAX 8
#define WALK_MAX 4
#define NAME_BYTES 24

enum mutant {
	MUTANT_NONE,
	MUTANT_NEW_KEY,               /* a retry gets a key of its own */
	MUTANT_GAPS,                  /* whatever comes is taken for the next value */
	MUTANT_REPEATS,               /* so are values that are applied already */
	MUTANT_EARLY_ANSWER,          /* a put that is not answered counts as done */
	MUTANT_COMPACT_ALL,           /* the log is compacted up to its end */
	MUTANT_FALSE_DURABLE,         /* what is applied is published as durable */
	MUTANT_NO_VERDICT,            /* a replica that differs goes on */
	MUTANT_ANY_LOG,               /* the log's identity is not looked at */
	MUTANT_COUNT
};

/* ---- etcd (sim_etcd.c) ------------------------------------------------------------------------------ */

struct sim_etcd {
	uint64_t cluster_id, create_revision;
	uint64_t revision;            /* of the whole store */
	uint64_t compact_revision;    /* values that were superseded before it are gone */
	struct etcd_value values[VALUES_MAX];     /* version - 1 */
	size_t count;
};

/* ---- requests (sim_client.c) ------------------------------------------------------------------------ */

struct request {
	struct command command;       /* without base_index */
	char key[NAME_BYTES];
	int attempts;
	bool open;                    /* the client waits for an answer */
	bool acknowledged;
	struct result answer;         /* the acknowledged one */
	bool decided;                 /* an entry with it is in the log */
	struct result truth;          /* what that decided */
	int orders;                   /* that all entries together made of it */
};

/* ---- nodes ------------------------------------------------------------------------------------------- */

enum phase { PHASE_FOLLOWING, PHASE_NEEDS_SNAPSHOT, PHASE_IN_DOUBT, PHASE_OTHER_LOG };

struct batch {
	bool active;
	struct slice bytes;           /* sealed */
	int requests[BATCH_COMMANDS]; /* -1: an audit */
	size_t count;
	int number;                   /* tells answers to earlier batches apart */
	int tries;
	uint64_t index;               /* 0: not answered yet */
};

struct heartbeat {
	bool known;
	int64_t at;
	uint64_t applied, durable;
	uint8_t chain[CHAIN_BYTES];
};

struct node {
	int number;
	char path[NAME_BYTES];
	bool up, cut_off;
	int life;                     /* grows with each start: what was sent in an earlier one is lost */
	enum phase phase;
	struct applier *applier;
	struct recorded *recorded;
	sqlite3_stmt *chain_query;
	struct sequencer sequencer;
	int watch;                    /* number of the open watch; 0: none */
	int64_t behind_since;         /* 0: it is not */
	uint64_t durable;
	struct heartbeat published;
	int queue[QUEUE_MAX];
	size_t queued;
	struct batch batch;
	/* What only the judge knows. */
	bool flipped;                 /* a row is not what it should be */
	bool flipped_on_disk;         /* it was not at the last checkpoint or since: that may come back when the power is cut */
	bool lost_disk;               /* since it was wiped it was never again as durable as it had claimed */
	uint64_t claimed;
};

/* ---- the world --------------------------------------------------------------------------------------- */

enum event_type {
	EVENT_CLIENT, EVENT_PROPOSE, EVENT_PUT, EVENT_ANSWER, EVENT_BATCH_TIMEOUT, EVENT_REQUEST_TIMEOUT, EVENT_DELIVER, EVENT_KEEPER, EVENT_CHECKPOINT,
	EVENT_SNAPSHOT, EVENT_WORLD, EVENT_START, EVENT_REJOIN
};

struct event {
	int64_t at;
	uint64_t sequence;            /* breaks ties */
	enum event_type type;
	int node, life, number;       /* number: of the request, batch, watch ... */
	size_t first, count;          /* values of the log */
	struct slice bytes;
};

struct sim {
	uint64_t random;
	enum mutant mutant;
	bool tracing;
	int64_t now;                  /* virtual milliseconds */
	bool calm;                    /* no more faults: everything must come right now */
	struct arena arena;
	struct sim_etcd etcd;
	uint64_t base_index;
	int nodes;
	struct node node[NODES_MAX];
	struct request requests[REQUESTS];
	int watches, batches, snapshots;
	int persons;                  /* how often one had to decide */
	uint64_t audited;             /* the index behind which everything was audited; 0: not yet */
	bool violated;
	char violation[200];
	size_t event_count;
	uint64_t event_sequence;
	struct event events[EVENTS_MAX];      /* the last one: the others are zeroed for each schedule */
};

/* sim_schedule.c */

/* The databases with which schedules begin. */
bool sim_make_templates(struct sim *sim);
/* Returns whether everything held. *sim keeps what was violated, and its arena. */
bool sim_run_schedule(struct sim *sim, uint64_t seed, enum mutant mutant, bool tracing);

/* sim_clock.c */
void sim_trace(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Notes what was violated first. */
void sim_violation(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t sim_random(struct sim *sim, int64_t min, int64_t max);     /* [min, max] */
bool sim_chance(struct sim *sim, int percent);
/* A chance of a fault: never when the world is calm. */
bool sim_fault(struct sim *sim, int percent);
/* The event's node, life and so on are set; it comes after `delay` ms. */
void sim_schedule(struct sim *sim, int64_t delay, struct event event);
/* The next event happens. False: there is none. */
bool sim_step(struct sim *sim);
int sim_majority(const struct sim *sim);

/* sim_etcd.c */
/* The commands as a sealed entry, in the simulation's arena. */
struct slice etcd_entry(struct sim *sim, const struct command *commands, size_t count);
void etcd_init(struct sim *sim);
/* Returns the index that the value has in the store. */
uint64_t etcd_append(struct sim *sim, struct slice bytes);
/* The value as of revision (0: now); NULL: compacted. */
const struct etcd_value *etcd_value_at(const struct sim *sim, uint64_t revision);
void etcd_compact_to(struct sim *sim, uint64_t index);
uint64_t etcd_end(const struct sim *sim);
/* The first value (counted from 0) whose revision is at least this. */
size_t etcd_first_since(const struct sim *sim, uint64_t revision);

/* sim_node.c: the replica and its follower */
void node_start(struct sim *sim, struct node *node);
void node_kill(struct sim *sim, struct node *node);
void node_open_watch(struct sim *sim, struct node *node);
void node_deliver(struct sim *sim, struct node *node, const struct event *event);
void node_snapshot_arrives(struct sim *sim, struct node *node, const struct event *event);
void node_drop_snapshot(int number);
/* Ends the process, and leaves the files. */
void node_close(struct node *node);
void node_seek_snapshot(struct sim *sim, struct node *node);
/* etcd has put values [first, end) behind the others: open watches will hear of it. */
void nodes_hear(struct sim *sim, size_t first);
bool node_serves(const struct node *node);

/* sim_proposer.c */
void proposer_queue(struct sim *sim, struct node *node, int request);
void proposer_propose(struct sim *sim, struct node *node);
void proposer_put(struct sim *sim, const struct event *event);
void proposer_answer(struct sim *sim, struct node *node, const struct event *event);
void proposer_timeout(struct sim *sim, struct node *node, const struct event *event);
/* The node has applied more: a batch that waits for it may be answered. */
void proposer_applied(struct sim *sim, struct node *node);

/* sim_client.c */
void clients_start(struct sim *sim);
void client_acts(struct sim *sim, int client);
void client_times_out(struct sim *sim, const struct event *event);
void client_is_answered(struct sim *sim, const struct node *node, int request, const struct result *result);
bool clients_are_done(const struct sim *sim);

/* sim_keeper.c */
void keeper_tick(struct sim *sim, struct node *node);
void keeper_checkpoint(struct sim *sim, struct node *node);

/* sim_world.c */
void world_acts(struct sim *sim);
void world_calms(struct sim *sim);
/* Two replicas that differ, and no third one that could say who is right: a person looks, and takes the wrong one away. */
void world_decides(struct sim *sim);
void world_wipe(struct sim *sim, struct node *node);

/* sim_judge.c */
bool judge_open(void);
void judge_close(void);
/* The store is that of the template, and so is base_index. */
void judge_begin(struct sim *sim, const char *template_path);
/* A value was put behind the log: what it decides is known from now on. */
void judge_append(struct sim *sim, const struct etcd_value *value);
void judge_node(struct sim *sim, struct node *node);               /* the chain, at what it has applied */
void judge_books(struct sim *sim, const struct node *node);        /* stock, orders, keys, and every acknowledged order that it must have */
void judge_answer(struct sim *sim, const struct node *node, int request, const struct result *result);
void judge_end(struct sim *sim);                                   /* all replicas are equal and complete */
const uint8_t *judge_chain(uint64_t index);

#endif
