/*
 * log_etcd: the log of a cluster: the batch becomes one value of one key of etcd, which orders, replicates and keeps it, and every
 * replica follows that key. Proposing and following meet in the node's state only.
 */
#ifndef PYGMY_DB_LOG_ETCD_H
#define PYGMY_DB_LOG_ETCD_H

#include "db/cluster.h"
#include "db/log.h"
#include "db/node_state.h"

/* config and state must outlive the log. Errors: OUT_OF_MEMORY, INTERNAL. */
enum pygmy_error log_etcd_open(const struct cluster_config *config, struct node_state *state, struct log **out);

#endif
