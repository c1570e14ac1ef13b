/*
 * keeper: the thread, beside the follower of a node, that looks after the replica and the log.
 *
 * Every T/4 it asks an endpoint (they take turns) where the log ends, by a linearizable read: that is what makes reads fresh. It publishes
 * this member's heartbeat, reads those of the others, writes heartbeat.log, compares chain hashes (verdict.h), asks for audits, compacts
 * the log (compaction.h), and cures NOSPACE. It never writes the database.
 */
#ifndef PYGMY_DB_KEEPER_H
#define PYGMY_DB_KEEPER_H

#include "db/cluster.h"
#include "db/follower.h"

struct keeper;

/* Starts the thread; called by the follower's thread when it has the node's lock. Errors: OUT_OF_MEMORY, INTERNAL. */
enum pygmy_error keeper_create(const struct cluster_config *config, struct node_state *state, struct replica *replica, struct follower *follower,
			       struct keeper **out);
/* Ends the thread and gives the member's lease back, so that the others see it leave. NULL is allowed. */
void keeper_destroy(struct keeper *keeper);

#endif
