/*
 * follower: the thread by which a node keeps up with the log.
 *
 * Every worker process of a node has one; it waits for the node's lock (node_state.h), and the one that has it opens the database
 * (applier.h), watches the log key, applies what comes, and says so in the node's state. A gap is closed by walking back; a replica
 * that is too far behind, new, damaged or diverged loads a snapshot from a peer. The keeper (keeper.h) runs beside it.
 */
#ifndef PYGMY_DB_FOLLOWER_H
#define PYGMY_DB_FOLLOWER_H

#include <stdint.h>

#include "db/cluster.h"
#include "db/node_state.h"
#include "db/replica.h"

struct follower;

/* Starts the thread. All must outlive the follower. Errors: OUT_OF_MEMORY, INTERNAL. */
enum pygmy_error follower_create(const struct cluster_config *config, struct node_state *state, struct replica *replica, struct follower **out);
/* Ends the thread, within FOLLOWER_STOP_MS. NULL is allowed. */
#define FOLLOWER_STOP_MS 3000
void follower_destroy(struct follower *follower);

/* The keeper saw that the watch is behind: it is opened again at the next endpoint. */
void follower_drop_watch(struct follower *follower);
/* The replica is not right: it is rebuilt from a peer's snapshot. why is logged. */
void follower_rebuild(struct follower *follower, const char *why);
/* The index that the last completed checkpoint covers. */
uint64_t follower_durable(const struct follower *follower);

#endif
