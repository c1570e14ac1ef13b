/*
 * fencer: pushes to the frontends that the log registers, of which some are silent. The log is a bare store; who proposes is the test.
 */
#include "tests/unit/frontend_server.h"

#include <curl/curl.h>

#include "db/fencer.h"
#include "db/frontends.h"
#include "db/monotonic.h"
#include "db/pusher.h"

#define LOG_ID "0123456789abcdef"
#define LEASE_MS 600

struct frame {
	struct bare_store store;
	pthread_mutex_t mutex;        /* of the store: proposals come from the fencer's thread */
	struct node_state *state;
	struct frontends *frontends;
	struct fencer *fencer;
	struct pusher *pusher;
	struct replica_stats stats;
	struct frontend_server *one, *two;
	atomic_int refusals;          /* so many proposals fail first */
	atomic_int proposals;
	int keys;
};

static struct result run_command(struct frame *frame, struct command command)
{
	pthread_mutex_lock(&frame->mutex);
	struct result result = bare_store_do(&frame->store, command);
	pthread_mutex_unlock(&frame->mutex);
	return result;
}

static enum pygmy_error propose(void *context, const struct command *command, int64_t deadline_ms, struct result *out)
{
	struct frame *frame = context;
	(void)deadline_ms;
	atomic_fetch_add(&frame->proposals, 1);
	if (atomic_fetch_sub(&frame->refusals, 1) > 0)
		return PYGMY_NO_QUORUM;
	*out = run_command(frame, *command);
	return PYGMY_OK;
}

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	assert_non_null(frame);
	bare_store_open(&frame->store);
	pthread_mutex_init(&frame->mutex, NULL);
	replica_stats_init(&frame->stats);
	assert_int_equal(node_state_open(frame->store.path, &frame->state), PYGMY_OK);
	assert_int_equal(frontends_create(frame->store.path, frame->state, &frame->frontends), PYGMY_OK);
	assert_int_equal(fencer_create(frame->frontends, propose, frame, &frame->stats, &frame->fencer), PYGMY_OK);
	struct pusher_options options = { .frontends = "unix:/nobody", .registered = frame->frontends, .fencer = frame->fencer, .log_id = LOG_ID,
					  .lease_ms = LEASE_MS };
	assert_int_equal(pusher_create(&options, &frame->stats, &frame->pusher), PYGMY_OK);
	frame->one = server_start(frame->store.folder, "one.sock", CONFIRM);
	frame->two = server_start(frame->store.folder, "two.sock", CONFIRM);
	*state = frame;
	return 0;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	pusher_destroy(frame->pusher);
	fencer_destroy(frame->fencer);
	frontends_destroy(frame->frontends);
	node_state_close(frame->state);
	server_stop(frame->one);
	server_stop(frame->two);
	pthread_mutex_destroy(&frame->mutex);
	bare_store_close(&frame->store);
	free(frame);
	return 0;
}

static uint64_t join(struct frame *frame, const char *name, const struct frontend_server *server)
{
	char key[32], url[PATH_BYTES + 8];
	snprintf(key, sizeof key, "frontend/0/%d", frame->keys++);
	snprintf(url, sizeof url, "unix:%s", server->path);
	struct result result = run_command(frame, frontend_join_of(key, name, url));
	assert_int_equal(result.error, PYGMY_OK);
	return result.revision;
}

/* A write, of which all frontends are told. Returns how long that took. */
static int64_t push(struct frame *frame, uint64_t revision)
{
	struct result result = { .revision = revision, .slot_count = 1, .slots = { 7 } };
	int64_t committed_ms = monotonic_ms();
	pusher_confirm(frame->pusher, &result, 1, committed_ms);
	return monotonic_ms() - committed_ms;
}

static uint64_t position(struct frame *frame)
{
	pthread_mutex_lock(&frame->mutex);
	uint64_t index = frame->store.position.index;
	pthread_mutex_unlock(&frame->mutex);
	return index;
}

static bool is_fenced(struct frame *frame, const char *name, int64_t *seen_ms)
{
	struct frontend_list list;
	assert_true(frontends_look(frame->frontends, &list));
	for (size_t i = 0; i < list.count; i++)
		if (strcmp(list.items[i].name, name) == 0 && list.items[i].fenced) {
			*seen_ms = list.fence_seen_ms;
			return true;
		}
	return false;
}

static uint64_t fences(struct frame *frame)
{
	return atomic_load(&frame->stats.fences);
}

/* Pushes until the time of all leases of before the fence is over, however slow the machine is. */
static void outlast_the_fence(struct frame *frame, const char *name)
{
	int64_t seen_ms = 0;
	assert_true(is_fenced(frame, name, &seen_ms));
	assert_true(seen_ms > 0);
	push(frame, position(frame));
	assert_true(monotonic_ms() >= seen_ms + LEASE_MS);
}

/* ---- whom is told ------------------------------------------------------------------------------------- */

static void test_those_who_joined_are_told(void **state)
{
	struct frame *frame = *state;
	push(frame, 0);
	assert_int_equal(atomic_load(&frame->one->requests), 0);
	join(frame, "F1", frame->one);
	push(frame, position(frame));
	assert_int_equal(atomic_load(&frame->one->requests), 1);
	assert_int_equal(atomic_load(&frame->two->requests), 0);
	join(frame, "F2", frame->two);
	push(frame, position(frame));
	assert_int_equal(atomic_load(&frame->one->requests), 2);
	assert_int_equal(atomic_load(&frame->two->requests), 1);
	assert_int_equal(atomic_load(&frame->stats.push_lapses), 0);
	assert_int_equal(atomic_load(&frame->proposals), 0);
}

/* A database that is behind the write does not tell whom to wait for: every lease that may be there is waited out. */
static void test_when_the_list_may_be_old_all_leases_lapse(void **state)
{
	struct frame *frame = *state;
	join(frame, "F1", frame->one);
	assert_true(push(frame, position(frame) + 1) >= LEASE_MS);
	push(frame, position(frame));
	assert_int_equal(atomic_load(&frame->proposals), 0);
}

/* ---- who is silent ------------------------------------------------------------------------------------ */

static void test_who_is_silent_is_fenced_and_costs_one_lease(void **state)
{
	struct frame *frame = *state;
	int64_t seen_ms = 0;
	join(frame, "F1", frame->one);
	join(frame, "F2", frame->two);
	server_set(frame->one, REFUSE);
	assert_true(push(frame, position(frame)) >= LEASE_MS);
	assert_true(WAIT_FOR(is_fenced(frame, "F1", &seen_ms), FAR_MS));
	assert_false(is_fenced(frame, "F2", &seen_ms));
	assert_true(WAIT_FOR(fences(frame) == 1, FAR_MS));
	outlast_the_fence(frame, "F1");
	/* From now on nobody asks it. */
	int asked = atomic_load(&frame->one->requests), lapses = (int)atomic_load(&frame->stats.push_lapses);
	for (int i = 0; i < 5; i++)
		push(frame, position(frame));
	assert_int_equal(atomic_load(&frame->one->requests), asked);
	assert_int_equal(atomic_load(&frame->stats.push_lapses), lapses);
	assert_int_equal(fences(frame), 1);
	/* It joins again, and is told. */
	server_set(frame->one, CONFIRM);
	join(frame, "F1", frame->one);
	push(frame, position(frame));
	assert_int_equal(atomic_load(&frame->one->requests), asked + 1);
}

/* Another process of the node, or one that starts, finds the time of the fence. */
static void test_the_time_of_a_fence_is_the_nodes(void **state)
{
	struct frame *frame = *state;
	struct node_state *other;
	uint64_t since = join(frame, "F1", frame->one);
	uint64_t fence = run_command(frame, frontend_fence_of("fence/0/1", "F1", since)).revision;
	int64_t seen_ms = 0, before_ms = monotonic_ms();
	assert_true(is_fenced(frame, "F1", &seen_ms));
	assert_true(seen_ms >= before_ms);
	assert_int_equal(node_state_open(frame->store.path, &other), PYGMY_OK);
	test_pause_ms(3);
	assert_int_equal(node_state_see_fence(other, fence), seen_ms);
	assert_int_equal(node_state_see_fence(frame->state, fence - 1), seen_ms);
	/* A later one has a time of its own; and so has each when the log is another one, or the replica went back. */
	assert_true(node_state_see_fence(other, fence + 1) > seen_ms);
	seen_ms = node_state_see_fence(frame->state, fence + 1);
	test_pause_ms(3);
	node_state_set_log(frame->state, 1, 2, 3);
	assert_true(node_state_see_fence(other, 1) > seen_ms);
	node_state_close(other);
}

/* Who is fenced and confirms all the same need not be waited for. */
static void test_who_is_fenced_may_confirm_in_time(void **state)
{
	struct frame *frame = *state;
	int64_t seen_ms;
	uint64_t since = join(frame, "F1", frame->one);
	run_command(frame, frontend_fence_of("fence/0/1", "F1", since));
	assert_true(is_fenced(frame, "F1", &seen_ms));
	int before = atomic_load(&frame->one->requests);
	push(frame, position(frame));
	/* Unless the test was so slow that its time was over already. */
	assert_true(atomic_load(&frame->one->requests) == before + 1 || monotonic_ms() >= seen_ms + LEASE_MS);
}

static void test_a_fence_that_fails_is_tried_again(void **state)
{
	struct frame *frame = *state;
	int64_t seen_ms;
	join(frame, "F1", frame->one);
	server_set(frame->one, DROP);
	atomic_store(&frame->refusals, 2);
	for (int i = 0; i < 100 && !is_fenced(frame, "F1", &seen_ms); i++)
		push(frame, position(frame));
	assert_true(is_fenced(frame, "F1", &seen_ms));
	assert_true(atomic_load(&frame->proposals) >= 3);
}

/* The request is about one that has joined again meanwhile, is fenced already, or is forgotten. */
static void test_a_late_request_hits_nobody(void **state)
{
	struct frame *frame = *state;
	int64_t seen_ms;
	uint64_t since = join(frame, "F1", frame->one);
	join(frame, "F1", frame->one);
	fencer_ask(frame->fencer, "F1", since);
	fencer_ask(frame->fencer, "F2", since);
	uint64_t third = join(frame, "F3", frame->two);
	fencer_ask(frame->fencer, "F3", third);
	assert_true(WAIT_FOR(is_fenced(frame, "F3", &seen_ms), FAR_MS));
	assert_true(WAIT_FOR(fences(frame) == 1, FAR_MS));
	assert_false(is_fenced(frame, "F1", &seen_ms));
	/* Two processes that ask for the same get one fence. */
	char key[SCOPED_KEY_MAX_BYTES + 1];
	struct command again;
	fencer_make_command("F3", third, key, &again);
	assert_true(run_command(frame, again).repeated);
}

/* As long as etcd does not answer the request stays, but not for ever. */
static void test_a_request_that_is_not_repeated_is_dropped(void **state)
{
	struct frame *frame = *state;
	uint64_t since = join(frame, "F1", frame->one);
	atomic_store(&frame->refusals, 1000);
	fencer_ask(frame->fencer, "F1", since);
	assert_true(WAIT_FOR(atomic_load(&frame->proposals) >= 2, FAR_MS));
	int64_t until_ms = monotonic_ms() + FENCER_WANTED_MS;
	int proposals = 0;
	assert_true(WAIT_FOR((monotonic_ms() > until_ms ? proposals = atomic_load(&frame->proposals) : 0) > 0, FAR_MS));
	test_pause_ms(3 * FENCER_PAUSE_MS);
	assert_int_equal(atomic_load(&frame->proposals), proposals);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	curl_global_init(CURL_GLOBAL_DEFAULT);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_those_who_joined_are_told), TEST(test_when_the_list_may_be_old_all_leases_lapse),
		TEST(test_who_is_silent_is_fenced_and_costs_one_lease), TEST(test_the_time_of_a_fence_is_the_nodes),
		TEST(test_who_is_fenced_may_confirm_in_time), TEST(test_a_fence_that_fails_is_tried_again),
		TEST(test_a_late_request_hits_nobody), TEST(test_a_request_that_is_not_repeated_is_dropped),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
