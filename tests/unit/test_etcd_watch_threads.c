/*
 * The watch against scripted streams and a real etcd: everything that was put comes, in order, however slowly it is taken; a
 * stream that ends or talks nonsense is told from one that is silent; any thread may interrupt.
 */
#include "tests/unit/etcd_server.h"
#include "tests/unit/scripted_server.h"

#include <curl/curl.h>
#include <pthread.h>

#include "db/etcd_watch.h"
#include "db/monotonic.h"

#define KEY "k"
#define FAR_MS 20000
#define NEAR_MS 50
#define VERSIONS_MAX 10000

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
#define HEADER "\"header\":{\"cluster_id\":\"7\",\"revision\":\"9\"}"
#define CREATED "{\"result\":{" HEADER ",\"created\":true}}\n"
#define EVENT(version) "{\"result\":{" HEADER ",\"events\":[{\"kv\":{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"" version "\",\"value\":\"eA==\"}}]}}\n"

struct frame {
	struct etcd_server server;
	struct scripted_server scripted;
	bool is_scripted;
	struct etcd *etcd;
	struct etcd_watch *watch;
	struct etcd_event events[ETCD_WATCH_EVENTS_MAX];
	size_t count;
	uint64_t compact_revision;
	uint64_t numbers[VERSIONS_MAX]; /* by version: of the value that was acknowledged there, 0 where none was */
	uint64_t last;                /* acknowledged version */
};

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	*state = frame;
	return frame == NULL || !etcd_watch_create(NULL, &frame->watch);
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	etcd_watch_destroy(frame->watch);
	etcd_destroy(frame->etcd);
	if (frame->is_scripted)
		scripted_stop(&frame->scripted);
	etcd_server_stop(&frame->server);
	free(frame);
	return 0;
}

static enum etcd_watch_outcome next(struct frame *frame, int64_t limit_ms)
{
	return etcd_watch_next(frame->watch, monotonic_ms() + limit_ms, frame->events, &frame->count, &frame->compact_revision);
}

static const char *frame_step;

static void open_scripted(struct frame *frame, const char *step)
{
	if (frame->is_scripted)
		scripted_stop(&frame->scripted);
	frame_step = step;
	scripted_start(&frame->scripted, &frame_step, 1);
	frame->is_scripted = true;
	etcd_watch_open(frame->watch, frame->scripted.url, KEY, 3);
}

/* ---- scripted streams ---------------------------------------------------------------------------------- */

static void test_a_stream(void **state)
{
	struct frame *frame = *state;
	assert_int_equal(next(frame, NEAR_MS), ETCD_WATCH_BROKEN); /* not open */
	open_scripted(frame, STREAM CREATED EVENT("1") EVENT("2") "{\"result\":{" HEADER "}}\n" EVENT("3") "{\"result\":" SCRIPTED_STAY);
	for (uint64_t version = 1; version <= 3; version++) {
		assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_EVENTS);
		assert_int_equal(frame->count, 1);
		assert_int_equal(frame->events[0].position.version, version);
		assert_true(slice_equal(frame->events[0].value, SLICE_LITERAL("x")));
	}
	assert_int_equal(next(frame, NEAR_MS), ETCD_WATCH_TIMEOUT);
	assert_int_equal(next(frame, -1), ETCD_WATCH_TIMEOUT);
	assert_int_equal(frame->count, 0);
	assert_non_null(strstr(frame->scripted.request[0], "POST /v3/watch HTTP/1.1\r\n"));
	assert_non_null(strstr(frame->scripted.request[0], "{\"create_request\":{\"fragment\":true,\"key\":\"aw==\",\"start_revision\":\"3\"}}"));
	/* Opened again, the old stream is forgotten. */
	open_scripted(frame, STREAM EVENT("9") SCRIPTED_STAY);
	assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_EVENTS);
	assert_int_equal(frame->events[0].position.version, 9);
}

/* What came before the end is given out first. */
static void test_streams_that_break(void **state)
{
	struct frame *frame = *state;
	static const char *const steps[] = {
		STREAM EVENT("1"),
		STREAM EVENT("1") "{\"result\":",
		STREAM EVENT("1") "nonsense\n" SCRIPTED_STAY,
		STREAM EVENT("1") "{\"error\":{\"grpc_code\":14,\"message\":\"etcdserver: no leader\"}}\n" SCRIPTED_STAY,
		STREAM EVENT("1") "{\"result\":{" HEADER ",\"canceled\":true}}\n" EVENT("2") SCRIPTED_STAY,
		STREAM EVENT("1") EVENT("0") SCRIPTED_STAY,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0;x\r\n\r\n",
		"HTTP/1.1 503 No\r\nContent-Length: 14\r\n\r\n{\"error\":\"no\"}",
		"HTTP/1.1 404 No\r\nContent-Length: 10\r\n\r\nNot Found\n",
		NULL,
	};
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		open_scripted(frame, steps[i]);
		enum etcd_watch_outcome outcome = next(frame, FAR_MS);
		if (i < 6) {
			assert_int_equal(outcome, ETCD_WATCH_EVENTS);
			outcome = next(frame, FAR_MS);
		}
		assert_int_equal(outcome, ETCD_WATCH_BROKEN);
		assert_true(strlen(etcd_watch_error(frame->watch)) > 10);
		assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_BROKEN);
	}
	etcd_watch_open(frame->watch, "http://127.0.0.1:1", KEY, 3);
	assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_BROKEN);
	etcd_watch_open(frame->watch, "file:///etc/passwd", KEY, 3);
	assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_BROKEN);
}

static void test_compaction(void **state)
{
	struct frame *frame = *state;
	open_scripted(frame, STREAM CREATED "{\"result\":{" HEADER ",\"canceled\":true,\"compact_revision\":\"44\"}}\n" SCRIPTED_STAY);
	assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_COMPACTED);
	assert_int_equal(frame->compact_revision, 44);
	assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_BROKEN);
}

static void test_a_line_without_end(void **state)
{
	struct frame *frame = *state;
	size_t len = ETCD_WATCH_LINE_MAX_BYTES + 100000;
	char *step = malloc(len);
	assert_non_null(step);
	memset(step, 'x', len);
	memcpy(step, STREAM, sizeof STREAM - 1);
	step[len - 1] = '\0';
	open_scripted(frame, step);
	assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_BROKEN);
	scripted_stop(&frame->scripted);
	frame->is_scripted = false;
	free(step);
	assert_non_null(strstr(etcd_watch_error(frame->watch), "too long"));
}

/* ---- interrupting ---------------------------------------------------------------------------------------- */

static void *interrupt_later(void *context)
{
	struct frame *frame = context;
	test_pause_ms(20);
	etcd_watch_interrupt(frame->watch);
	return NULL;
}

static void test_interrupts(void **state)
{
	struct frame *frame = *state;
	pthread_t thread;
	open_scripted(frame, STREAM CREATED SCRIPTED_STAY);
	for (int round = 0; round < 10; round++) {
		assert_int_equal(pthread_create(&thread, NULL, interrupt_later, frame), 0);
		int64_t started_ms = monotonic_ms();
		assert_int_equal(next(frame, 60000), ETCD_WATCH_TIMEOUT);
		assert_true(monotonic_ms() - started_ms < 30000);
		pthread_join(thread, NULL);
	}
	/* One that came while nobody waited counts for the next wait, once. */
	etcd_watch_interrupt(frame->watch);
	assert_int_equal(next(frame, 60000), ETCD_WATCH_TIMEOUT);
	assert_int_equal(next(frame, NEAR_MS), ETCD_WATCH_TIMEOUT);
}

/* ---- a real etcd ----------------------------------------------------------------------------------------- */

static uint64_t start_log(struct frame *frame)
{
	struct etcd_position position;
	etcd_server_start(&frame->server, 1);
	assert_true(etcd_create(frame->server.endpoints, NULL, &frame->etcd));
	assert_int_equal(etcd_log_create(frame->etcd, KEY, SLICE_LITERAL("1"), monotonic_ms() + FAR_MS, &position), ETCD_OK);
	frame->last = 1;
	return position.create_revision;
}

/* Value n: its number, then bytes of a length that depends on it. */
static struct slice value_of(uint64_t number, char *bytes, size_t max)
{
	size_t len = 20 + (size_t)(number * 7919 * 31 % (max - 20));
	memset(bytes, (int)(number % 251), len);
	snprintf(bytes, 20, "%" PRIu64, number);
	return (struct slice){ bytes, len };
}

/* On a busy machine a try may take too long and be repeated: then a value stands there twice. */
static void append(struct frame *frame, uint64_t log, uint64_t number, char *bytes, size_t max)
{
	struct etcd_position position;
	assert_int_equal(etcd_log_append(frame->etcd, KEY, log, value_of(number, bytes, max), monotonic_ms() + FAR_MS, &position), ETCD_OK);
	assert_true(position.version > frame->last && position.version < VERSIONS_MAX);
	assert_true(position.mod_revision == log + position.version - 1);
	frame->last = position.version;
	frame->numbers[frame->last] = number;
}

static void check_event(struct frame *frame, const struct etcd_event *event, uint64_t version, char *bytes, size_t max)
{
	char text[20] = "";
	assert_int_equal(event->position.version, version);
	assert_true(event->value.len >= sizeof text);
	memcpy(text, event->value.ptr, sizeof text - 1);
	uint64_t number = strtoull(text, NULL, 10);
	assert_true(slice_equal(event->value, value_of(number, bytes, max)));
	if (frame->numbers[version] != 0)
		assert_int_equal(number, frame->numbers[version]);
}

/* Takes all from a version on to the last one that was acknowledged, and (repeated ones) what comes behind it. */
static void follow(struct frame *frame, uint64_t from, char *bytes, size_t max)
{
	uint64_t version = from;
	enum etcd_watch_outcome outcome = ETCD_WATCH_EVENTS;
	while (outcome == ETCD_WATCH_EVENTS) {
		outcome = next(frame, version <= frame->last ? FAR_MS : NEAR_MS);
		for (size_t i = 0; i < frame->count; i++)
			check_event(frame, &frame->events[i], version++, bytes, max);
	}
	assert_int_equal(outcome, ETCD_WATCH_TIMEOUT);
	assert_true(version > frame->last);
	frame->last = version - 1;
}

static void test_old_and_new_values(void **state)
{
	struct frame *frame = *state;
	enum { MAX = 200000 };
	static char bytes[MAX];
	uint64_t log = start_log(frame);
	for (uint64_t number = 2; number <= 300; number++)
		append(frame, log, number, bytes, MAX);
	/* 30 MB wait; etcd keeps them, not we. */
	etcd_watch_open(frame->watch, frame->server.members[0].url, KEY, log + 1);
	follow(frame, 2, bytes, MAX);
	for (uint64_t number = 301; number <= 320; number++) {
		uint64_t from = frame->last + 1;
		append(frame, log, number, bytes, MAX);
		follow(frame, from, bytes, MAX);
	}
	assert_int_equal(etcd_compact(frame->etcd, log + 100, monotonic_ms() + FAR_MS), ETCD_OK);
	etcd_watch_open(frame->watch, frame->server.members[0].url, KEY, log + 1);
	assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_COMPACTED);
	assert_true(frame->compact_revision == log + 100);
	etcd_watch_open(frame->watch, frame->server.members[0].url, KEY, log + 200);
	follow(frame, 201, bytes, MAX);
}

static void test_many_small_values(void **state)
{
	struct frame *frame = *state;
	enum { MAX = 60, MANY = 3000 };
	char bytes[MAX];
	uint64_t log = start_log(frame);
	for (uint64_t number = 2; number <= MANY; number++)
		append(frame, log, number, bytes, MAX);
	etcd_watch_open(frame->watch, frame->server.members[0].url, KEY, log + 1);
	follow(frame, 2, bytes, MAX);
}

static void test_an_etcd_that_dies(void **state)
{
	struct frame *frame = *state;
	char bytes[60];
	uint64_t log = start_log(frame), from;
	append(frame, log, 2, bytes, sizeof bytes);
	etcd_watch_open(frame->watch, frame->server.members[0].url, KEY, log + 1);
	follow(frame, 2, bytes, sizeof bytes);
	etcd_server_kill(&frame->server, 0);
	assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_BROKEN);
	from = frame->last + 1;
	etcd_watch_open(frame->watch, frame->server.members[0].url, KEY, log + from - 1);
	assert_int_equal(next(frame, FAR_MS), ETCD_WATCH_BROKEN);
	etcd_server_restart(&frame->server, 0);
	append(frame, log, 3, bytes, sizeof bytes);
	etcd_watch_open(frame->watch, frame->server.members[0].url, KEY, log + from - 1);
	follow(frame, from, bytes, sizeof bytes);
	/* A frozen member says nothing. */
	from = frame->last + 1;
	etcd_server_freeze(&frame->server, 0);
	assert_int_equal(next(frame, NEAR_MS), ETCD_WATCH_TIMEOUT);
	etcd_server_thaw(&frame->server, 0);
	append(frame, log, 4, bytes, sizeof bytes);
	follow(frame, from, bytes, sizeof bytes);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_stream),
		TEST(test_streams_that_break),
		TEST(test_compaction),
		TEST(test_a_line_without_end),
		TEST(test_interrupts),
		TEST(test_old_and_new_values),
		TEST(test_many_small_values),
		TEST(test_an_etcd_that_dies),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
