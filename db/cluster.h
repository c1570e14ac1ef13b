/*
 * cluster: what the parts of a node in a cluster are told: who it is, where etcd is, and how it proves who it is.
 */
#ifndef PYGMY_DB_CLUSTER_H
#define PYGMY_DB_CLUSTER_H

#include "db/tls.h"

/* Keys of etcd, all of them below one prefix. */
#define CLUSTER_LOG_KEY "/pygmy/log"
#define CLUSTER_MEMBERS_PREFIX "/pygmy/members/"      /* + name: a member's heartbeat (member.h), with a lease */
#define CLUSTER_INITIALIZED_KEY "/pygmy/initialized"  /* is there when `pygmy init` has come to its end */

#define NODE_NAME_MAX_BYTES 16        /* [A-Za-z0-9-] */
#define MEMBERS_MAX 32
#define NODE_URL_MAX_BYTES 200

/* Strings belong to the caller and must outlive whoever is given the config. */
struct cluster_config {
	const char *node;             /* this member's name: "A" */
	const char *etcd;             /* endpoints, see etcd.h; this node's own first */
	struct tls_files tls;         /* between machines: etcd, peers, frontends */
	const char *peer_token;       /* bearer token that peers present to each other; "" for none */
	const char *catalog_url;      /* http(s)://address:port at which peers reach this node's catalog worker; "" for none */
	const char *version;          /* of the program */
	const char *db_path;
	const char *state_dir;        /* scratch files of snapshots */
	const char *log_dir;          /* heartbeat.log; "" for none */
	int lease_ms;                 /* T */
};

#endif
