/* replica: the parts of a node's copy of the store, put together. See replica.h. */
#include "db/replica.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdlib.h>

#include "db/diagnostics.h"
#include "db/follower.h"
#include "db/limits.h"
#include "db/log_embedded.h"
#include "db/log_etcd.h"
#include "db/member_change.h"
#include "db/monotonic.h"
#include "db/proposer.h"
#include "db/reader.h"

struct replica {
	const struct cluster_config *cluster; /* NULL: embedded */
	struct node_state *node_state;        /* this, the follower, the frontends and the fencer: in a cluster */
	struct follower *follower;
	struct log *log;
	struct frontends *frontends;
	struct fencer *fencer;
	struct pusher *pusher;
	struct proposer *proposer;
	struct reader_pool *readers;
	struct replica_stats stats;
	enum replica_start how;
};

/* Another process may be creating the same store, or hold its lock for the moment of a recovery. */
static enum pygmy_error open_embedded_log(struct replica *replica, const struct replica_config *config)
{
	int64_t deadline_ms = monotonic_ms() + REPLICA_OPEN_MS;
	bool created = false;
	enum pygmy_error error;
	do {
		error = log_embedded_open(config->db_path, config->catalogue_path, &created, &replica->log);
		if (created)          /* also by a try that was busy in its later part */
			replica->how = REPLICA_CREATED;
	} while (error == PYGMY_BUSY && monotonic_ms() < deadline_ms);
	return error;
}

static enum pygmy_error open_log(struct replica *replica, const struct replica_config *config)
{
	replica->cluster = config->cluster;
	replica->how = REPLICA_EXISTING;
	if (config->cluster == NULL)
		return open_embedded_log(replica, config);
	enum pygmy_error error = node_state_open(config->db_path, &replica->node_state);
	return error == PYGMY_OK ? log_etcd_open(config->cluster, replica->node_state, &replica->log) : error;
}

/* Past the proposer, whose batches wait for the very frontend that is to be fenced. */
static enum pygmy_error propose_fence(void *context, const struct command *command, int64_t deadline_ms, struct result *out)
{
	struct replica *replica = context;
	return member_change(replica->cluster, command, replica->node_state, deadline_ms, out);
}

static enum pygmy_error open_fencer(struct replica *replica)
{
	enum pygmy_error error = frontends_create(replica->cluster->db_path, replica->node_state, &replica->frontends);
	if (error == PYGMY_OK)
		error = fencer_create(replica->frontends, propose_fence, replica, &replica->stats, &replica->fencer);
	return error;
}

static enum pygmy_error open_pusher(struct replica *replica, const struct replica_config *config)
{
	char log_id[LOG_ID_TEXT_LEN + 1];
	replica_log_id(replica, log_id);
	struct pusher_options options = { .frontends = config->frontends, .log_id = log_id, .lease_ms = config->lease_ms };
	if (config->cluster != NULL) {
		enum pygmy_error error = open_fencer(replica);
		if (error != PYGMY_OK)
			return error;
		options.registered = replica->frontends;
		options.fencer = replica->fencer;
		options.peer_token = config->cluster->peer_token;
		options.tls = &config->cluster->tls;
	}
	return pusher_create(&options, &replica->stats, &replica->pusher);
}

enum pygmy_error replica_open(const struct replica_config *config, struct replica **out)
{
	*out = NULL;
	if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return PYGMY_INTERNAL;
	struct replica *replica = calloc(1, sizeof *replica);
	if (replica == NULL)
		return PYGMY_OUT_OF_MEMORY;
	replica_stats_init(&replica->stats);
	enum pygmy_error error = open_log(replica, config);
	if (error == PYGMY_OK)
		error = reader_pool_create(config->db_path, config->reader_max, &replica->readers);
	if (error == PYGMY_OK)
		error = open_pusher(replica, config);
	if (error == PYGMY_OK)
		error = proposer_create(replica->log, replica->pusher, &replica->stats, &replica->proposer);
	if (error == PYGMY_OK && config->cluster != NULL)
		error = follower_create(config->cluster, replica->node_state, replica, &replica->follower);
	if (error != PYGMY_OK) {
		diagnose_error("the database %s can't be used: %s", config->db_path, error_text(error));
		replica_close(replica);
		return error;
	}
	*out = replica;
	return PYGMY_OK;
}

/* The follower first: its keeper proposes. */
void replica_close(struct replica *replica)
{
	if (replica == NULL)
		return;
	follower_destroy(replica->follower);
	proposer_destroy(replica->proposer);
	pusher_destroy(replica->pusher);
	fencer_destroy(replica->fencer);
	frontends_destroy(replica->frontends);
	reader_pool_destroy(replica->readers);
	if (replica->log != NULL)
		replica->log->operations->close(replica->log);
	node_state_close(replica->node_state);
	free(replica);
}

enum replica_start replica_how_started(const struct replica *replica)
{
	return replica->how;
}

void replica_log_id(struct replica *replica, char out[LOG_ID_TEXT_LEN + 1])
{
	replica->log->operations->log_id(replica->log, out);
}

struct replica_stats *replica_stats(struct replica *replica)
{
	return &replica->stats;
}

enum pygmy_error reader_begin(struct replica *replica, const struct read_terms *terms, int64_t deadline_ms, struct reader **out)
{
	int64_t stale_ms = 0;
	*out = NULL;
	enum pygmy_error error = replica->log->operations->await(replica->log, terms, deadline_ms, &stale_ms);
	if (error == PYGMY_OK)
		error = reader_pool_begin(replica->readers, stale_ms, out);
	if (error == PYGMY_OK && stale_ms == 0 && reader_revision(*out) < terms->min_revision) {
		reader_end(*out);
		*out = NULL;
		error = PYGMY_BEHIND;
	}
	return error;
}

enum pygmy_error reader_begin_as_is(struct replica *replica, struct reader **out)
{
	return reader_pool_begin(replica->readers, 0, out);
}

enum pygmy_error replica_propose(struct replica *replica, const struct command *command, int64_t deadline_ms, struct result *out)
{
	return proposer_propose(replica->proposer, command, deadline_ms, out);
}

void replica_stop_proposals(struct replica *replica)
{
	proposer_stop(replica->proposer);
}

enum pygmy_error replica_ready(struct replica *replica, const char **why)
{
	struct reader *reader;
	if (why != NULL)
		*why = NULL;
	enum pygmy_error error = replica->log->operations->ready(replica->log, why);
	if (error == PYGMY_OK)
		error = reader_pool_begin(replica->readers, 0, &reader);
	if (error == PYGMY_OK)
		reader_end(reader);
	return error;
}

int64_t replica_age_ms(const struct replica *replica)
{
	struct node_view view;
	if (replica->cluster == NULL)
		return 0;
	node_state_view(replica->node_state, &view);
	int64_t now_ms = monotonic_ms();
	if (view.complete_at_ms == 0)
		return INT64_MAX;
	return now_ms > view.complete_at_ms ? now_ms - view.complete_at_ms : 0;
}

const struct cluster_config *replica_cluster(const struct replica *replica)
{
	return replica->cluster;
}

struct node_state *replica_node_state(struct replica *replica)
{
	return replica->node_state;
}
