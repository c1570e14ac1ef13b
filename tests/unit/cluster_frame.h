/*
 * cluster_frame: a whole cluster in one test process: real etcd members, and replicas (with their followers and keepers) in folders of
 * their own. There is no nginx; a small server gives the nodes' snapshots. Header only.
 */
#ifndef PYGMY_TESTS_CLUSTER_FRAME_H
#define PYGMY_TESTS_CLUSTER_FRAME_H

#include "tests/unit/etcd_server.h"
#include "tests/unit/snapshot_server.h"

#include "db/cluster.h"
#include "db/etcd.h"
#include "db/monotonic.h"
#include "db/node_state.h"
#include "db/replica.h"

#define CLUSTER_NODES_MAX 3
#define CLUSTER_LONG_MS 60000         /* longer than anything takes that does end */
#define CLUSTER_STOCK 1000000
#define CLUSTER_ITEMS 3

struct cluster_node {
	char name[4];
	char folder[FOLDER_MAX];
	char db_path[PATH_BYTES];
	char url[64];                 /* of its snapshots; "" for none */
	char endpoints[64 * ETCD_SERVER_MEMBERS_MAX];     /* its own etcd first */
	struct cluster_config config;
	struct replica *replica;      /* NULL: closed */
	struct snapshot_server snapshots;
};

struct cluster_frame {
	struct etcd_server server;
	struct etcd *etcd;
	struct arena arena;
	struct etcd_position log;
	struct cluster_node nodes[CLUSTER_NODES_MAX];
	int count;
};

/* ---- the log ------------------------------------------------------------------------------------------ */

static inline void cluster_append(struct cluster_frame *frame, const struct command *commands, size_t count)
{
	struct slice entry = entry_of(&frame->arena, commands, count);
	assert_int_equal(etcd_log_append(frame->etcd, CLUSTER_LOG_KEY, frame->log.create_revision, entry, test_now_ms() + CLUSTER_LONG_MS,
					 &frame->log), ETCD_OK);
	arena_reset(&frame->arena);
}

/* As `pygmy init`: the first entry, the members, a first catalogue of CLUSTER_ITEMS items. */
static inline void cluster_init_log(struct cluster_frame *frame)
{
	static const char zeros[CHAIN_BYTES];
	struct command genesis = command_of(COMMAND_GENESIS, "genesis/0/1");
	genesis.genesis = (struct genesis_command){ 0, { zeros, CHAIN_BYTES } };
	struct slice entry = entry_of(&frame->arena, &genesis, 1);
	assert_int_equal(etcd_log_create(frame->etcd, CLUSTER_LOG_KEY, entry, test_now_ms() + CLUSTER_LONG_MS, &frame->log), ETCD_OK);
	for (int i = 0; i < frame->count; i++) {
		char key[32], url[64];
		snprintf(key, sizeof key, "member/0/%d", i);
		snprintf(url, sizeof url, "http://127.0.1.%d:8011", i + 1);
		struct command member = command_of(COMMAND_MEMBER_SET, key);
		member.member_set = (struct member_set_command){ slice_of(frame->nodes[i].name), slice_of(url), slice_of(url) };
		cluster_append(frame, &member, 1);
	}
	struct item items[CLUSTER_ITEMS] = { item_of(1, "One", "odd", 1000, CLUSTER_STOCK), item_of(2, "Two", "even", 1185, CLUSTER_STOCK),
					     item_of(3, "Three", "odd", 700, CLUSTER_STOCK) };
	struct command import = import_of("import/0/first", items, CLUSTER_ITEMS);
	import.import.first_catalogue = import.import.last_part = true;
	cluster_append(frame, &import, 1);
}

/* ---- nodes -------------------------------------------------------------------------------------------- */

/* Fills in what follows from name, folder and endpoints. */
static inline void cluster_node_configure(struct cluster_node *node)
{
	path_in(node->db_path, node->folder, "store.db");
	node->config = (struct cluster_config){ .node = node->name, .etcd = node->endpoints, .peer_token = "", .catalog_url = node->url,
						.version = "test", .db_path = node->db_path, .state_dir = node->folder, .log_dir = "",
						.lease_ms = LEASE_DEFAULT_MS };
}

static inline void cluster_node_make(struct cluster_frame *frame, int number)
{
	struct cluster_node *node = &frame->nodes[number];
	memset(node, 0, sizeof *node);
	snprintf(node->name, sizeof node->name, "%c", 'A' + number);
	folder_make(node->folder);
	for (int i = 0; i < frame->server.count; i++) {
		size_t len = strlen(node->endpoints);
		char part[80];
		snprintf(part, sizeof part, "%s%s", i > 0 ? " " : "", frame->server.members[(i + number) % frame->server.count].url);
		text_put(node->endpoints + len, sizeof node->endpoints - len, part);
	}
	cluster_node_configure(node);
}

static inline struct replica_config cluster_replica_config(const struct cluster_node *node)
{
	return (struct replica_config){ .db_path = node->db_path, .frontends = "", .lease_ms = node->config.lease_ms, .reader_max = 8,
					.cluster = &node->config };
}

static inline void cluster_node_open(struct cluster_node *node)
{
	struct replica_config config = cluster_replica_config(node);
	assert_null(node->replica);
	assert_int_equal(replica_open(&config, &node->replica), PYGMY_OK);
}

static inline void cluster_node_close(struct cluster_node *node)
{
	replica_close(node->replica);
	node->replica = NULL;
}

/* Before it is opened: the others learn its URL by its heartbeat. */
static inline void cluster_node_serve_snapshots(struct cluster_node *node)
{
	snapshot_server_start(&node->snapshots, node->db_path, node->folder);
	text_put(node->url, sizeof node->url, node->snapshots.url);
}

static inline bool cluster_node_is_ready(const struct cluster_node *node)
{
	return replica_ready(node->replica, NULL) == PYGMY_OK;
}

static inline void cluster_node_await(const struct cluster_node *node)
{
	if (!WAIT_FOR(cluster_node_is_ready(node), CLUSTER_LONG_MS)) {
		const char *why = NULL;
		(void)replica_ready(node->replica, &why);
		fail_msg("node %s is not ready: %s", node->name, why != NULL ? why : "no reason");
	}
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

/* Nodes are made, but not opened. options are more arguments for each etcd, up to a NULL; may be NULL. */
static inline void cluster_start_with(struct cluster_frame *frame, const char *const *options, int members, int nodes)
{
	memset(frame, 0, sizeof *frame);
	frame->count = nodes;
	arena_init(&frame->arena, (size_t)64 * 1024 * 1024);
	frame->server.options = options;
	etcd_server_start_with(&frame->server, members);
	assert_true(etcd_create(frame->server.endpoints, NULL, &frame->etcd));
	for (int i = 0; i < nodes; i++)
		cluster_node_make(frame, i);
}

static inline void cluster_start(struct cluster_frame *frame, int members, int nodes)
{
	cluster_start_with(frame, NULL, members, nodes);
}

static inline void cluster_open_all(struct cluster_frame *frame)
{
	for (int i = 0; i < frame->count; i++)
		cluster_node_open(&frame->nodes[i]);
	for (int i = 0; i < frame->count; i++)
		cluster_node_await(&frame->nodes[i]);
}

static inline void cluster_stop(struct cluster_frame *frame)
{
	for (int i = 0; i < frame->count; i++) {
		cluster_node_close(&frame->nodes[i]);
		snapshot_server_stop(&frame->nodes[i].snapshots);
		folder_remove(frame->nodes[i].folder);
	}
	etcd_destroy(frame->etcd);
	arena_close(&frame->arena);
	etcd_server_stop(&frame->server);
}

/* ---- what is asked of a node ------------------------------------------------------------------------------ */

static inline enum pygmy_error cluster_try(const struct cluster_node *node, struct command command, struct result *result)
{
	return replica_propose(node->replica, &command, test_now_ms() + CLUSTER_WRITE_MS, result);
}

/* Proposes until there is a result, as a client with its key does. */
static inline struct result cluster_do(const struct cluster_node *node, struct command command)
{
	struct result result;
	int64_t limit_ms = test_now_ms() + CLUSTER_LONG_MS;
	enum pygmy_error error;
	while ((error = cluster_try(node, command, &result)) != PYGMY_OK) {
		if (test_now_ms() > limit_ms)
			fail_msg("node %s: %s", node->name, error_text(error));
		test_pause_ms(1);
	}
	return result;
}

/* As of now, at least. */
static inline struct reader *cluster_read(const struct cluster_node *node)
{
	struct reader *reader = NULL;
	struct read_terms strict = { .strict = true };
	int64_t limit_ms = test_now_ms() + CLUSTER_LONG_MS;
	enum pygmy_error error;
	while ((error = reader_begin(node->replica, &strict, test_now_ms() + MIN_REVISION_WAIT_MS, &reader)) != PYGMY_OK) {
		if (test_now_ms() > limit_ms)
			fail_msg("node %s can't be read: %s", node->name, error_text(error));
		test_pause_ms(1);
	}
	return reader;
}

static inline struct reader_counts cluster_counts(const struct cluster_node *node)
{
	struct reader *reader = cluster_read(node);
	struct reader_counts counts;
	assert_int_equal(reader_counts(reader, &counts), PYGMY_OK);
	reader_end(reader);
	return counts;
}

static inline int64_t cluster_stock(const struct cluster_node *node, int64_t id)
{
	struct reader *reader = cluster_read(node);
	struct item item;
	int64_t count = reader_item(reader, id, &item) == PYGMY_OK ? item.count : -1;
	reader_end(reader);
	return count;
}

/* That two nodes have the same chain hash at the same index. Others may be writing (audits), so it is tried again. */
static inline void cluster_assert_same(const struct cluster_node *a, const struct cluster_node *b)
{
	struct reader_counts first, second;
	int64_t limit_ms = test_now_ms() + CLUSTER_LONG_MS;
	do {
		first = cluster_counts(a);
		second = cluster_counts(b);
	} while (first.revision != second.revision && test_now_ms() < limit_ms);
	assert_int_equal(first.revision, second.revision);
	assert_string_equal(first.chain_hex, second.chain_hex);
	assert_int_equal(first.orders, second.orders);
}

#endif
