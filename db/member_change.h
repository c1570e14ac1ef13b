/*
 * member_change: puts a change of the list of members into the log, past the proposer.
 *
 * The list must be changeable when nothing else is: when replicas are in doubt about each other, it is what a person decides by; and a
 * node that is no member yet may be the one that is asked. So it needs etcd's quorum and a replica that follows the log, but no ready one.
 */
#ifndef PYGMY_DB_MEMBER_CHANGE_H
#define PYGMY_DB_MEMBER_CHANGE_H

#include "db/cluster.h"
#include "db/command.h"
#include "db/node_state.h"
#include "db/result.h"

#define MEMBER_CHANGE_MS 2000

/*
 * command: MEMBER_SET or MEMBER_REMOVE; its base_index is not used. Waits until the node has applied it, deadline_ms (monotonic) at most.
 * Any thread. Errors (nothing was changed): NOT_READY, NO_QUORUM, LOG_FULL, OTHER_LOG, OUT_OF_MEMORY, INTERNAL. Error (it may have
 * happened): OUTCOME_UNKNOWN.
 */
enum pygmy_error member_change(const struct cluster_config *config, const struct command *command, struct node_state *state,
			       int64_t deadline_ms, struct result *out);

#endif
