/* node_phase: the names and texts of node_state.h's phases. */
#include "db/node_state.h"

struct phase_row {
	const char *code, *text;
};

static const struct phase_row rows[] = {
	[NODE_STARTING] = { "starting", "The replica is starting." },
	[NODE_CATCHING_UP] = { "catching_up", "The replica is catching up with the log." },
	[NODE_LOADING_SNAPSHOT] = { "loading_snapshot", "The replica is loading a snapshot from another member." },
	[NODE_READY] = { "ready", "The replica is ready." },
	[NODE_IN_DOUBT] = { "in_doubt", "The replica differs from another one, and no majority says who is right: start the other members, or"
					" compare the two and remove the wrong one." },
	[NODE_DIVERGED] = { "diverged", "The replica differs from the majority, and will be rebuilt from another member." },
	[NODE_OTHER_LOG] = { "other_log", "The database belongs to another log than the one in etcd. Nothing was changed. If etcd's log is the right one,"
					  " stop this node, move its database away and start it again; else restore the cluster from a backup." },
	[NODE_NO_LOG] = { "no_log", "etcd holds no log for this store: run `pygmy init` once, or restore the cluster from a backup." },
	[NODE_NOT_A_MEMBER] = { "not_a_member", "This node is not in the cluster's list of members: add it with `pygmy member add`." },
	[NODE_INCOMPATIBLE] = { "incompatible", "The log holds what a newer version of the program wrote: upgrade this node." },
	[NODE_STORAGE_FAILED] = { "storage_failed", "The database can't be read or written (is the disk full?). It is tried again." },
};

static const struct phase_row *find(enum node_phase phase)
{
	unsigned number = (unsigned)phase;
	return &rows[number < sizeof rows / sizeof rows[0] ? number : NODE_STARTING];
}

const char *node_phase_code(enum node_phase phase)
{
	return find(phase)->code;
}

const char *node_phase_text(enum node_phase phase)
{
	return find(phase)->text;
}
