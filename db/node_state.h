/*
 * node_state: what the worker processes of one node know together about their replica, in a small shared mapping beside the
 * database file (`<db>-node-<boot id>`, 0600): who follows the log, how far it is applied, and until when reads count as fresh.
 *
 * Of the node's processes one is its follower: it holds the robust lock and does everything that a node does once (watch,
 * apply, heartbeat, snapshot, care). When it is killed, the kernel gives the lock to the next. The other words are atomics that
 * the follower writes and everybody reads; waits are futex waits on a counter, so that no killed process can leave a waiter or
 * a writer hanging. All times are CLOCK_MONOTONIC milliseconds, which all processes of a machine share.
 */
#ifndef PYGMY_DB_NODE_STATE_H
#define PYGMY_DB_NODE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "db/error.h"

struct node_state;

/* What the replica is doing; the text for people and the code for programs are those of node_phase_text and _code. */
enum node_phase {
	NODE_STARTING = 0,            /* nobody follows yet */
	NODE_CATCHING_UP,             /* follows, and was never complete since the start */
	NODE_LOADING_SNAPSHOT,
	NODE_READY,
	NODE_IN_DOUBT,                /* differs from another replica, and there is no majority to say who is right */
	NODE_DIVERGED,                /* differs from the majority: rebuilds itself */
	NODE_OTHER_LOG,               /* the database belongs to another log than etcd's: a person decides */
	NODE_NO_LOG,                  /* etcd holds no log: `pygmy init` was not run */
	NODE_NOT_A_MEMBER,            /* not in the list of members (any more) */
	NODE_INCOMPATIBLE,            /* the log holds what a newer version wrote */
	NODE_STORAGE_FAILED
};

/* Maps the state of the node whose database is db_path, making it when there is none. Errors: STORAGE_FAILED, OUT_OF_MEMORY. */
enum pygmy_error node_state_open(const char *db_path, struct node_state **out);
void node_state_close(struct node_state *state);          /* NULL is allowed; gives back the follower's lock if this thread holds it */

/*
 * Maps the file again when it was deleted or replaced (somebody wiped the node's files while processes used them), so that all processes of
 * the node meet again. About once a second, by the thread that may take the lock, and without it. False: it can't be mapped now.
 */
bool node_state_refresh(struct node_state *state);
/* Whether a refresh would map another file: who holds the lock must give it back first. */
bool node_state_is_current(const struct node_state *state);

/* ---- the follower's lock. The thread that took it gives it back. ------------------------------------- */

bool node_state_lock(struct node_state *state, int timeout_ms);
void node_state_unlock(struct node_state *state);

/* ---- written by the follower ------------------------------------------------------------------------- */

/* Entries up to index are applied and committed; wakes who waits. May go back (a rebuilt replica): then nothing is complete any more. */
void node_state_set_applied(struct node_state *state, uint64_t index);
/* CATCHING_UP becomes READY by itself, as soon as the replica is complete. */
void node_state_set_phase(struct node_state *state, enum node_phase phase);
/*
 * For the keeper: why a replica that is READY otherwise must not serve all the same: NODE_IN_DOUBT, NODE_DIVERGED or NODE_NOT_A_MEMBER;
 * NODE_READY takes it back. Shown only in place of READY, so that it never hides what the follower has to say.
 */
void node_state_object(struct node_state *state, enum node_phase phase);
/* The log's identity and where its indexes begin: index = base_index + version of the log key. Another log than before: nothing is complete. */
void node_state_set_log(struct node_state *state, uint64_t cluster_id, uint64_t create_revision, uint64_t base_index);

/*
 * Somebody learned by a linearizable read, sent at sent_at_ms, that the log then ended at index end: once that is applied, the replica
 * is complete as of sent_at_ms. A read that was sent before an earlier one changes nothing. Any thread of the follower's process (what
 * is not settled yet is kept in its memory, so that no two processes ever wait for each other).
 */
void node_state_set_end(struct node_state *state, uint64_t end, int64_t sent_at_ms);

/* Whether a linearizable read could be made lately: false means that the quorum is lost (or we are cut off from it). */
void node_state_set_quorum(struct node_state *state, bool reachable);

/* ---- read by everybody -------------------------------------------------------------------------------- */

struct node_view {
	enum node_phase phase;
	uint64_t applied;
	uint64_t end;                 /* the newest known end of the log; applied may be further */
	int64_t complete_at_ms;       /* the replica is complete as of this time; 0: never was */
	bool quorum;
	uint64_t cluster_id, create_revision, base_index;
};
void node_state_view(const struct node_state *state, struct node_view *out);

/* Waits until index is applied. False at the deadline, or when the phase says that it will not be soon (anything but CATCHING_UP and what can be READY). */
bool node_state_wait_applied(struct node_state *state, uint64_t index, int64_t deadline_ms);
/* Waits until the replica is complete as of since_ms or later. */
bool node_state_wait_complete(struct node_state *state, int64_t since_ms, int64_t deadline_ms);

/* Static strings. */
const char *node_phase_code(enum node_phase phase);       /* "catching_up" */
const char *node_phase_text(enum node_phase phase);       /* a sentence that says what to do, if there is something to do */

#endif
