/* operator_routes: see operator_routes.h. */
#include "fcgi/common/operator_routes.h"

#include <unistd.h>

#include "db/monotonic.h"
#include "db/version.h"
#include "fcgi/common/parameter.h"
#include "fcgi/common/process_metrics.h"
#include "fcgi/common/read.h"
#include "fcgi/common/worker.h"

static struct replica *replica_of(const struct exchange *exchange)
{
	return atomic_load_explicit(&exchange->worker->replica, memory_order_acquire);
}

static void livez(struct exchange *exchange)
{
	writer_put_literal(&exchange->out, "{");
	exchange_end_success(exchange, 200, SLICE_LITERAL("alive"), 0);
}

/* ---- readiness ---------------------------------------------------------------------------------------- */

struct check {
	const char *name;
	enum pygmy_error error;
	const char *why;              /* for people; NULL: the error's text */
	bool decides;                 /* whether the worker is unready without it */
};

#define CHECK_COUNT 4

static void run_checks(const struct exchange *exchange, struct check checks[CHECK_COUNT])
{
	struct worker *worker = exchange->worker;
	struct replica *replica = replica_of(exchange);
	enum pygmy_error open_error = (enum pygmy_error)atomic_load(&worker->open_error);
	if (replica == NULL && open_error == PYGMY_OK)
		open_error = PYGMY_NOT_READY;
	bool log_fails = worker->app->logs_transactions && atomic_load(&worker->transactions.last_errno) != 0;
	checks[0] = (struct check){ "database", replica != NULL ? PYGMY_OK : open_error, NULL, true };
	checks[1] = (struct check){ "replica", PYGMY_NOT_READY, NULL, true };
	if (replica != NULL)
		checks[1].error = replica_ready(replica, &checks[1].why);
	checks[2] = (struct check){ "running", atomic_load(&worker->stopping) ? PYGMY_STOPPING : PYGMY_OK, NULL, true };
	checks[3] = (struct check){ "transaction_log", log_fails ? PYGMY_STORAGE_FAILED : PYGMY_OK, NULL, false };
}

/* A frontend leaves out a replica that lags before its answers are too old: who reads there would have to wait. */
static void check_age(const struct exchange *exchange, int64_t max_age_ms, struct check *replica_check)
{
	struct replica *replica = replica_of(exchange);
	if (replica == NULL || replica_check->error != PYGMY_OK || replica_age_ms(replica) <= max_age_ms)
		return;
	replica_check->error = PYGMY_BEHIND;
	replica_check->why = "The replica is behind the log.";
}

static const char *reason(const struct check *check)
{
	return check->why != NULL ? check->why : error_text(check->error);
}

static void put_checks(const struct check checks[CHECK_COUNT], struct writer *out)
{
	writer_put_literal(out, "\"checks\":[");
	for (int i = 0; i < CHECK_COUNT; i++) {
		writer_put_text(out, i > 0 ? ",{\"name\":\"" : "{\"name\":\"");
		writer_put_text(out, checks[i].name);
		writer_put_text(out, checks[i].error == PYGMY_OK ? "\",\"ok\":true" : "\",\"ok\":false");
		if (checks[i].error != PYGMY_OK) {
			writer_put_literal(out, ",\"reason\":");
			writer_put_json_string(out, slice_of(reason(&checks[i])));
		}
		writer_put_literal(out, "}");
	}
	writer_put_literal(out, "],");
}

static void readyz(struct exchange *exchange)
{
	struct check checks[CHECK_COUNT];
	const struct check *failed = NULL;
	struct refusal refusal;
	int64_t max_age_ms;
	if (!parameter_int(&exchange->request.query, "max_age_ms", 1, INT64_MAX, INT64_MAX, &max_age_ms, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	run_checks(exchange, checks);
	check_age(exchange, max_age_ms, &checks[1]);
	for (int i = CHECK_COUNT - 1; i >= 0; i--)
		if (checks[i].decides && checks[i].error != PYGMY_OK)
			failed = &checks[i];
	bool verbose = parameter_find(&exchange->request.query, "verbose") != NULL;
	struct writer *out = &exchange->out;
	if (failed == NULL) {
		writer_put_literal(out, "{");
		if (verbose)
			put_checks(checks, out);
		exchange_end_success(exchange, 200, SLICE_LITERAL("ready"), 0);
		return;
	}
	exchange_fail(exchange, PYGMY_NOT_READY, "This worker is not ready (%s): %s", failed->name, reason(failed));
	if (!verbose)
		return;
	/* The error's envelope, with the checks in their alphabetical place: before "code". */
	struct slice envelope = arena_copy(&exchange->arena, exchange_body(exchange));
	exchange_drop_body(exchange);
	writer_put_literal(out, "{");
	put_checks(checks, out);
	if (envelope.len > 1)
		writer_put(out, (struct slice){ envelope.ptr + 1, envelope.len - 1 });
	else
		out->failed = true;
}

/* ---- status ------------------------------------------------------------------------------------------- */

/* Members come in the order of their calls, which the callers keep alphabetical. */
static void put_text_member(struct writer *out, const char *name, const char *value)
{
	writer_printf(out, "\"%s\":", name);
	writer_put_json_string(out, slice_of(value));
	writer_put_literal(out, ",");
}

static void put_int_member(struct writer *out, const char *name, int64_t value)
{
	writer_printf(out, "\"%s\":", name);
	writer_put_int(out, value);
	writer_put_literal(out, ",");
}

/* Operators ask what there is: however old it is, and without waiting. */
static const struct read_terms as_it_is = { .stale_allowed = true };

static bool get_counts(struct replica *replica, struct reader_counts *counts)
{
	struct reader *reader = NULL;
	if (replica == NULL || reader_begin(replica, &as_it_is, monotonic_ms(), &reader) != PYGMY_OK)
		return false;
	bool good = reader_counts(reader, counts) == PYGMY_OK;
	reader_end(reader);
	return good;
}

static void put_worker(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct writer *out = &exchange->out;
	struct replica *replica = replica_of(exchange);
	struct reader_counts counts;
	bool counted = get_counts(replica, &counts);
	uint64_t answers, failures;
	metrics_totals(&worker->metrics, &answers, &failures);
	writer_put_literal(out, "\"worker\":{");
	if (counted)
		put_text_member(out, "chain", counts.chain_hex);
	put_int_member(out, "connections", atomic_load(&worker->metrics.connections));
	put_int_member(out, "crashes", (int64_t)worker->lifecycle.crashes);
	put_int_member(out, "failures", (int64_t)failures);
	put_text_member(out, "how_started", lifecycle_how_text(worker->lifecycle.how));
	if (counted)
		put_int_member(out, "items", counts.items);
	put_text_member(out, "kind", worker->app->kind);
	if (replica != NULL) {
		char log_id[LOG_ID_TEXT_LEN + 1];
		replica_log_id(replica, log_id);
		put_text_member(out, "log_id", log_id);
	}
	put_text_member(out, "name", worker->config.name);
	if (counted)
		put_int_member(out, "orders", counts.orders);
	if (replica != NULL && replica_cluster(replica) != NULL) {
		struct node_view view;
		node_state_view(replica_node_state(replica), &view);
		put_text_member(out, "phase", node_phase_code(view.phase));
	}
	put_int_member(out, "pid", getpid());
	if (replica != NULL)
		put_int_member(out, "proposals_waiting", (int64_t)atomic_load(&replica_stats(replica)->proposals_waiting));
	writer_put_text(out, replica != NULL && replica_ready(replica, NULL) == PYGMY_OK ? "\"ready\":true," : "\"ready\":false,");
	put_int_member(out, "requests", (int64_t)answers);
	put_int_member(out, "restarts", (int64_t)worker->lifecycle.starts - 1);
	if (counted)
		put_int_member(out, "revision", (int64_t)counts.revision);
	put_int_member(out, "started_ms", worker->lifecycle.started_ms);
	put_int_member(out, "threads", worker->config.threads);
	put_int_member(out, "threads_busy", atomic_load(&worker->metrics.busy));
	if (worker->app->logs_transactions)
		put_int_member(out, "transaction_lines_lost", (int64_t)atomic_load(&worker->transactions.lost));
	writer_put_literal(out, "\"version\":\"" PYGMY_VERSION "\"}");
}

static void status(struct exchange *exchange)
{
	struct writer *out = &exchange->out;
	writer_put_literal(out, "{\"message\":{},\"status\":\"Success\",\"validation_code\":200,");
	put_worker(exchange);
	writer_put_literal(out, "}\n");
	exchange->answer.status = 200;
}

/* ---- metrics ------------------------------------------------------------------------------------------ */

static void put_counter(struct writer *out, const char *name, const char *help, const atomic_uint_fast64_t *counter)
{
	metrics_write_value(out, name, "counter", help, (double)atomic_load_explicit(counter, memory_order_relaxed));
}

static void put_histogram(struct writer *out, const char *name, const char *help, const struct histogram *histogram)
{
	writer_printf(out, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name);
	metrics_write_histogram(histogram, name, "", out);
}

static void put_gauge(struct writer *out, const char *name, const char *help, double value)
{
	metrics_write_value(out, name, "gauge", help, value);
}

static void put_node(struct writer *out, struct replica *replica)
{
	struct node_view view;
	node_state_view(replica_node_state(replica), &view);
	int64_t age_ms = monotonic_ms() - view.complete_at_ms;
	writer_printf(out, "# HELP pygmy_replica_phase 1 for what the replica is doing.\n# TYPE pygmy_replica_phase gauge\n");
	for (int phase = NODE_STARTING; phase <= NODE_STORAGE_FAILED; phase++)
		writer_printf(out, "pygmy_replica_phase{phase=\"%s\"} %d\n", node_phase_code((enum node_phase)phase), phase == (int)view.phase);
	put_gauge(out, "pygmy_replica_applied", "Index of the last entry that the node has applied.", (double)view.applied);
	put_gauge(out, "pygmy_replica_lag_entries", "Entries of the log that the node has still to apply.",
		view.end > view.applied ? (double)(view.end - view.applied) : 0);
	put_gauge(out, "pygmy_log_end", "Index of the last entry of the log, as far as the node knows.", (double)view.end);
	put_gauge(out, "pygmy_log_quorum", "1 when the majority of the log's servers could be reached lately.", view.quorum ? 1 : 0);
	if (view.complete_at_ms != 0)
		put_gauge(out, "pygmy_replica_age_seconds", "How old reads may be, before they are waited for.", (double)(age_ms > 0 ? age_ms : 0) / 1000);
}

static void put_replica(struct writer *out, struct replica *replica)
{
	const struct replica_stats *stats = replica_stats(replica);
	struct reader *reader = NULL;
	put_counter(out, "pygmy_commands_applied_total", "Commands that changed the store.", &stats->commands_applied);
	put_counter(out, "pygmy_commands_repeated_total", "Commands answered from the record of their request key.", &stats->commands_repeated);
	put_counter(out, "pygmy_commands_refused_total", "Commands that were refused by their rules.", &stats->commands_refused);
	put_counter(out, "pygmy_proposals_failed_total", "Proposals without a result: full disk, overload, unknown outcome.",
		&stats->proposals_failed);
	metrics_write_value(out, "pygmy_proposals_waiting", "gauge", "Proposals in the queue.",
		(double)atomic_load_explicit(&stats->proposals_waiting, memory_order_relaxed));
	put_counter(out, "pygmy_pushes_total", "Batches of changes pushed to frontends.", &stats->pushes);
	put_counter(out, "pygmy_push_failures_total", "Pushes that a frontend did not confirm.", &stats->push_failures);
	put_counter(out, "pygmy_push_lapses_total", "Writes that waited out the lease of a silent frontend.", &stats->push_lapses);
	put_counter(out, "pygmy_fences_total", "Frontends that this process had fenced, because they did not confirm a push.", &stats->fences);
	put_histogram(out, "pygmy_commit_batch_commands", "Commands per commit.", &stats->batch_commands);
	put_histogram(out, "pygmy_commit_seconds", "Duration of commits.", &stats->commit_seconds);
	put_histogram(out, "pygmy_push_seconds", "Duration of pushes.", &stats->push_seconds);
	if (replica_cluster(replica) != NULL)
		put_node(out, replica);
	if (reader_begin(replica, &as_it_is, monotonic_ms(), &reader) == PYGMY_OK) {
		metrics_write_value(out, "pygmy_replica_revision", "gauge", "Position in the log that reads see.", (double)reader_revision(reader));
		metrics_write_value(out, "pygmy_replica_stale_seconds", "gauge", "How far that may be behind the log; 0: reads are fresh.",
			(double)reader_stale_ms(reader) / 1000);
		reader_end(reader);
	}
}

static void metrics(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct writer *out = &exchange->out;
	struct replica *replica = replica_of(exchange);
	metrics_write_http(&worker->metrics, worker->routes, worker->route_count, out);
	writer_printf(out, "# HELP pygmy_build_info What runs here; the value is 1.\n# TYPE pygmy_build_info gauge\n"
		"pygmy_build_info{version=\"%s\",kind=\"%s\",worker=\"%s\"} 1\n", PYGMY_VERSION, worker->app->kind, worker->config.name);
	metrics_write_value(out, "pygmy_threads", "gauge", "Threads that take requests.", worker->config.threads);
	metrics_write_value(out, "pygmy_ready", "gauge", "1 when the worker is ready.",
		replica != NULL && replica_ready(replica, NULL) == PYGMY_OK ? 1 : 0);
	metrics_write_value(out, "pygmy_worker_crashes_total", "counter", "Runs of this worker that ended in a crash.",
		(double)worker->lifecycle.crashes);
	metrics_write_value(out, "pygmy_worker_starts_total", "counter", "Starts of this worker.", (double)worker->lifecycle.starts);
	if (replica != NULL)
		put_replica(out, replica);
	if (worker->app->logs_transactions) {
		put_counter(out, "pygmy_transaction_log_lines_total", "Lines written.", &worker->transactions.lines);
		put_counter(out, "pygmy_transaction_log_lines_lost_total", "Lines that could not be written.", &worker->transactions.lost);
	}
	metrics_write_value(out, "process_start_time_seconds", "gauge", "Start of the process since the epoch.",
		(double)worker->lifecycle.started_ms / 1000);
	process_metrics_write(out);
	exchange->answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
	exchange->answer.status = 200;
}

static const char *const READYZ_PARAMETERS[] = { "verbose", "max_age_ms", NULL };

const struct route operator_routes[] = {
	{ .method = METHOD_GET, .pattern = "/livez", .handler = livez },
	{ .method = METHOD_GET, .pattern = "/readyz", .handler = readyz, .parameters = READYZ_PARAMETERS },
	{ .method = METHOD_GET, .pattern = "/status", .handler = status },
	{ .method = METHOD_GET, .pattern = "/metrics", .handler = metrics },
};
const size_t operator_route_count = sizeof operator_routes / sizeof operator_routes[0];
