/*
 * worker: start, threads, stop; see worker.h.
 *
 * Threads: the main one waits for signals, the opener opens the replica and ends, the others serve. Signals that stop the worker are
 * blocked in all of them and taken by sigwaitinfo in the main one, so nothing ever runs in a signal handler. libfcgi's own
 * stop switch, FCGX_ShutdownPending, is left alone: it makes reads and writes of running requests fail.
 */
#include "fcgi/common/worker.h"

#include <errno.h>
#include <fcgiapp.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "db/monotonic.h"
#include "db/version.h"
#include "fcgi/common/connections.h"
#include "fcgi/common/frontend_routes.h"
#include "fcgi/common/member_routes.h"
#include "fcgi/common/operator_routes.h"
#include "fcgi/common/server.h"

#define EXIT_WRONG_USAGE 2
#define LISTEN_FD 0
#define FAILED_START_MS 1000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define THREAD_STACK_BYTES (4 * WORKER_STACK_BYTES)
#else
#define THREAD_STACK_BYTES WORKER_STACK_BYTES
#endif

/* What the main thread waits for, and the opener between two tries. */
struct roll_call {
	pthread_mutex_t lock;
	pthread_cond_t changed;       /* CLOCK_MONOTONIC */
	int running;                  /* threads that have not ended */
	bool tried_to_open;           /* the opener's first try has ended */
	bool stopping;
};

static struct worker the_worker;
static struct connections the_connections;
static struct roll_call roll_call = { .lock = PTHREAD_MUTEX_INITIALIZER };

void worker_init(struct worker *worker, const struct worker_app *app)
{
	memset(worker, 0, sizeof *worker);
	worker->app = app;
	worker->transactions.fd = -1;
	roster_init(&worker->roster);
	metrics_init(&worker->metrics);
	for (size_t i = 0; i < app->route_count && worker->route_count < ROUTES_MAX; i++)
		worker->routes[worker->route_count++] = &app->routes[i];
	for (size_t i = 0; i < operator_route_count && worker->route_count < ROUTES_MAX; i++)
		worker->routes[worker->route_count++] = &operator_routes[i];
	for (size_t i = 0; i < frontend_route_count && worker->route_count < ROUTES_MAX; i++)
		worker->routes[worker->route_count++] = &frontend_routes[i];
	for (size_t i = 0; i < member_route_count && worker->route_count < ROUTES_MAX; i++)
		worker->routes[worker->route_count++] = &member_routes[i];
}

/* ---- roll call ---------------------------------------------------------------------------------------- */

static struct timespec after_ms(int64_t deadline_ms)
{
	return (struct timespec){ .tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000 };
}

static void roll_call_init(void)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&roll_call.changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void thread_ends(void)
{
	pthread_mutex_lock(&roll_call.lock);
	roll_call.running--;
	pthread_cond_broadcast(&roll_call.changed);
	pthread_mutex_unlock(&roll_call.lock);
}

/* Waits until the worker is told to stop, for wait_ms at most. */
static bool is_stopping_after(int wait_ms)
{
	struct timespec deadline = after_ms(monotonic_ms() + wait_ms);
	pthread_mutex_lock(&roll_call.lock);
	while (!roll_call.stopping && pthread_cond_timedwait(&roll_call.changed, &roll_call.lock, &deadline) == 0)
		continue;
	bool stopping = roll_call.stopping;
	pthread_mutex_unlock(&roll_call.lock);
	return stopping;
}

static void first_try_ends(void)
{
	pthread_mutex_lock(&roll_call.lock);
	roll_call.tried_to_open = true;
	pthread_cond_broadcast(&roll_call.changed);
	pthread_mutex_unlock(&roll_call.lock);
}

/*
 * Requests that come while the worker starts wait in the listen queue instead of being refused: after a crash there may be no
 * other worker to ask. A database that takes longer, or does not open, is no reason to be silent.
 */
static void wait_for_first_try(void)
{
	struct timespec deadline = after_ms(monotonic_ms() + OPEN_SILENCE_MS);
	pthread_mutex_lock(&roll_call.lock);
	while (!roll_call.tried_to_open && pthread_cond_timedwait(&roll_call.changed, &roll_call.lock, &deadline) == 0)
		continue;
	pthread_mutex_unlock(&roll_call.lock);
}

/* Waits until all threads have ended. Returns how many have not at the deadline. */
static int wait_for_threads(int64_t deadline_ms)
{
	struct timespec deadline = after_ms(deadline_ms);
	pthread_mutex_lock(&roll_call.lock);
	while (roll_call.running > 0 && pthread_cond_timedwait(&roll_call.changed, &roll_call.lock, &deadline) == 0)
		continue;
	int left = roll_call.running;
	pthread_mutex_unlock(&roll_call.lock);
	return left;
}

static bool start_thread(pthread_t *thread, void *(*run)(void *))
{
	pthread_attr_t attributes;
	pthread_mutex_lock(&roll_call.lock);
	roll_call.running++;
	pthread_mutex_unlock(&roll_call.lock);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	int error = pthread_create(thread, &attributes, run, NULL);
	pthread_attr_destroy(&attributes);
	if (error == 0)
		return true;
	diagnose_error("worker: can't start a thread: %s", strerror(error));
	thread_ends();
	return false;
}

/* ---- serving ------------------------------------------------------------------------------------------ */

static void *run_server(void *unused)
{
	(void)unused;
	if (!server_run(&the_worker, &the_connections))
		diagnose_error("worker: no memory for a thread");
	thread_ends();
	return NULL;
}

/* ---- the replica -------------------------------------------------------------------------------------- */

/* Strings are those of the worker. */
static const struct cluster_config *cluster_of(struct worker *worker)
{
	const struct worker_config *config = &worker->config;
	if (config->etcd[0] == '\0')
		return NULL;
	if (worker->auth.has_peer)
		memcpy(worker->peer_token, worker->auth.peer, TOKEN_HEX_LEN);
	worker->cluster = (struct cluster_config){
		.node = config->node,
		.etcd = config->etcd,
		.tls = { config->peer_ca, config->peer_cert, config->peer_key },
		.peer_token = worker->peer_token,
		.catalog_url = config->node_url,
		.version = PYGMY_VERSION,
		.db_path = config->db_path,
		.state_dir = config->state_dir,
		.log_dir = config->log_dir,
		.lease_ms = config->lease_ms,
	};
	return &worker->cluster;
}

static void tell_opened(const struct worker *worker, struct replica *replica, int64_t began_ms)
{
	char log_id[LOG_ID_TEXT_LEN + 1];
	if (worker->config.etcd[0] != '\0') {
		diagnose_info("worker: one of node %s's; the log is in etcd at %s", worker->config.node, worker->config.etcd);
		return;
	}
	replica_log_id(replica, log_id);
	diagnose_info("worker: ready; the database %s was %s in %lld ms, log %s", worker->config.db_path,
		replica_how_started(replica) == REPLICA_CREATED ? "created" : "opened", (long long)(monotonic_ms() - began_ms), log_id);
}

static bool open_replica(struct worker *worker)
{
	const struct worker_config *config = &worker->config;
	struct replica_config replica_config = {
		.db_path = config->db_path,
		.catalogue_path = worker->app->loads_catalogue && config->catalogue_path[0] != '\0' ? config->catalogue_path : NULL,
		.frontends = config->frontends,
		.lease_ms = config->lease_ms,
		.reader_max = config->threads,
		.cluster = cluster_of(worker),
	};
	struct replica *replica = NULL;
	int64_t began_ms = monotonic_ms();
	enum pygmy_error error = replica_open(&replica_config, &replica);
	atomic_store(&worker->open_error, error);
	if (error != PYGMY_OK)
		return false;
	atomic_store_explicit(&worker->replica, replica, memory_order_release);
	tell_opened(worker, replica, began_ms);
	return true;
}

static void *run_opener(void *unused)
{
	(void)unused;
	int pause_ms = OPEN_RETRY_MS;
	bool open = open_replica(&the_worker);
	first_try_ends();
	for (; !open; open = open_replica(&the_worker)) {
		enum pygmy_error error = (enum pygmy_error)atomic_load(&the_worker.open_error);
		diagnose_error("worker: the database does not open (%s); trying again in %d ms", error_code(error), pause_ms);
		if (is_stopping_after(pause_ms))
			break;
		pause_ms = 2 * pause_ms < OPEN_RETRY_MAX_MS ? 2 * pause_ms : OPEN_RETRY_MAX_MS;
	}
	thread_ends();
	return NULL;
}

/* ---- start and stop ----------------------------------------------------------------------------------- */

static void stop_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGQUIT);      /* what multiwatch sends when it is told to end itself */
	sigaddset(signals, SIGUSR1);
}

static bool is_listening(int fd)
{
	int listening = 0;
	socklen_t len = sizeof listening;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

/* multiwatch starts a worker again at once: a start that can't succeed must not become a loop at full speed. */
static int fail_slowly(void)
{
	sigset_t signals;
	struct timespec pause = { .tv_sec = FAILED_START_MS / 1000 };
	stop_signals(&signals);
	sigtimedwait(&signals, NULL, &pause);
	return EXIT_FAILURE;
}

/*
 * There are two workers of a kind on a machine, so that many of them fill it. Where most requests wait for somebody (for a batch's commit, in a
 * cluster for etcd) each thread has a seat: to leave one costs as much as it saves.
 */
static int seats_of(const struct worker *worker)
{
	cpu_set_t processors;
	bool few = worker->app->is_mostly_quick && worker->config.etcd[0] == '\0';
	if (!few || sched_getaffinity(0, sizeof processors, &processors) != 0)
		return worker->config.threads;
	int seats = CPU_COUNT(&processors) / 2;
	return seats < 1 ? 1 : seats < worker->config.threads ? seats : worker->config.threads;
}

static bool prepare(struct worker *worker, const struct worker_app *app)
{
	char why[256];
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	worker_init(worker, app);
	if (!config_load(&worker->config, app->kind, why, sizeof why)) {
		diagnose_error("worker: %s", why);
		return false;
	}
	diagnostics_init(worker->config.name, worker->config.log_level);
	if (sodium_init() < 0 || FCGX_Init() != 0) {
		diagnose_error("worker: libsodium or libfcgi does not start");
		return false;
	}
	json_object_seed(0);
	roll_call_init();
	if (!connections_init(&the_connections, LISTEN_FD, CONNECTIONS_MAX, seats_of(worker))) {
		diagnose_error("worker: can't watch the socket: %s", strerror(errno));
		return false;
	}
	lifecycle_begin(&worker->lifecycle, worker->config.db_path, worker->config.name);
	auth_load(&worker->auth, worker->config.secrets_dir);
	if (app->logs_transactions) {
		char path[PATH_MAX + WORKER_NAME_BYTES + 32];
		snprintf(path, sizeof path, "%s/%s.transactions.log", worker->config.log_dir, worker->config.name);
		line_log_open(&worker->transactions, "transaction log", path, LINE_LOG_MAX_BYTES);
	}
	if (app->makes_snapshots && worker->config.state_dir[0] != '\0'
			&& snapshot_maker_create(worker->config.db_path, worker->config.state_dir, &worker->snapshots) != PYGMY_OK)
		diagnose_error("worker: no memory to make snapshots with");
	return true;
}

/* Running requests end, waiting threads wake up. Returns how many threads did not make it in time. */
static int stop_threads(struct worker *worker)
{
	int64_t deadline_ms = monotonic_ms() + STOP_DEADLINE_MS;
	atomic_store(&worker->stopping, true);
	struct replica *replica = atomic_load(&worker->replica);
	if (replica != NULL)
		replica_stop_proposals(replica);
	if (worker->snapshots != NULL)
		snapshot_maker_stop(worker->snapshots);
	pthread_mutex_lock(&roll_call.lock);
	roll_call.stopping = true;
	pthread_cond_broadcast(&roll_call.changed);
	pthread_mutex_unlock(&roll_call.lock);
	connections_stop(&the_connections);
	return wait_for_threads(deadline_ms);
}

static void close_all(struct worker *worker)
{
	roster_close(&worker->roster);
	replica_close(atomic_load(&worker->replica));
	snapshot_maker_destroy(worker->snapshots);
	if (worker->app->logs_transactions)
		line_log_close(&worker->transactions);
	connections_close(&the_connections);
}

/* Arguments are for people: systemd, spawn-fcgi and multiwatch give none. */
static int answer_arguments(const struct worker_app *app, int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("%s %s\n", app->kind, PYGMY_VERSION) > 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	fprintf(stderr, "pygmy %s takes no argument but --version; its settings come from the environment\n", app->kind);
	return EXIT_WRONG_USAGE;
}

int worker_run(const struct worker_app *app, int argc, char **argv)
{
	struct worker *worker = &the_worker;
	pthread_t threads[WORKER_THREADS_MAX + 1];
	int started = 0, signal_number = 0;
	sigset_t signals;
	if (argc > 1)
		return answer_arguments(app, argc, argv);
	if (!is_listening(LISTEN_FD)) {
		fprintf(stderr, "pygmy %s: standard input is no listening socket. Start it with: spawn-fcgi -n -s SOCKET -- multiwatch -- PROGRAM\n",
			app->kind);
		return EXIT_FAILURE;
	}
	stop_signals(&signals);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (!prepare(worker, app))
		return fail_slowly();
	diagnose_info("worker: %s %s, pid %d, %d threads", app->kind, PYGMY_VERSION, (int)getpid(), worker->config.threads);
	if (!start_thread(&threads[started++], run_opener))
		return fail_slowly();
	wait_for_first_try();
	while (started <= worker->config.threads && start_thread(&threads[started], run_server))
		started++;
	if (started < 2)
		return fail_slowly();
	while ((signal_number = sigwaitinfo(&signals, NULL)) < 0)
		continue;
	diagnose_info("worker: stopping on %s", strsignal(signal_number));
	int left = stop_threads(worker);
	lifecycle_end(&worker->lifecycle);
	if (left > 0) {
		/* Their requests are cut; nginx asks another worker, with the same request key. */
		diagnose_warning("worker: stopped with %d threads still busy after %d ms", left, STOP_DEADLINE_MS);
		_exit(EXIT_SUCCESS);
	}
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	close_all(worker);
	diagnose_info("worker: stopped");
	return EXIT_SUCCESS;
}
