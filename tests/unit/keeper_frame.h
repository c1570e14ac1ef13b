/*
 * keeper_frame: keepers without threads on a clock of the test's own: a model of etcd (endpoints that hang or refuse, leases that run out, a
 * log that compacts, space that ends), and nodes whose database is a few numbers. Header only; it takes the place of etcd*.c, reader*.c,
 * monotonic.c, and of what the keeper calls in replica.c and follower.c.
 */
#ifndef PYGMY_TESTS_KEEPER_FRAME_H
#define PYGMY_TESTS_KEEPER_FRAME_H

#include "tests/unit/support.h"

#include "db/keeper_internal.h"
#include "db/monotonic.h"

#define T_MS 2000
#define NODES_MAX 5
#define KEYS_MAX 64
#define CLUSTER UINT64_C(0xc1)
#define CREATED UINT64_C(7)

/* ---- the clock ---------------------------------------------------------------------------------------- */

static int64_t now_ms;

int64_t monotonic_ms(void)
{
	return now_ms;
}

int64_t monotonic_us(void)
{
	return now_ms * 1000;
}

int64_t wallclock_ms(void)
{
	return INT64_C(1769860800000) + now_ms;
}

/* ---- etcd --------------------------------------------------------------------------------------------- */

enum endpoint_state { ENDPOINT_GOOD, ENDPOINT_HANGS, ENDPOINT_REFUSES };

struct etcd {
	int preferred;
};

struct fake_key {
	char key[64];
	char value[MEMBER_TEXT_MAX_BYTES + 1];
	uint64_t lease;
	int64_t expires_ms;
	bool used;
};

static struct {
	int count;
	enum endpoint_state endpoints[ETCD_ENDPOINTS_MAX];
	int64_t answer_ms;            /* how long a good one takes */
	struct etcd_position log;
	uint64_t next_lease;
	struct fake_key keys[KEYS_MAX];
	int64_t lease_until_ms[4096];
	int puts;
	bool full;                    /* no space */
	bool stays_full;              /* whatever is done */
	struct etcd_alarm alarms[8];
	int alarm_count;
	int defragmented[ETCD_ENDPOINTS_MAX];
	char order[64];               /* of defragmentations and disarmings */
	bool defragment_hangs;
	uint64_t compacted_revision;
	int compactions;
} world;

/* As the real one: an endpoint that hangs costs an attempt, then the next is asked. False: nobody answered in time. */
static bool reach(struct etcd *etcd, int64_t deadline_ms)
{
	while (now_ms < deadline_ms) {
		enum endpoint_state state = world.endpoints[etcd->preferred];
		if (state == ENDPOINT_GOOD) {
			now_ms += world.answer_ms;
			return true;
		}
		int64_t cost_ms = state == ENDPOINT_HANGS ? ETCD_ATTEMPT_MS : 1;
		now_ms += cost_ms < deadline_ms - now_ms ? cost_ms : deadline_ms - now_ms;
		etcd->preferred = (etcd->preferred + 1) % world.count;
	}
	return false;
}

static void expire_leases(void)
{
	for (int i = 0; i < KEYS_MAX; i++)
		if (world.keys[i].used && world.lease_until_ms[world.keys[i].lease] <= now_ms)
			world.keys[i].used = false;
}

bool etcd_create(const char *endpoints, const struct tls_files *tls, struct etcd **out)
{
	(void)endpoints;
	(void)tls;
	*out = calloc(1, sizeof **out);
	return *out != NULL;
}

void etcd_destroy(struct etcd *etcd)
{
	free(etcd);
}

int etcd_endpoint_count(const struct etcd *etcd)
{
	(void)etcd;
	return world.count;
}

/* Not in the order of their names. */
const char *etcd_endpoint(const struct etcd *etcd, int number)
{
	static const char *const urls[] = { "http://e3:1", "http://e1:1", "http://e2:1", "http://e5:1", "http://e4:1",
					    "http://e6:1", "http://e7:1", "http://e8:1", "http://e9:1" };
	(void)etcd;
	return urls[number];
}

void etcd_prefer(struct etcd *etcd, int number)
{
	etcd->preferred = number % world.count;
}

const char *etcd_last_error(const struct etcd *etcd)
{
	(void)etcd;
	return "fake";
}

const char *etcd_outcome_text(enum etcd_outcome outcome)
{
	return outcome == ETCD_OK ? "done" : "failed";
}

enum etcd_outcome etcd_log_position(struct etcd *etcd, const char *key, int64_t deadline_ms, struct etcd_position *out)
{
	assert_string_equal(key, CLUSTER_LOG_KEY);
	if (!reach(etcd, deadline_ms))
		return ETCD_UNREACHABLE;
	*out = world.log;
	return ETCD_OK;
}

enum etcd_outcome etcd_lease_grant(struct etcd *etcd, int ttl_s, int64_t deadline_ms, uint64_t *lease)
{
	if (!reach(etcd, deadline_ms))
		return ETCD_UNREACHABLE;
	if (world.full)
		return ETCD_NO_SPACE;
	*lease = ++world.next_lease;
	assert_true(*lease < 4096);
	world.lease_until_ms[*lease] = now_ms + 1000 * ttl_s;
	return ETCD_OK;
}

enum etcd_outcome etcd_lease_keep(struct etcd *etcd, uint64_t lease, int64_t deadline_ms)
{
	if (!reach(etcd, deadline_ms))
		return ETCD_UNREACHABLE;
	if (world.lease_until_ms[lease] <= now_ms)
		return ETCD_NOT_FOUND;
	world.lease_until_ms[lease] = now_ms + 1000 * KEEPER_LEASE_S;
	return ETCD_OK;
}

enum etcd_outcome etcd_lease_revoke(struct etcd *etcd, uint64_t lease, int64_t deadline_ms)
{
	if (!reach(etcd, deadline_ms))
		return ETCD_UNKNOWN;
	world.lease_until_ms[lease] = 0;
	return ETCD_OK;
}

static struct fake_key *find_key(const char *key)
{
	struct fake_key *unused = NULL;
	for (int i = 0; i < KEYS_MAX; i++) {
		if (world.keys[i].used && strcmp(world.keys[i].key, key) == 0)
			return &world.keys[i];
		if (!world.keys[i].used)
			unused = &world.keys[i];
	}
	assert_non_null(unused);
	return unused;
}

enum etcd_outcome etcd_put(struct etcd *etcd, const char *key, struct slice value, uint64_t lease, int64_t deadline_ms)
{
	if (!reach(etcd, deadline_ms))
		return ETCD_UNKNOWN;
	expire_leases();
	if (world.full)
		return ETCD_NO_SPACE;
	if (world.lease_until_ms[lease] <= now_ms)
		return ETCD_NOT_FOUND;
	struct fake_key *entry = find_key(key);
	snprintf(entry->key, sizeof entry->key, "%s", key);
	snprintf(entry->value, sizeof entry->value, "%.*s", (int)value.len, value.ptr);
	entry->lease = lease;
	entry->used = true;
	world.puts++;
	return ETCD_OK;
}

enum etcd_outcome etcd_list(struct etcd *etcd, const char *prefix, int64_t deadline_ms, etcd_visit visit, void *context)
{
	if (!reach(etcd, deadline_ms))
		return ETCD_UNREACHABLE;
	expire_leases();
	for (int i = 0; i < KEYS_MAX; i++)
		if (world.keys[i].used && strncmp(world.keys[i].key, prefix, strlen(prefix)) == 0)
			visit(context, slice_of(world.keys[i].key), slice_of(world.keys[i].value), world.keys[i].lease);
	return ETCD_OK;
}

enum etcd_outcome etcd_compact(struct etcd *etcd, uint64_t revision, int64_t deadline_ms)
{
	if (!reach(etcd, deadline_ms))
		return ETCD_UNKNOWN;
	if (revision <= world.compacted_revision)
		return ETCD_COMPACTED;
	world.compacted_revision = revision;
	world.compactions++;
	return ETCD_OK;
}

enum etcd_outcome etcd_status(struct etcd *etcd, int endpoint, int64_t deadline_ms, struct etcd_status *out)
{
	(void)etcd;
	(void)deadline_ms;
	if (world.endpoints[endpoint] != ENDPOINT_GOOD)
		return ETCD_UNREACHABLE;
	*out = (struct etcd_status){ .db_bytes = world.defragmented[endpoint] > 0 ? 1 : 100 };
	return ETCD_OK;
}

enum etcd_outcome etcd_defragment(struct etcd *etcd, int endpoint, int64_t deadline_ms)
{
	size_t len = strlen(world.order);
	snprintf(world.order + len, sizeof world.order - len, "%.2s ", etcd_endpoint(etcd, endpoint) + strlen("http://"));
	if (world.defragment_hangs) {
		now_ms = deadline_ms;
		return ETCD_UNKNOWN;
	}
	world.defragmented[endpoint]++;
	return ETCD_OK;
}

enum etcd_outcome etcd_alarms(struct etcd *etcd, int64_t deadline_ms, struct etcd_alarm *alarms, int max, int *count)
{
	*count = 0;
	if (!reach(etcd, deadline_ms))
		return ETCD_UNREACHABLE;
	assert_true(world.alarm_count <= max);
	memcpy(alarms, world.alarms, (size_t)world.alarm_count * sizeof alarms[0]);
	*count = world.alarm_count;
	return ETCD_OK;
}

enum etcd_outcome etcd_disarm(struct etcd *etcd, const struct etcd_alarm *alarm, int64_t deadline_ms)
{
	if (!reach(etcd, deadline_ms))
		return ETCD_UNKNOWN;
	size_t len = strlen(world.order);
	snprintf(world.order + len, sizeof world.order - len, "-%" PRIu64 " ", alarm->member_id);
	for (int i = 0; !world.stays_full && i < world.alarm_count; i++)
		if (world.alarms[i].member_id == alarm->member_id && world.alarms[i].type == alarm->type)
			world.alarms[i--] = world.alarms[--world.alarm_count];
	world.full = world.alarm_count > 0;
	return ETCD_OK;
}

/* ---- nodes -------------------------------------------------------------------------------------------- */

struct node {
	bool runs;
	char folder[FOLDER_MAX];
	char db_path[PATH_BYTES];
	char name[NODE_NAME_MAX_BYTES + 1];
	struct cluster_config config;
	struct keeper keeper;
	int64_t due_ms[3];            /* of position, pulse, care */
	/* the database */
	uint64_t applied, durable, flipped_at;
	uint8_t flip;
	bool unreadable;
	struct configured_member configured[MEMBERS_MAX];
	size_t configured_count;
	/* what it was asked */
	int drops, rebuilds, audits;
	int64_t audited_ms;
	enum pygmy_error audit_error;
};

struct reader_pool {
	struct node *node;
};
struct reader {
	struct node *node;
};
struct replica {
	struct node *node;
};
struct follower {
	struct node *node;
};

static struct node nodes[NODES_MAX];
static int node_count;

/* A log whose entries have 100 bytes, and revisions of etcd that others use too. */
static void entry_at(const struct node *node, uint64_t index, struct reader_entry *out)
{
	memset(out, 0, sizeof *out);
	memset(out->chain, (int)(index % 251), CHAIN_BYTES);
	if (node->flipped_at != 0 && index >= node->flipped_at)
		out->chain[5] ^= node->flip;
	out->log_bytes = index * 100;
	out->mod_revision = CREATED + index * 3;
}

enum pygmy_error reader_pool_create(const char *path, int max, struct reader_pool **out)
{
	(void)path;
	(void)max;
	*out = NULL;
	return PYGMY_INTERNAL;        /* keepers are made by node_start */
}

void reader_pool_destroy(struct reader_pool *pool)
{
	free(pool);
}

enum pygmy_error reader_pool_begin(struct reader_pool *pool, int64_t stale_ms, struct reader **out)
{
	(void)stale_ms;
	if (pool->node->unreadable)
		return PYGMY_STORAGE_FAILED;
	*out = calloc(1, sizeof **out);
	assert_non_null(*out);
	(*out)->node = pool->node;
	return PYGMY_OK;
}

void reader_end(struct reader *reader)
{
	free(reader);
}

uint64_t reader_revision(const struct reader *reader)
{
	return reader->node->applied;
}

enum pygmy_error reader_entry(struct reader *reader, uint64_t index, struct reader_entry *out)
{
	const struct node *node = reader->node;
	if (index == 0 || index > node->applied || index + CHANGES_RING_ENTRIES <= node->applied)
		return PYGMY_NOT_READY;
	entry_at(node, index, out);
	return PYGMY_OK;
}

enum pygmy_error reader_members(struct reader *reader, struct configured_member *members, size_t *count)
{
	const struct node *node = reader->node;
	memcpy(members, node->configured, node->configured_count * sizeof members[0]);
	*count = node->configured_count;
	return PYGMY_OK;
}

enum pygmy_error replica_propose(struct replica *replica, const struct command *command, int64_t deadline_ms, struct result *out)
{
	struct node *node = replica->node;
	assert_int_equal(command->type, COMMAND_AUDIT);
	assert_true(deadline_ms > now_ms && command->audit.rows == AUDIT_ROWS);
	if (node->audit_error != PYGMY_OK || world.full)
		return world.full ? PYGMY_LOG_FULL : node->audit_error;
	node->audits++;
	node->audited_ms = now_ms;
	world.log.version++;
	*out = (struct result){ .revision = world.log.version };
	return PYGMY_OK;
}

uint64_t follower_durable(const struct follower *follower)
{
	return follower->node->durable;
}

void follower_drop_watch(struct follower *follower)
{
	follower->node->drops++;
}

void follower_rebuild(struct follower *follower, const char *why)
{
	assert_true(strlen(why) > 10);
	follower->node->rebuilds++;
}

/* ---- running ------------------------------------------------------------------------------------------ */

static void node_applies(struct node *node, uint64_t index)
{
	node->applied = index;
	node_state_set_applied(node->keeper.state, index);
}

/* A node with a database at index 1, ready as soon as it knows the log's end. */
static struct node *node_start(const char *name)
{
	struct node *node = &nodes[node_count++];
	struct keeper *keeper = &node->keeper;
	char path[PATH_BYTES];
	memset(node, 0, sizeof *node);
	snprintf(node->name, sizeof node->name, "%s", name);
	folder_make(node->folder);
	path_in(path, node->folder, "store.db");
	memcpy(node->db_path, path, sizeof path);
	node->config = (struct cluster_config){ .node = node->name, .etcd = "fake", .catalog_url = "http://127.0.1.1:8011", .version = "1.0",
		.db_path = node->db_path, .state_dir = node->folder, .log_dir = node->folder, .lease_ms = T_MS };
	node->runs = true;
	keeper->config = &node->config;
	keeper->replica = calloc(1, sizeof *keeper->replica);
	keeper->follower = calloc(1, sizeof *keeper->follower);
	keeper->readers = calloc(1, sizeof *keeper->readers);
	keeper->replica->node = keeper->follower->node = keeper->readers->node = node;
	assert_int_equal(node_state_open(node->db_path, &keeper->state), PYGMY_OK);
	assert_int_equal(keeper_prepare(keeper), PYGMY_OK);
	node_state_set_log(keeper->state, CLUSTER, CREATED, 0);
	node_state_set_phase(keeper->state, NODE_CATCHING_UP);
	node_applies(node, 1);
	for (int i = 0; i < 3; i++)
		node->due_ms[i] = now_ms;
	return node;
}

/* All nodes know the same list: one letter per name. */
static inline void configure(const char *names)
{
	for (int i = 0; i < node_count; i++) {
		nodes[i].configured_count = strlen(names);
		memset(nodes[i].configured, 0, sizeof nodes[i].configured);
		for (size_t m = 0; m < strlen(names); m++)
			nodes[i].configured[m].name[0] = names[m];
	}
}

static void run_due(struct node *node)
{
	int64_t (*const steps[])(struct keeper *) = { keeper_position_step, keeper_pulse_step, keeper_care_step };
	for (int i = 0; i < 3; i++) {
		if (!node->runs || node->due_ms[i] > now_ms)
			continue;
		/* The threads of a node run beside each other: what one waits costs the others nothing. */
		int64_t began_ms = now_ms, due_ms = steps[i](&node->keeper);
		node->due_ms[i] = due_ms > now_ms ? due_ms : now_ms;
		now_ms = began_ms;
	}
}

/* Runs all nodes for so long; each (may be NULL) is called every millisecond. */
static inline void run_for(int64_t duration_ms, void (*each)(void))
{
	for (int64_t end_ms = now_ms + duration_ms; now_ms < end_ms; now_ms++) {
		for (int i = 0; i < node_count; i++)
			run_due(&nodes[i]);
		if (each != NULL)
			each();
	}
}

/* The log grows, and all nodes that run apply it. */
static inline void write_entries(uint64_t count)
{
	world.log.version += count;
	for (int i = 0; i < node_count; i++)
		if (nodes[i].runs)
			node_applies(&nodes[i], world.log.version);
}

static inline void apply_all(void)
{
	for (int i = 0; i < node_count; i++)
		if (nodes[i].runs && nodes[i].applied < world.log.version)
			node_applies(&nodes[i], world.log.version);
}

static inline enum node_phase phase_of(const struct node *node)
{
	struct node_view view;
	node_state_view(node->keeper.state, &view);
	return view.phase;
}

static inline struct node_view view_of(const struct node *node)
{
	struct node_view view;
	node_state_view(node->keeper.state, &view);
	return view;
}

/* heartbeat.log without its times; free it. */
static inline char *log_of(const struct node *node)
{
	char path[PATH_BYTES], line[600];
	char *text = calloc(1, 64 * 1024);
	path_in(path, node->folder, "heartbeat.log");
	FILE *file = fopen(path, "re");
	assert_non_null(text);
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		strncat(text, line + strlen("2026-01-31T12:00:00.000Z "), 64 * 1024 - strlen(text) - 1);
	if (file != NULL)
		fclose(file);
	return text;
}

static inline int times_in(const char *text, const char *needle)
{
	int count = 0;
	for (const char *at = strstr(text, needle); at != NULL; at = strstr(at + 1, needle))
		count++;
	return count;
}

static int frame_setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof world);
	world.count = 3;
	world.answer_ms = 2;
	world.log = (struct etcd_position){ .cluster_id = CLUSTER, .create_revision = CREATED, .version = 1 };
	now_ms = 1000000;
	node_count = 0;
	return 0;
}

static inline void node_stop(struct node *node)
{
	keeper_pulse_end(&node->keeper);
	node->runs = false;
}

static int frame_teardown(void **state)
{
	(void)state;
	for (int i = 0; i < node_count; i++) {
		struct keeper *keeper = &nodes[i].keeper;
		free(keeper->replica);
		free(keeper->follower);
		keeper_release(keeper);
		node_state_close(keeper->state);
		folder_remove(nodes[i].folder);
	}
	return 0;
}

#define frame_test(function) cmocka_unit_test_setup_teardown(function, frame_setup, frame_teardown)

#endif
