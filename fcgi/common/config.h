/*
 * config: the settings of a worker. The environment beats the file named by $PYGMY_CONFIG, and that beats the default.
 *
 * The file has NAME=value lines that a shell and systemd read the same way: comments with `#`, values bare or in one pair of
 * single or double quotes, no expansions. Later lines win.
 */
#ifndef PYGMY_FCGI_CONFIG_H
#define PYGMY_FCGI_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "db/cluster.h"
#include "db/diagnostics.h"

#define WORKER_NAME_BYTES 32
#define FRONTENDS_BYTES 1024
#define ETCD_BYTES 2048

struct worker_config {
	char name[WORKER_NAME_BYTES];     /* PYGMY_NAME: [A-Za-z0-9-], "catalog-A" */
	char db_path[PATH_MAX];
	char state_dir[PATH_MAX];         /* PYGMY_STATE_DIR; "": none */
	char catalogue_path[PATH_MAX];    /* "": none */
	char secrets_dir[PATH_MAX];
	char log_dir[PATH_MAX];
	char frontends[FRONTENDS_BYTES];
	/* A node of a cluster; with etcd "" the rest is "" too. */
	char etcd[ETCD_BYTES];            /* PYGMY_ETCD: endpoints, this node's own first; "": the embedded store */
	char node[NODE_NAME_MAX_BYTES + 1];       /* PYGMY_NODE */
	char node_url[NODE_URL_MAX_BYTES + 1];    /* PYGMY_NODE_URL: where peers reach its catalog worker; "": nowhere */
	char peer_ca[PATH_MAX], peer_cert[PATH_MAX], peer_key[PATH_MAX];   /* "": no TLS */
	int lease_ms;
	int threads;
	enum diagnostics_level log_level;
};

/* kind ("catalog" or "order") gives the default name. False with a sentence in why. Before threads start. */
bool config_load(struct worker_config *config, const char *kind, char *why, size_t why_size);

#endif
