/*
 * worker: a process that serves one app (catalog or order) over FastCGI with many threads, and everything those share.
 *
 * Its threads start at once and answer /livez; the replica is opened beside them, and tried again (OPEN_RETRY_MS) while that
 * fails (a full disk, a database of another version), so that a worker says why it is not ready instead of dying in a circle.
 * On SIGTERM, SIGINT, SIGQUIT or SIGUSR1 it takes no new requests, refuses new writes, lets running requests finish for at most
 * STOP_DEADLINE_MS, and exits with 0.
 */
#ifndef PYGMY_FCGI_WORKER_H
#define PYGMY_FCGI_WORKER_H

#include <stdatomic.h>

#include "db/replica.h"
#include "db/roster.h"
#include "db/snapshot.h"
#include "fcgi/common/admission.h"
#include "fcgi/common/auth.h"
#include "fcgi/common/config.h"
#include "fcgi/common/lifecycle.h"
#include "fcgi/common/metrics.h"
#include "fcgi/common/route.h"
#include "fcgi/common/transaction_log.h"

struct worker_app {
	const char *kind;                 /* "catalog", "order" */
	const struct route *routes;
	size_t route_count;
	bool loads_catalogue;             /* on the store's first start */
	bool logs_transactions;
	bool makes_snapshots;             /* for /snapshot */
	bool is_mostly_quick;             /* most requests wait for nobody, on a store on one machine */
};

struct worker {
	const struct worker_app *app;
	struct worker_config config;
	struct auth auth;
	struct metrics metrics;
	struct admission admission;
	struct lifecycle lifecycle;
	struct line_log transactions;          /* open when app->logs_transactions */
	const struct route *routes[ROUTES_MAX];   /* the app's and the operators' */
	size_t route_count;
	struct cluster_config cluster;         /* of a node; etcd NULL: none */
	char peer_token[TOKEN_HEX_LEN + 1];
	_Atomic(struct replica *) replica;     /* NULL until it is open */
	struct roster roster;                  /* the heartbeats of a cluster's members */
	atomic_int open_error;                 /* enum pygmy_error of the last try */
	struct snapshot_maker *snapshots;      /* NULL: it makes none */
	atomic_bool stopping;
	atomic_int_fast64_t overload_second;   /* serve.c: the last one in which an overload was logged */
	atomic_int_fast64_t complaint_window;  /* serve.c: the second in which failures are logged */
	atomic_int_fast64_t complaints;        /* how many were logged in it */
};

/* Fills in what needs no I/O: routes and metrics. For tests too. */
void worker_init(struct worker *worker, const struct worker_app *app);

/* main() of an app, whose only argument is --version. Returns the exit status. */
int worker_run(const struct worker_app *app, int argc, char **argv);

#endif
