/*
 * reach: whether the nodes of the cluster reach a frontend.
 *
 * A frontend that some nodes reach and others do not is fenced by those who do not. Were it let in again at once, it would be fenced again by
 * their next write, which has to wait for a lease's time before that, again and again. So who was fenced is let in when no node that
 * answers says that it can't reach it. (This is for speed only: a frontend that is let in by mistake is fenced again.)
 */
#ifndef PYGMY_DB_REACH_H
#define PYGMY_DB_REACH_H

#include "db/cluster.h"
#include "db/replica.h"

#define REACH_TRY_MS 200              /* of one try to reach a frontend; there are two */
#define REACH_ALL_MS 600              /* for the answers of all nodes */

/*
 * Whether this node reaches the frontend that takes pushes at url; blocks for 2 * REACH_TRY_MS at most. Errors: FRONTEND_UNREACHABLE,
 * OUT_OF_MEMORY. Any thread.
 */
enum pygmy_error reach_frontend(const struct cluster_config *config, const char *url);

/*
 * The same of all members that answer; one that does not may be dead. Blocks for REACH_ALL_MS at most, beside the own try. *who is the name of
 * one that can't reach it, or "". Errors: the same.
 */
enum pygmy_error reach_from_all(const struct cluster_config *config, const struct configured_member *members, size_t count, const char *url,
	char who[NODE_NAME_MAX_BYTES + 1]);

#endif
