/*
 * log_etcd: see log_etcd.h.
 *
 * An append is a put, then a wait: etcd tells at which index the batch went in, the node's follower applies it, and what was decided
 * is read back from the database. Between begin and the end of append there is one thread; reads and strict reads come from many.
 *
 * A put that was sent and not answered may have happened. The batch carries request keys, so whether it did shows in the database
 * as soon as the node has applied it: that is looked at before anybody is told that the outcome is unknown.
 */
#include "db/log_etcd.h"

#include <stdlib.h>
#include <time.h>

#include "db/applier.h"
#include "db/diagnostics.h"
#include "db/etcd.h"
#include "db/limits.h"
#include "db/monotonic.h"
#include "db/pacer.h"
#include "db/position_reader.h"
#include "db/recorded.h"

#define APPEND_MS (CLUSTER_WRITE_MS - 100)    /* its part of a write's time; the rest is for what waits before and behind it */
#define LOOK_MS 200                           /* of that, for looking whether an unanswered put has happened */

struct log_etcd {
	struct log log;
	const struct cluster_config *config;
	struct node_state *state;
	struct etcd *writer;          /* these four: between begin and the end of append */
	struct recorded *recorded;    /* NULL until it is needed, and after it failed */
	struct node_view begun;
	struct pacer pacer;
	struct etcd *asker;           /* of whoever leads a position read */
	struct position_reader *positions;
};

static struct log_etcd *etcd_log(struct log *log)
{
	return (struct log_etcd *)log;
}

static bool is_fresh(const struct log_etcd *log, const struct node_view *view)
{
	return view->complete_at_ms != 0 && monotonic_ms() < view->complete_at_ms + log->config->lease_ms;
}

static enum pygmy_error phase_error(enum node_phase phase)
{
	switch (phase) {
	case NODE_READY:
		return PYGMY_OK;
	case NODE_OTHER_LOG:
		return PYGMY_OTHER_LOG;
	case NODE_INCOMPATIBLE:
		return PYGMY_INCOMPATIBLE;
	case NODE_STORAGE_FAILED:
		return PYGMY_STORAGE_FAILED;
	default:
		return PYGMY_NOT_READY;
	}
}

/* ---- writes ------------------------------------------------------------------------------------------ */

/* Lets a batch gather. The proposer's mutex is not held. */
static void gather(const struct pacer *pacer)
{
	int64_t gap_us = pacer_gap_us(pacer, monotonic_us());
	struct timespec gap = { 0, (long)gap_us * 1000 };
	if (gap_us > 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &gap, NULL);
}

/* A node that is behind could put the batch, but not see in time what becomes of it. */
static enum pygmy_error begin(struct log *base)
{
	struct log_etcd *log = etcd_log(base);
	gather(&log->pacer);
	node_state_view(log->state, &log->begun);
	enum pygmy_error error = phase_error(log->begun.phase);
	if (error == PYGMY_OK && !log->begun.quorum)
		error = PYGMY_NO_QUORUM;
	if (error == PYGMY_OK && !is_fresh(log, &log->begun))
		error = PYGMY_NOT_READY;
	return error;
}

static void cancel(struct log *base)
{
	(void)base;
}

/*
 * What was decided about the commands of entry, which index tells to be applied; or (found not NULL) whether something was, index being
 * applied before. A connection that fails is opened again, once: the database may have been replaced.
 */
static enum pygmy_error read_recorded(struct log_etcd *log, struct slice entry, uint64_t index, struct arena *arena, struct result *results,
				      size_t *count, bool *found)
{
	enum pygmy_error error = PYGMY_INTERNAL;
	for (int i = 0; i < 2 && error != PYGMY_OK; i++) {
		error = log->recorded == NULL ? recorded_open(log->config->db_path, &log->recorded) : PYGMY_OK;
		if (error == PYGMY_OK && found == NULL)
			error = recorded_results(log->recorded, entry, index, arena, results, count);
		else if (error == PYGMY_OK)
			error = recorded_look(log->recorded, entry, index, arena, results, count, found);
		if (error != PYGMY_OK) {
			recorded_close(log->recorded);
			log->recorded = NULL;
		}
	}
	return error;
}

/* The put was sent, and nobody said what became of it: looks for its records, with each entry that is applied, until deadline_ms. */
static enum pygmy_error look_for_records(struct log_etcd *log, struct slice entry, int64_t deadline_ms, struct arena *arena,
					 struct result *results, size_t *count)
{
	struct node_view view = log->begun;
	while (node_state_wait_applied(log->state, view.applied + 1, deadline_ms)) {
		bool found;
		node_state_view(log->state, &view);
		if (read_recorded(log, entry, log->begun.applied, arena, results, count, &found) == PYGMY_OK && found)
			return PYGMY_OK;
	}
	return PYGMY_OUTCOME_UNKNOWN;
}

/* The batch is in the log, as index. */
static enum pygmy_error wait_for_results(struct log_etcd *log, struct slice entry, uint64_t index, int64_t deadline_ms, struct arena *arena,
					 struct result *results, size_t *count)
{
	if (!node_state_wait_applied(log->state, index, deadline_ms))
		return PYGMY_OUTCOME_UNKNOWN;
	enum pygmy_error error = read_recorded(log, entry, index, arena, results, count, NULL);
	if (error == PYGMY_OK)
		return PYGMY_OK;
	diagnose_warning("log: entry %llu is applied, but its results could not be read (%s)", (unsigned long long)index, error_code(error));
	return PYGMY_OUTCOME_UNKNOWN;
}

static enum pygmy_error put_batch(struct log_etcd *log, struct slice entry, struct arena *arena, struct result *results, size_t *count)
{
	int64_t deadline_ms = monotonic_ms() + APPEND_MS;
	struct etcd_position position;
	enum etcd_outcome outcome =
		etcd_log_append(log->writer, CLUSTER_LOG_KEY, log->begun.create_revision, entry, deadline_ms - LOOK_MS, &position);
	if (outcome != ETCD_OK)
		diagnose_warning("log: a batch was not put: %s (%s)", etcd_outcome_text(outcome), etcd_last_error(log->writer));
	switch (outcome) {
	case ETCD_OK:
		/* Of another cluster with the same create_revision: whatever that is, it is not the log that we follow. */
		if (position.cluster_id != log->begun.cluster_id)
			return PYGMY_OUTCOME_UNKNOWN;
		return wait_for_results(log, entry, log->begun.base_index + position.version, deadline_ms, arena, results, count);
	case ETCD_UNKNOWN:
		return look_for_records(log, entry, deadline_ms, arena, results, count);
	case ETCD_UNREACHABLE:
		return PYGMY_NO_QUORUM;
	case ETCD_NO_SPACE:
		return PYGMY_LOG_FULL;
	case ETCD_COMPARE_FAILED:
		return PYGMY_OTHER_LOG;
	default:
		return PYGMY_INTERNAL;
	}
}

static enum pygmy_error append(struct log *base, struct slice entry, struct arena *arena, struct result *results, size_t *count)
{
	struct log_etcd *log = etcd_log(base);
	int64_t began_us = monotonic_us();
	enum pygmy_error error = put_batch(log, entry, arena, results, count);
	if (error == PYGMY_OK)
		pacer_note(&log->pacer, began_us, monotonic_us(), *count);
	return error;
}

/* ---- reads -------------------------------------------------------------------------------------------- */

static uint64_t applied_index(struct log *base)
{
	struct node_view view;
	node_state_view(etcd_log(base)->state, &view);
	return view.applied;
}

static enum etcd_outcome ask_position(void *context, int64_t deadline_ms, struct etcd_position *out)
{
	struct log_etcd *log = context;
	return etcd_log_position(log->asker, CLUSTER_LOG_KEY, deadline_ms, out);
}

/* Until everything is applied that was in the log when this was called. */
static bool wait_strict(struct log_etcd *log, int64_t deadline_ms)
{
	struct etcd_position position;
	struct node_view view;
	if (!position_reader_ask(log->positions, deadline_ms, &position))
		return false;
	node_state_view(log->state, &view);
	return position.cluster_id == view.cluster_id && position.create_revision == view.create_revision &&
	       node_state_wait_applied(log->state, view.base_index + position.version, deadline_ms);
}

/*
 * Without a quorum nothing gets fresher: then there is nothing to wait for. What was fresh when it was asked for and is not when the
 * answer can be given is asked again.
 */
static bool wait_fresh(struct log_etcd *log, int64_t deadline_ms)
{
	struct node_view view;
	node_state_view(log->state, &view);
	while (!is_fresh(log, &view)) {
		if (!view.quorum || !node_state_wait_complete(log->state, view.complete_at_ms + 1, deadline_ms))
			return false;
		node_state_view(log->state, &view);
	}
	return view.phase == NODE_READY;
}

/* Phases in which what is in the database is a true state of the log, if an old one. */
static bool may_be_stale(const struct node_view *view)
{
	return view->complete_at_ms != 0 &&
	       (view->phase == NODE_READY || view->phase == NODE_CATCHING_UP || view->phase == NODE_STORAGE_FAILED);
}

static enum pygmy_error await_terms(struct log *base, const struct read_terms *terms, int64_t deadline_ms, int64_t *stale_ms)
{
	struct log_etcd *log = etcd_log(base);
	struct node_view view;
	*stale_ms = 0;
	bool good = wait_fresh(log, deadline_ms);
	if (good && terms->min_revision > 0)
		good = node_state_wait_applied(log->state, terms->min_revision, deadline_ms);
	if (good && terms->strict)
		good = wait_strict(log, deadline_ms);
	node_state_view(log->state, &view);
	if (good && view.phase == NODE_READY && is_fresh(log, &view))
		return PYGMY_OK;
	if (terms->stale_allowed && may_be_stale(&view)) {
		int64_t age_ms = monotonic_ms() - view.complete_at_ms;
		*stale_ms = age_ms > 0 ? age_ms : 1;
		return PYGMY_OK;
	}
	return view.phase == NODE_READY && is_fresh(log, &view) ? PYGMY_BEHIND : PYGMY_NOT_READY;
}

static void log_id(struct log *base, char out[LOG_ID_TEXT_LEN + 1])
{
	struct node_view view;
	node_state_view(etcd_log(base)->state, &view);
	if (view.cluster_id != 0)
		applier_log_id(view.cluster_id, view.create_revision, out);
	else
		memcpy(out, LOG_ID_NONE, LOG_ID_TEXT_LEN + 1);
}

static enum pygmy_error ready(struct log *base, const char **why)
{
	static const char no_quorum[] = "The majority of the log's servers can't be reached: writes are refused, and reads would be old.";
	static const char behind[] = "The replica is behind the log.";
	struct log_etcd *log = etcd_log(base);
	struct node_view view;
	const char *text = NULL;
	node_state_view(log->state, &view);
	enum pygmy_error error = phase_error(view.phase);
	if (error != PYGMY_OK) {
		text = node_phase_text(view.phase);
	} else if (!is_fresh(log, &view)) {
		error = view.quorum ? PYGMY_BEHIND : PYGMY_NO_QUORUM;
		text = view.quorum ? behind : no_quorum;
	}
	if (why != NULL)
		*why = text;
	return error;
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static void close_log(struct log *base)
{
	struct log_etcd *log = etcd_log(base);
	position_reader_destroy(log->positions);
	recorded_close(log->recorded);
	etcd_destroy(log->asker);
	etcd_destroy(log->writer);
	free(log);
}

static const struct log_operations operations = { begin, append, cancel, applied_index, await_terms, log_id, ready, close_log };

enum pygmy_error log_etcd_open(const struct cluster_config *config, struct node_state *state, struct log **out)
{
	struct log_etcd *log = calloc(1, sizeof *log);
	*out = NULL;
	if (log == NULL)
		return PYGMY_OUT_OF_MEMORY;
	log->log.operations = &operations;
	log->config = config;
	log->state = state;
	enum pygmy_error error = PYGMY_INTERNAL;
	if (etcd_create(config->etcd, &config->tls, &log->writer) && etcd_create(config->etcd, &config->tls, &log->asker))
		error = position_reader_create(ask_position, log, &log->positions);
	if (error != PYGMY_OK) {
		close_log(&log->log);
		return error;
	}
	*out = &log->log;
	return PYGMY_OK;
}
