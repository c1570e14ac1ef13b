/* The client of etcd against real etcd processes: every call, and what a member that dies, freezes or lacks a quorum does to it. */
#include "tests/unit/etcd_server.h"

#include <curl/curl.h>

#include "db/etcd.h"
#include "db/monotonic.h"

#define KEY "/pygmy/log"
#define LONG_MS 10000

struct frame {
	struct etcd_server server;
	struct etcd *etcd;
	struct arena arena;
};

static int64_t soon(void)
{
	return monotonic_ms() + LONG_MS;
}

static void frame_start(struct frame *frame, int members)
{
	arena_init(&frame->arena, (size_t)16 * 1024 * 1024);
	etcd_server_start(&frame->server, members);
	assert_true(etcd_create(frame->server.endpoints, NULL, &frame->etcd));
	assert_int_equal(etcd_endpoint_count(frame->etcd), members);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct frame));
	return *state == NULL;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	etcd_destroy(frame->etcd);
	etcd_server_stop(&frame->server);
	arena_close(&frame->arena);
	free(frame);
	return 0;
}

#define assert_etcd(frame, call, expected) do { \
	enum etcd_outcome assert_outcome = (call); \
	if (assert_outcome != (expected)) \
		fail_msg("%s: outcome %d, %s", #call, (int)assert_outcome, etcd_last_error((frame)->etcd)); \
} while (0)

static struct etcd_position create_log(struct frame *frame)
{
	struct etcd_position position;
	assert_etcd(frame, etcd_log_create(frame->etcd, KEY, SLICE_LITERAL("genesis"), soon(), &position), ETCD_OK);
	assert_int_equal(position.version, 1);
	assert_int_equal(position.create_revision, position.mod_revision);
	assert_true(position.cluster_id != 0);
	return position;
}

/* ---- one member --------------------------------------------------------------------------------------- */

static void test_the_log(void **state)
{
	struct frame *frame = *state;
	struct etcd_position log, position;
	struct etcd_value value;
	frame_start(frame, 1);
	assert_etcd(frame, etcd_log_position(frame->etcd, KEY, soon(), &position), ETCD_OK);
	assert_int_equal(position.version, 0);
	assert_etcd(frame, etcd_log_read(frame->etcd, KEY, 0, soon(), &frame->arena, &value), ETCD_NOT_FOUND);
	assert_etcd(frame, etcd_log_append(frame->etcd, KEY, 7, SLICE_LITERAL("x"), soon(), &position), ETCD_COMPARE_FAILED);
	assert_etcd(frame, etcd_log_append(frame->etcd, KEY, 0, SLICE_LITERAL("x"), soon(), &position), ETCD_COMPARE_FAILED);
	log = create_log(frame);
	assert_etcd(frame, etcd_log_create(frame->etcd, KEY, SLICE_LITERAL("genesis"), soon(), &position), ETCD_COMPARE_FAILED);
	for (uint64_t version = 2; version <= 20; version++) {
		assert_etcd(frame, etcd_log_append(frame->etcd, KEY, log.create_revision, SLICE_LITERAL("\0\n\"entry\xff"), soon(), &position), ETCD_OK);
		assert_int_equal(position.version, version);
		assert_int_equal(position.cluster_id, log.cluster_id);
		assert_int_equal(position.mod_revision, log.mod_revision + version - 1);
	}
	assert_etcd(frame, etcd_log_position(frame->etcd, KEY, soon(), &position), ETCD_OK);
	assert_int_equal(position.version, 20);
	assert_etcd(frame, etcd_log_read(frame->etcd, KEY, 0, soon(), &frame->arena, &value), ETCD_OK);
	assert_true(slice_equal(value.bytes, SLICE_LITERAL("\0\n\"entry\xff")));
	assert_etcd(frame, etcd_log_read(frame->etcd, KEY, log.mod_revision, soon(), &frame->arena, &value), ETCD_OK);
	assert_true(slice_equal(value.bytes, SLICE_LITERAL("genesis")));
	assert_int_equal(value.position.version, 1);
	assert_etcd(frame, etcd_log_read(frame->etcd, KEY, position.mod_revision + 9, soon(), &frame->arena, &value), ETCD_REFUSED);
	assert_etcd(frame, etcd_compact(frame->etcd, log.mod_revision + 5, soon()), ETCD_OK);
	assert_etcd(frame, etcd_compact(frame->etcd, log.mod_revision + 5, soon()), ETCD_COMPACTED);
	assert_etcd(frame, etcd_log_read(frame->etcd, KEY, log.mod_revision + 4, soon(), &frame->arena, &value), ETCD_COMPACTED);
}

static void test_sizes(void **state)
{
	struct frame *frame = *state;
	static char big[3 * 1024 * 1024];
	static const size_t sizes[] = { 0, 1, 2, 3, 6 * 1024, 64 * 1024, 1024 * 1024, 1530 * 1024 };
	struct etcd_position log, position;
	struct etcd_value value;
	uint64_t seed = test_seed("sizes");
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)test_random(&seed);
	frame_start(frame, 1);
	log = create_log(frame);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct slice bytes = { big + i, sizes[i] };
		assert_etcd(frame, etcd_log_append(frame->etcd, KEY, log.create_revision, bytes, soon(), &position), ETCD_OK);
		assert_etcd(frame, etcd_log_read(frame->etcd, KEY, 0, soon(), &frame->arena, &value), ETCD_OK);
		assert_true(slice_equal(value.bytes, bytes));
		arena_reset(&frame->arena);
	}
	const size_t too_large[] = { 1600 * 1024, 2 * 1024 * 1024, sizeof big };
	for (size_t i = 0; i < 3; i++)
		assert_etcd(frame, etcd_log_append(frame->etcd, KEY, log.create_revision, (struct slice){ big, too_large[i] }, soon(), &position),
			    ETCD_TOO_LARGE);
	struct arena small;
	arena_init(&small, 1024);
	assert_etcd(frame, etcd_log_read(frame->etcd, KEY, 0, soon(), &small, &value), ETCD_REFUSED);
	assert_non_null(strstr(etcd_last_error(frame->etcd), "memory"));
	arena_close(&small);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_log),
		TEST(test_sizes),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
