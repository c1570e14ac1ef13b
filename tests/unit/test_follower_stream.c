/*
 * The follower against a watch that lies: it loses, repeats, reorders and invents events, breaks, says nothing, and tells of deletions and
 * other logs. The replica must go through the log's entries in their order all the same. etcd is real; the watch (etcd_watch.h) is the
 * one below, which takes the true values from etcd and spoils what it gives.
 */
#include "tests/unit/cluster_frame.h"

#include <pthread.h>
#include <stdatomic.h>

#include "db/applier.h"
#include "db/etcd_watch.h"

#define VALUES_MAX 2000
#define ENTRIES 300
#define GIVEN_MAX 8

static struct cluster_frame frame;

/* ---- the watch -------------------------------------------------------------------------------------------------- */

/* How often, of 100 times, it does what. */
struct spoiling {
	int lose, repeat, swap, invent, foreign, is_delete, breaks, hangs;
};

/* The true log, as far as it was read, and what is done to it. */
static struct source {
	struct etcd *etcd;
	struct arena arena;
	struct etcd_value values[VALUES_MAX];
	size_t count;
	struct spoiling spoiling;
	uint64_t seed;
	atomic_int lost, given, opened;
} source;

struct etcd_watch {
	bool open;
	uint64_t from_revision;
	size_t at;                    /* the next value, if all goes well */
	atomic_bool interrupted;
};

static bool happens(int percent)
{
	return test_random_in(&source.seed, 1, 100) <= percent;
}

/* Reads what the log has more than is known here. */
static void read_source(void)
{
	struct etcd_position end;
	uint64_t revision = 0;
	if (etcd_log_position(source.etcd, CLUSTER_LOG_KEY, test_now_ms() + CLUSTER_LONG_MS, &end) != ETCD_OK)
		return;
	for (size_t i = end.version; i > source.count && i <= VALUES_MAX; i--) {
		struct etcd_value *value = &source.values[i - 1];
		if (etcd_log_read(source.etcd, CLUSTER_LOG_KEY, revision != 0 ? revision : end.mod_revision, test_now_ms() + CLUSTER_LONG_MS,
				  &source.arena, value) != ETCD_OK)
			return;
		revision = value->position.mod_revision - 1;
	}
	source.count = end.version;
}

bool etcd_watch_create(const struct tls_files *tls, struct etcd_watch **out)
{
	(void)tls;
	*out = calloc(1, sizeof **out);
	return *out != NULL;
}

void etcd_watch_destroy(struct etcd_watch *watch)
{
	free(watch);
}

void etcd_watch_open(struct etcd_watch *watch, const char *endpoint, const char *key, uint64_t from_revision)
{
	assert_non_null(endpoint);
	assert_string_equal(key, CLUSTER_LOG_KEY);
	watch->open = true;
	watch->at = 0;
	atomic_fetch_add(&source.opened, 1);
	watch->from_revision = from_revision;
}

void etcd_watch_interrupt(struct etcd_watch *watch)
{
	atomic_store(&watch->interrupted, true);
}

const char *etcd_watch_error(const struct etcd_watch *watch)
{
	(void)watch;
	return "as the test wants it";
}

static struct etcd_event event_of(size_t number)
{
	const struct etcd_value *value = &source.values[number];
	return (struct etcd_event){ .position = value->position, .value = value->bytes };
}

/* What never was in the log. */
static struct etcd_event invention(size_t number)
{
	struct etcd_event event = event_of(number);
	switch (test_random_in(&source.seed, 0, 3)) {
	case 0:
		event.position.version += (uint64_t)test_random_in(&source.seed, 1, 5);
		break;
	case 1:
		event.position.mod_revision -= 1;
		break;
	case 2:
		event.position.version = 0;
		break;
	default:
		event.position.mod_revision += 1;
		break;
	}
	return event;
}

static void give_one(struct etcd_watch *watch, struct etcd_event *events, size_t *count)
{
	const struct spoiling *spoiling = &source.spoiling;
	if (happens(spoiling->repeat))
		events[(*count)++] = event_of((size_t)test_random_in(&source.seed, 0, (int64_t)source.count - 1));
	if (happens(spoiling->invent))
		events[(*count)++] = invention(watch->at);
	if (happens(spoiling->foreign)) {
		events[*count] = event_of(watch->at);
		events[(*count)++].position.create_revision += 1;
	}
	if (happens(spoiling->is_delete))
		events[(*count)++] = (struct etcd_event){ .position = source.values[watch->at].position, .is_delete = true };
	if (happens(spoiling->lose))
		atomic_fetch_add(&source.lost, 1);
	else
		events[(*count)++] = event_of(watch->at);
	watch->at++;
	if (*count >= 2 && happens(spoiling->swap)) {
		struct etcd_event last = events[*count - 1];
		events[*count - 1] = events[*count - 2];
		events[*count - 2] = last;
	}
}

enum etcd_watch_outcome etcd_watch_next(struct etcd_watch *watch, int64_t deadline_ms, struct etcd_event *events, size_t *count,
					uint64_t *compact_revision)
{
	const struct spoiling *spoiling = &source.spoiling;
	(void)compact_revision;
	*count = 0;
	assert_true(watch->open);
	if (atomic_exchange(&watch->interrupted, false))
		return ETCD_WATCH_TIMEOUT;
	if (happens(spoiling->breaks)) {
		watch->open = false;
		return ETCD_WATCH_BROKEN;
	}
	read_source();
	while (watch->at < source.count && source.values[watch->at].position.mod_revision < watch->from_revision)
		watch->at++;
	size_t most = (size_t)test_random_in(&source.seed, 1, GIVEN_MAX);
	while (watch->at < source.count && *count < most && !happens(spoiling->hangs))
		give_one(watch, events, count);
	if (*count > 0) {
		atomic_fetch_add(&source.given, (int)*count);
		return ETCD_WATCH_EVENTS;
	}
	while (test_now_ms() < deadline_ms && !atomic_load(&watch->interrupted))
		test_pause_ms(1);
	return ETCD_WATCH_TIMEOUT;
}

/* ---- the test --------------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	memset(&source, 0, sizeof source);
	source.seed = test_seed("stream");
	arena_init(&source.arena, (size_t)64 * 1024 * 1024);
	cluster_start(&frame, 1, 1);
	assert_true(etcd_create(frame.server.endpoints, NULL, &source.etcd));
	cluster_init_log(&frame);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cluster_stop(&frame);
	etcd_destroy(source.etcd);
	arena_close(&source.arena);
	return 0;
}

static void append_buys(int from, int count)
{
	for (int i = from; i < from + count; i++) {
		char key[32];
		snprintf(key, sizeof key, "buy/0/%d", i);
		struct command buy = buy_of(key, 1 + i % CLUSTER_ITEMS, 1);
		cluster_append(&frame, &buy, 1);
	}
}

/* The chain hash at index of a replica that got every value once and in order. */
static void true_chain(uint64_t index, uint8_t chain[CHAIN_BYTES])
{
	char path[PATH_BYTES];
	struct applier *applier;
	path_in(path, frame.nodes[0].folder, "true.db");
	assert_int_equal(applier_open(path, NULL, &applier), PYGMY_OK);
	for (uint64_t i = 0; i < index; i++)
		assert_int_equal(applier_apply(applier, &source.values[i], 1, NULL, NULL), PYGMY_OK);
	memcpy(chain, applier_position(applier)->chain, CHAIN_BYTES);
	applier_close(applier);
}

static void assert_follows(struct spoiling spoiling)
{
	source.spoiling = spoiling;
	append_buys(0, ENTRIES / 2);
	cluster_node_open(&frame.nodes[0]);
	append_buys(ENTRIES / 2, ENTRIES / 2);
	cluster_node_await(&frame.nodes[0]);
	struct reader_counts counts = cluster_counts(&frame.nodes[0]);
	cluster_node_close(&frame.nodes[0]);
	assert_int_equal(counts.orders, ENTRIES);
	printf("# %d events given, %d lost, %d openings\n", atomic_load(&source.given), atomic_load(&source.lost), atomic_load(&source.opened));
	uint8_t chain[CHAIN_BYTES];
	char hex[2 * CHAIN_BYTES + 1] = "";
	read_source();
	true_chain(counts.revision, chain);
	for (int i = 0; i < CHAIN_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", chain[i]);
	assert_string_equal(counts.chain_hex, hex);
}

static void test_a_true_watch(void **state)
{
	(void)state;
	assert_follows((struct spoiling){ 0 });
}

/* Each gap is closed by walking back, without another opening. */
static void test_lost_events(void **state)
{
	(void)state;
	assert_follows((struct spoiling){ .lose = 20 });
	assert_true(atomic_load(&source.lost) > 0);
}

static void test_repeated_and_reordered_events(void **state)
{
	(void)state;
	assert_follows((struct spoiling){ .repeat = 30, .swap = 30 });
}

static void test_a_watch_that_loses_nearly_all(void **state)
{
	(void)state;
	assert_follows((struct spoiling){ .lose = 95, .hangs = 5 });
}

static void test_a_watch_that_lies(void **state)
{
	(void)state;
	assert_follows((struct spoiling){ .lose = 5, .repeat = 5, .swap = 5, .invent = 2, .foreign = 1, .is_delete = 1, .breaks = 3, .hangs = 5 });
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_true_watch),
		TEST(test_lost_events),
		TEST(test_repeated_and_reordered_events),
		TEST(test_a_watch_that_loses_nearly_all),
		TEST(test_a_watch_that_lies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
