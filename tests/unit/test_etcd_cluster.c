/* The client of etcd against real etcd processes: every call, and what a member that dies, freezes or lacks a quorum does to it. */
#include "tests/unit/etcd_server.h"

#include <curl/curl.h>

#include "db/etcd.h"
#include "db/monotonic.h"

#define KEY "/pygmy/log"
#define LONG_MS 20000

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
	/* (On a busy machine a try may take too long, be repeated, and stand there twice.) */
	for (uint64_t i = 2, version = 1; i <= 20; i++) {
		assert_etcd(frame, etcd_log_append(frame->etcd, KEY, log.create_revision, SLICE_LITERAL("\0\n\"entry\xff"), soon(), &position), ETCD_OK);
		assert_true(position.version > version);
		version = position.version;
		assert_int_equal(position.cluster_id, log.cluster_id);
		assert_int_equal(position.mod_revision, log.mod_revision + version - 1);
	}
	assert_etcd(frame, etcd_log_position(frame->etcd, KEY, soon(), &position), ETCD_OK);
	assert_true(position.version >= 20);
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
	/* (Not told for certain where a try before took too long.) */
	for (size_t i = 0; i < 3; i++)
		assert_true(WAIT_FOR(etcd_log_append(frame->etcd, KEY, log.create_revision, (struct slice){ big, too_large[i] }, soon(), &position) ==
					     ETCD_TOO_LARGE, LONG_MS));
	struct arena small;
	arena_init(&small, 1024);
	assert_etcd(frame, etcd_log_read(frame->etcd, KEY, 0, soon(), &small, &value), ETCD_REFUSED);
	assert_non_null(strstr(etcd_last_error(frame->etcd), "memory"));
	arena_close(&small);
}

struct listed {
	int count;
	char text[512];
	uint64_t lease;
};

static void note(void *context, struct slice key, struct slice value, uint64_t lease)
{
	struct listed *listed = context;
	size_t len = strlen(listed->text);
	snprintf(listed->text + len, sizeof listed->text - len, "%.*s=%.*s ", (int)key.len, key.ptr, (int)value.len, value.ptr);
	listed->lease = lease;
	listed->count++;
}

static int count_members(struct frame *frame)
{
	struct listed listed = { 0 };
	assert_etcd(frame, etcd_list(frame->etcd, "/pygmy/members/", soon(), note, &listed), ETCD_OK);
	return listed.count;
}

static void test_leases(void **state)
{
	struct frame *frame = *state;
	struct listed listed = { 0 };
	uint64_t lease = 0, short_lease = 0;
	frame_start(frame, 1);
	assert_int_equal(count_members(frame), 0);
	assert_etcd(frame, etcd_lease_keep(frame->etcd, 4711, soon()), ETCD_NOT_FOUND);
	assert_etcd(frame, etcd_lease_revoke(frame->etcd, 4711, soon()), ETCD_NOT_FOUND);
	assert_etcd(frame, etcd_put(frame->etcd, "/pygmy/members/A", SLICE_LITERAL("x"), 4711, soon()), ETCD_NOT_FOUND);
	assert_etcd(frame, etcd_lease_grant(frame->etcd, 60, soon(), &lease), ETCD_OK);
	assert_etcd(frame, etcd_put(frame->etcd, "/pygmy/members/A", SLICE_LITERAL("{}"), lease, soon()), ETCD_OK);
	assert_etcd(frame, etcd_put(frame->etcd, "/pygmy/members/B", SLICE_LITERAL("{1}"), lease, soon()), ETCD_OK);
	assert_etcd(frame, etcd_put(frame->etcd, "/pygmy/membersX", SLICE_LITERAL("no"), 0, soon()), ETCD_OK);
	assert_etcd(frame, etcd_lease_keep(frame->etcd, lease, soon()), ETCD_OK);
	assert_etcd(frame, etcd_list(frame->etcd, "/pygmy/members/", soon(), note, &listed), ETCD_OK);
	assert_string_equal(listed.text, "/pygmy/members/A={} /pygmy/members/B={1} ");
	assert_true(listed.lease == lease);
	assert_etcd(frame, etcd_list(frame->etcd, "", soon(), note, &listed), ETCD_REFUSED);
	assert_etcd(frame, etcd_lease_revoke(frame->etcd, lease, soon()), ETCD_OK);
	assert_int_equal(count_members(frame), 0);
	/* One that nobody keeps runs out. */
	assert_etcd(frame, etcd_lease_grant(frame->etcd, 1, soon(), &short_lease), ETCD_OK);
	assert_etcd(frame, etcd_put(frame->etcd, "/pygmy/members/A", SLICE_LITERAL("{}"), short_lease, soon()), ETCD_OK);
	assert_true(WAIT_FOR(count_members(frame) == 0, 15000));
	assert_etcd(frame, etcd_lease_keep(frame->etcd, short_lease, soon()), ETCD_NOT_FOUND);
}

static void test_no_space_and_back(void **state)
{
	struct frame *frame = *state;
	static const char *const options[] = { "--quota-backend-bytes", "2000000", NULL };
	static char value[200 * 1024];
	struct etcd_position position, log;
	struct etcd_status before, after;
	struct etcd_alarm alarms[4];
	enum etcd_outcome outcome = ETCD_OK;
	uint64_t lease;
	int count;
	arena_init(&frame->arena, (size_t)1024 * 1024);
	frame->server.options = options;
	etcd_server_start_with(&frame->server, 1);
	assert_true(etcd_create(frame->server.endpoints, NULL, &frame->etcd));
	log = create_log(frame);
	assert_etcd(frame, etcd_alarms(frame->etcd, soon(), alarms, 4, &count), ETCD_OK);
	assert_int_equal(count, 0);
	for (int i = 0; i < 50 && outcome == ETCD_OK; i++)
		outcome = etcd_log_append(frame->etcd, KEY, log.create_revision, (struct slice){ value, sizeof value }, soon(), &position);
	assert_etcd(frame, outcome, ETCD_NO_SPACE);
	assert_etcd(frame, etcd_put(frame->etcd, "/pygmy/members/A", SLICE_LITERAL("x"), 0, soon()), ETCD_NO_SPACE);
	assert_etcd(frame, etcd_lease_grant(frame->etcd, 5, soon(), &lease), ETCD_NO_SPACE);
	assert_etcd(frame, etcd_log_position(frame->etcd, KEY, soon(), &position), ETCD_OK);
	assert_etcd(frame, etcd_alarms(frame->etcd, soon(), alarms, 4, &count), ETCD_OK);
	assert_int_equal(count, 1);
	assert_int_equal(alarms[0].type, ETCD_ALARM_NO_SPACE);
	assert_etcd(frame, etcd_status(frame->etcd, 0, soon(), &before), ETCD_OK);
	assert_true(alarms[0].member_id == before.member_id);
	assert_int_equal(strncmp(before.version, "3.", 2), 0);
	/* The cure. */
	assert_etcd(frame, etcd_compact(frame->etcd, position.mod_revision, soon()), ETCD_OK);
	assert_true(WAIT_FOR(etcd_defragment(frame->etcd, 0, soon()) == ETCD_OK &&
				     etcd_status(frame->etcd, 0, soon(), &after) == ETCD_OK && after.db_bytes < before.db_bytes / 2, 10000));
	assert_etcd(frame, etcd_disarm(frame->etcd, &alarms[0], soon()), ETCD_OK);
	assert_etcd(frame, etcd_alarms(frame->etcd, soon(), alarms, 4, &count), ETCD_OK);
	assert_int_equal(count, 0);
	assert_etcd(frame, etcd_log_append(frame->etcd, KEY, log.create_revision, SLICE_LITERAL("x"), soon(), &position), ETCD_OK);
}

/* ---- several members ------------------------------------------------------------------------------------ */

static int leader_of(struct frame *frame)
{
	struct etcd_status status;
	for (int i = 0; i < frame->server.count; i++)
		if (frame->server.members[i].pid != 0 && etcd_status(frame->etcd, i, soon(), &status) == ETCD_OK &&
		    status.leader_id == status.member_id)
			return i;
	return -1;
}

static void append(struct frame *frame, const struct etcd_position *log, uint64_t *version)
{
	struct etcd_position position;
	assert_etcd(frame, etcd_log_append(frame->etcd, KEY, log->create_revision, SLICE_LITERAL("entry"), soon(), &position), ETCD_OK);
	assert_true(position.version > *version);
	*version = position.version;
}

static void test_members_that_die(void **state)
{
	struct frame *frame = *state;
	uint64_t version = 1;
	struct etcd_position position;
	frame_start(frame, 3);
	struct etcd_position log = create_log(frame);
	for (int round = 0; round < 3; round++) {
		int victim = round == 0 ? (leader_of(frame) + 1) % 3 : leader_of(frame);
		assert_true(victim >= 0);
		etcd_prefer(frame->etcd, victim);
		append(frame, &log, &version);
		etcd_server_kill(&frame->server, victim);
		append(frame, &log, &version);
		append(frame, &log, &version);
		etcd_server_restart(&frame->server, victim);
		etcd_prefer(frame->etcd, victim);
		assert_etcd(frame, etcd_log_position(frame->etcd, KEY, soon(), &position), ETCD_OK);
		assert_true(position.version >= version);
	}
}

static void test_members_that_freeze(void **state)
{
	struct frame *frame = *state;
	uint64_t version = 1;
	struct etcd_position position;
	struct etcd_status status;
	frame_start(frame, 3);
	struct etcd_position log = create_log(frame);
	for (int victim = 0; victim < 3; victim++) {
		etcd_prefer(frame->etcd, victim);
		etcd_server_freeze(&frame->server, victim);
		append(frame, &log, &version);
		assert_etcd(frame, etcd_log_position(frame->etcd, KEY, soon(), &position), ETCD_OK);
		/* Of that one and no other: */
		assert_etcd(frame, etcd_status(frame->etcd, victim, monotonic_ms() + 100, &status), ETCD_UNREACHABLE);
		etcd_server_thaw(&frame->server, victim);
	}
	assert_etcd(frame, etcd_log_position(frame->etcd, KEY, soon(), &position), ETCD_OK);
	assert_true(position.version >= version);
}

static void test_without_a_quorum(void **state)
{
	struct frame *frame = *state;
	struct etcd_position position;
	struct etcd_status status;
	struct etcd_alarm alarms[2];
	uint64_t version = 1;
	int count;
	frame_start(frame, 3);
	struct etcd_position log = create_log(frame);
	assert_etcd(frame, etcd_put(frame->etcd, "/pygmy/members/A", SLICE_LITERAL("{}"), 0, soon()), ETCD_OK);
	etcd_server_kill(&frame->server, 1);
	etcd_server_kill(&frame->server, 2);
	/* Until it knows that it has no leader a put may be on its way; then it is refused at once, for certain. */
	assert_true(WAIT_FOR(etcd_status(frame->etcd, 0, soon(), &status) == ETCD_OK && status.leader_id == 0, 10000));
	assert_true(WAIT_FOR(etcd_log_append(frame->etcd, KEY, log.create_revision, SLICE_LITERAL("x"), monotonic_ms() + 300, &position) ==
				     ETCD_UNREACHABLE, LONG_MS));
	assert_etcd(frame, etcd_log_position(frame->etcd, KEY, monotonic_ms() + 300, &position), ETCD_UNREACHABLE);
	assert_etcd(frame, etcd_alarms(frame->etcd, monotonic_ms() + 300, alarms, 2, &count), ETCD_UNREACHABLE);
	assert_int_equal(count_members(frame), 1);
	etcd_server_spawn(&frame->server, 1);
	append(frame, &log, &version);
	/* Nobody at all. */
	etcd_server_kill(&frame->server, 0);
	etcd_server_kill(&frame->server, 1);
	assert_true(WAIT_FOR(etcd_log_append(frame->etcd, KEY, log.create_revision, SLICE_LITERAL("x"), monotonic_ms() + 300, &position) ==
				     ETCD_UNREACHABLE, LONG_MS));
	assert_etcd(frame, etcd_log_append(frame->etcd, KEY, log.create_revision, SLICE_LITERAL("x"), monotonic_ms() - 1, &position),
		    ETCD_UNREACHABLE);
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
		TEST(test_leases),
		TEST(test_no_space_and_back),
		TEST(test_members_that_die),
		TEST(test_members_that_freeze),
		TEST(test_without_a_quorum),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
