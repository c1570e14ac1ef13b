/*
 * follower_internal: what the files follower*.c share. Everything but the orders belongs to the follower's thread.
 *
 *	follower.c           the thread, the node's lock, orders from others, pauses
 *	follower_store.c     the database: opening it, applying, and what its failures mean
 *	follower_log.c       which log etcd holds, and whether it is the database's
 *	follower_stream.c    the watch: judging what arrives, closing gaps
 *	follower_snapshot.c  building the database anew
 */
#ifndef PYGMY_DB_FOLLOWER_INTERNAL_H
#define PYGMY_DB_FOLLOWER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "db/applier.h"
#include "db/checkpointer.h"
#include "db/etcd_watch.h"
#include "db/follower.h"
#include "db/keeper.h"
#include "db/sequencer.h"

#define FOLLOWER_ETCD_MS 1000         /* for one question to etcd */
#define FOLLOWER_WHY_BYTES 200
#define FOLLOWER_SAID_MAX 4
#define FOLLOWER_PAUSE_MIN_MS 20

/* How a step ended, and so what comes next. */
enum step {
	STEP_GO_ON,
	STEP_AGAIN,                   /* from the beginning, at once */
	STEP_PAUSE,                   /* from the beginning, after a pause that grows */
	STEP_BEHIND,                  /* the log can't be followed from here any more: a snapshot */
	STEP_REBUILD                  /* the database is damaged or wrong: a snapshot, or the log from its beginning */
};

/* Which file a path named when it was looked at; inode 0: none. */
struct file_identity {
	dev_t device;
	ino_t inode;
};

struct follower_store {
	struct applier *applier;      /* NULL: not open */
	struct checkpointer *checkpointer;
	struct writer_turn *turn;
	struct file_identity wal, shm;
	bool failed;                  /* what the phase says until something is applied, or there is nothing to apply */
	uint64_t refused_index;       /* the last entry that the database refused, 0 for none */
	int64_t rebuilt_ms;           /* when it was last taken for wrong because of that */
};

struct follower {
	const struct cluster_config *config;
	struct node_state *state;
	struct replica *replica;
	pthread_t thread;

	pthread_mutex_t mutex;
	pthread_cond_t wake;          /* CLOCK_MONOTONIC */
	atomic_bool stopping, drop_watch, rebuild;
	char why[FOLLOWER_WHY_BYTES]; /* of rebuild; under the mutex */
	atomic_uint_fast64_t durable;

	struct etcd *etcd;
	struct etcd_watch *watch;
	int endpoint;                 /* of the watch */
	struct follower_store store;
	struct sequencer sequencer;
	struct etcd_position log;     /* etcd's log when it was last asked */
	struct arena arena;           /* of what is read one by one */
	int pause_ms;
	int64_t checked_ms;           /* when the files were last looked at */
	bool is_wrong;                /* was ordered to rebuild, and has not yet */
	const char *said[FOLLOWER_SAID_MAX];      /* the last complaints, which are not repeated */
	int said_count;
	struct {
		bool active;
		int64_t began_ms, said_ms;
		uint64_t from;
	} catch_up;
};

/* ---- follower.c -------------------------------------------------------------------------------------- */

/* Whether the thread must leave what it does: it is to stop, or another process has made a new state file. */
bool follower_must_leave(struct follower *follower);
/* Logs a sentence, unless it was said since things went well the last time (follower_is_well). text is static. */
void follower_say(struct follower *follower, const char *text, const char *detail);
void follower_is_well(struct follower *follower);

/* ---- follower_store.c -------------------------------------------------------------------------------- */

enum step store_open(struct follower *follower);
void store_close(struct follower *follower);
/* Closes the database when the file at its path is not the one that is open, and removes what the old one left behind. */
void store_check_file(struct follower *follower);
/* Applies values that are next, at most APPLY_GROUP_ENTRIES. */
enum step store_apply(struct follower *follower, const struct etcd_value *values, size_t count);
/* What a failure of the database means. */
enum step store_fails(struct follower *follower, enum pygmy_error error);

/* ---- follower_log.c ---------------------------------------------------------------------------------- */

/* Compares the database's log with etcd's; a new database, or one that a new log continues, takes that on. */
enum step log_find(struct follower *follower);

/* ---- follower_stream.c ------------------------------------------------------------------------------- */

/* Follows the log until something happens that a loop around it must deal with. */
enum step stream(struct follower *follower);

/* ---- follower_snapshot.c ----------------------------------------------------------------------------- */

/*
 * Builds the database anew from a peer's snapshot, or (is_wrong) from the log when all of it is still there. Nothing is destroyed before
 * there is something to put in its place. The database is closed behind it.
 */
enum step snapshot_load(struct follower *follower, bool is_wrong);

#endif
