/*
 * pusher: against frontends that confirm, refuse, hang, drop the connection, or are not there. Only the main thread asserts.
 */
#include "tests/unit/frontend_server.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include "db/changes.h"
/* The code itself, to see who waits in its queue. */
#include "db/pusher.c"

#define LOG_ID "0123456789abcdef"
#define LEASE_MS 300
#define TOKEN "the-token-of-peers"

/* ---- the test's frame ------------------------------------------------------------------------------- */

struct frame {
	char folder[FOLDER_MAX];
	struct replica_stats stats;
	struct pusher *pusher;
	struct frontend_server *one, *two;
};

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	assert_non_null(frame);
	folder_make(frame->folder);
	replica_stats_init(&frame->stats);
	*state = frame;
	return 0;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	pusher_destroy(frame->pusher);
	if (frame->one != NULL)
		server_stop(frame->one);
	if (frame->two != NULL)
		server_stop(frame->two);
	folder_remove(frame->folder);
	free(frame);
	return 0;
}

static enum pygmy_error create(struct frame *frame, const char *frontends)
{
	struct pusher_options options = { .frontends = frontends, .log_id = LOG_ID, .lease_ms = LEASE_MS, .peer_token = TOKEN };
	return pusher_create(&options, &frame->stats, &frame->pusher);
}

static void start(struct frame *frame, enum manner manner)
{
	char name[PATH_BYTES + 8];
	frame->one = server_start(frame->folder, "one.sock", manner);
	snprintf(name, sizeof name, "unix:%s", frame->one->path);
	assert_int_equal(create(frame, name), PYGMY_OK);
}

static void start_two(struct frame *frame, enum manner one, enum manner two)
{
	char names[2 * PATH_BYTES + 16];
	frame->one = server_start(frame->folder, "one.sock", one);
	frame->two = server_start(frame->folder, "two.sock", two);
	snprintf(names, sizeof names, " unix:%s  unix:%s ", frame->one->path, frame->two->path);
	assert_int_equal(create(frame, names), PYGMY_OK);
}

static struct result result_of(uint64_t revision, uint32_t slot)
{
	return (struct result){ .revision = revision, .slot_count = 1, .slots = { slot } };
}

/* Returns how long it took. */
static int64_t confirm(struct frame *frame, int64_t committed_ms)
{
	struct result results[] = { result_of(7, 100), result_of(8, 200) };
	int64_t started_ms = monotonic_ms();
	pusher_confirm(frame->pusher, results, 2, committed_ms);
	return monotonic_ms() - started_ms;
}

static void assert_last_is(struct frontend_server *server, const char *body)
{
	pthread_mutex_lock(&server->mutex);
	char *last = strdup(server->last);
	pthread_mutex_unlock(&server->mutex);
	const char *got = strstr(last, "\r\n\r\n");
	assert_non_null(got);
	assert_string_equal(got + 4, body);
	free(last);
}

#define TEXT "pygmy-changes 1 " LOG_ID " push 8\n7 100\n8 200\n"

/* ---- one frontend ----------------------------------------------------------------------------------- */

static void test_a_confirmed_push(void **state)
{
	struct frame *frame = *state;
	start(frame, CONFIRM);
	assert_true(confirm(frame, monotonic_ms() + FAR_MS) < FAR_MS / 2);
	assert_int_equal(atomic_load(&frame->one->requests), 1);
	assert_last_is(frame->one, TEXT);
	assert_true(strncmp(frame->one->last, "POST /coherence/push HTTP/1.1\r\n", 31) == 0);
	assert_non_null(strstr(frame->one->last, "\r\nContent-Type: text/plain\r\n"));
	assert_null(strstr(frame->one->last, "Expect:"));
	confirm(frame, monotonic_ms() + FAR_MS);
	assert_int_equal(atomic_load(&frame->one->requests), 2);
	assert_int_equal(atomic_load(&frame->stats.pushes), 2);
	assert_int_equal(atomic_load(&frame->stats.push_failures), 0);
	assert_int_equal(atomic_load(&frame->stats.push_lapses), 0);
}

static void test_nothing_changed_means_no_push(void **state)
{
	struct frame *frame = *state;
	struct result refused = { .error = PYGMY_SOLD_OUT, .revision = 7 };
	start(frame, HANG);
	int64_t started_ms = monotonic_ms();
	pusher_confirm(frame->pusher, &refused, 1, started_ms);
	assert_true(monotonic_ms() - started_ms < LEASE_MS);
	assert_int_equal(atomic_load(&frame->one->requests), 0);
}

static void test_everything_changed(void **state)
{
	struct frame *frame = *state;
	struct result import = { .revision = 9, .slot_count = SLOTS_ALL_CHANGED };
	start(frame, CONFIRM);
	pusher_confirm(frame->pusher, &import, 1, monotonic_ms() + FAR_MS);
	assert_last_is(frame->one, "pygmy-changes 1 " LOG_ID " reset 9\n");
}

/* A text that is larger than what one write to a socket takes, or for which libcurl would ask permission first. */
static void test_a_large_push(void **state)
{
	struct frame *frame = *state;
	struct result results[BATCH_MAX_COMMANDS];
	for (uint32_t i = 0; i < BATCH_MAX_COMMANDS; i++) {
		results[i] = (struct result){ .revision = UINT64_C(1000000000000) + i, .slot_count = SLOTS_PER_RESULT_MAX };
		for (uint32_t s = 0; s < SLOTS_PER_RESULT_MAX; s++)
			results[i].slots[s] = i * SLOTS_PER_RESULT_MAX + s;
	}
	start(frame, CONFIRM);
	int64_t started_ms = monotonic_ms();
	pusher_confirm(frame->pusher, results, BATCH_MAX_COMMANDS, started_ms + FAR_MS);
	assert_true(monotonic_ms() - started_ms < 900);
	assert_int_equal(atomic_load(&frame->one->requests), 1);
	pthread_mutex_lock(&frame->one->mutex);
	struct changes_head head;
	assert_true(changes_parse(slice_of(strstr(frame->one->last, "\r\n\r\n") + 4), &head, NULL, NULL));
	pthread_mutex_unlock(&frame->one->mutex);
	assert_true(head.position == UINT64_C(1000000000000) + BATCH_MAX_COMMANDS - 1);
}

/* Until T behind the commit, and not much longer. */
static void assert_waits_out_the_lease(struct frame *frame)
{
	int64_t took_ms = confirm(frame, monotonic_ms());
	assert_true(took_ms >= LEASE_MS);
	assert_true(took_ms < LEASE_MS + 1500);
	assert_int_equal(atomic_load(&frame->stats.push_lapses), 1);
	assert_true(atomic_load(&frame->stats.push_failures) >= 1);
	assert_int_equal(atomic_load(&frame->stats.pushes), 1);
}

static void test_one_that_refuses_is_waited_out(void **state)
{
	struct frame *frame = *state;
	start(frame, REFUSE);
	assert_waits_out_the_lease(frame);
	assert_true(atomic_load(&frame->one->requests) > 2);
}

static void test_only_204_confirms(void **state)
{
	start(*state, SAY_200);
	assert_waits_out_the_lease(*state);
}

static void test_one_that_hangs_is_waited_out(void **state)
{
	start(*state, HANG);
	assert_waits_out_the_lease(*state);
}

static void test_one_that_drops_is_waited_out(void **state)
{
	start(*state, DROP);
	assert_waits_out_the_lease(*state);
}

static void test_one_that_is_not_there_is_waited_out(void **state)
{
	struct frame *frame = *state;
	char name[PATH_BYTES + 8];
	snprintf(name, sizeof name, "unix:%s/nobody.sock", frame->folder);
	assert_int_equal(create(frame, name), PYGMY_OK);
	assert_waits_out_the_lease(frame);
}

/* The lease of an old commit has lapsed already: one try, because the frontend may well be there. */
static void test_an_old_commit_is_tried_once(void **state)
{
	struct frame *frame = *state;
	start(frame, REFUSE);
	assert_true(confirm(frame, monotonic_ms() - 10 * LEASE_MS) < LEASE_MS);
	assert_int_equal(atomic_load(&frame->one->requests), 1);
}

struct waiter {
	pthread_t thread;
	struct frame *frame;
	struct result result;
	int64_t committed_ms;
	atomic_bool ended;
};

static void *wait_for_confirmation(void *context)
{
	struct waiter *waiter = context;
	pusher_confirm(waiter->frame->pusher, &waiter->result, 1, waiter->committed_ms);
	atomic_store(&waiter->ended, true);
	return NULL;
}

static void waiter_start(struct waiter *waiter, struct frame *frame, uint64_t revision, uint32_t slot)
{
	*waiter = (struct waiter){ .frame = frame, .result = result_of(revision, slot), .committed_ms = monotonic_ms() + FAR_MS };
	assert_int_equal(pthread_create(&waiter->thread, NULL, wait_for_confirmation, waiter), 0);
}

static void waiter_join(struct waiter *waiter)
{
	assert_int_equal(pthread_join(waiter->thread, NULL), 0);
}

static void test_it_is_asked_again_until_it_confirms(void **state)
{
	static const enum manner manners[] = { REFUSE, HANG, DROP };
	struct frame *frame = *state;
	struct waiter waiter;
	start(frame, REFUSE);
	for (size_t i = 0; i < sizeof manners / sizeof manners[0]; i++) {
		int before = atomic_load(&frame->one->requests);
		server_set(frame->one, manners[i]);
		waiter_start(&waiter, frame, 7, 100);
		assert_true(WAIT_FOR(atomic_load(&frame->one->requests) >= before + 2, FAR_MS));
		assert_false(atomic_load(&waiter.ended));
		server_set(frame->one, CONFIRM);
		waiter_join(&waiter);
	}
	assert_int_equal(atomic_load(&frame->stats.push_lapses), 0);
}

/* Sooner than the try that hangs is given up; more than one chance on a machine that is busy. */
static void test_a_try_that_hangs_does_not_hold_up_the_push(void **state)
{
	struct frame *frame = *state;
	struct waiter waiter;
	bool soon = false;
	start(frame, HANG);
	for (int i = 0; i < 5 && !soon; i++) {
		int before = atomic_load(&frame->one->requests);
		int64_t began_ms = monotonic_ms();
		server_set(frame->one, HANG);
		waiter_start(&waiter, frame, 7, 100);
		assert_true(WAIT_FOR(atomic_load(&frame->one->requests) > before, FAR_MS));
		server_set(frame->one, CONFIRM);
		waiter_join(&waiter);
		soon = monotonic_ms() - began_ms < PUSH_TRY_MS - 50;
	}
	assert_true(soon);
	assert_int_equal(atomic_load(&frame->stats.push_lapses), 0);
}

static int queued(struct pusher *pusher)
{
	int count = 0;
	pthread_mutex_lock(&pusher->mutex);
	for (struct push_wait *wait = pusher->first; wait != NULL; wait = wait->next)
		count++;
	pthread_mutex_unlock(&pusher->mutex);
	return count;
}

static void test_those_who_wait_share_one_push(void **state)
{
	struct frame *frame = *state;
	enum { WAITERS = 5 };
	struct waiter waiters[WAITERS + 1];
	start(frame, REFUSE);
	waiter_start(&waiters[0], frame, 1, 10);
	assert_true(WAIT_FOR(atomic_load(&frame->one->requests) >= 1, FAR_MS));
	for (uint32_t i = 1; i <= WAITERS; i++)
		waiter_start(&waiters[i], frame, i + 1, i < 3 ? 20 : 10 * i);
	assert_true(WAIT_FOR(queued(frame->pusher) == WAITERS, FAR_MS));
	server_set(frame->one, CONFIRM);
	for (int i = 0; i <= WAITERS; i++)
		waiter_join(&waiters[i]);
	assert_int_equal(atomic_load(&frame->stats.pushes), 2);
	/* Slot 20 once, at its last revision. */
	assert_last_is(frame->one, "pygmy-changes 1 " LOG_ID " push 6\n3 20\n4 30\n5 40\n6 50\n");
}

/* ---- several frontends, names ------------------------------------------------------------------------ */

static void test_each_frontend_must_confirm_and_is_asked_no_more(void **state)
{
	struct frame *frame = *state;
	struct waiter waiter;
	start_two(frame, CONFIRM, REFUSE);
	waiter_start(&waiter, frame, 7, 100);
	assert_true(WAIT_FOR(atomic_load(&frame->two->requests) >= 3, FAR_MS));
	assert_false(atomic_load(&waiter.ended));
	server_set(frame->two, CONFIRM);
	waiter_join(&waiter);
	assert_int_equal(atomic_load(&frame->one->requests), 1);
	assert_last_is(frame->one, "pygmy-changes 1 " LOG_ID " push 7\n7 100\n");
	assert_last_is(frame->two, "pygmy-changes 1 " LOG_ID " push 7\n7 100\n");
	/* The next push goes to both again. */
	confirm(frame, monotonic_ms() + FAR_MS);
	assert_int_equal(atomic_load(&frame->one->requests), 2);
}

static void test_a_silent_one_does_not_hold_up_the_push_to_the_other(void **state)
{
	struct frame *frame = *state;
	struct waiter waiter;
	bool at_once = false;
	start_two(frame, HANG, CONFIRM);
	/* Sooner than the silent one is given up; more than one chance on a machine that is busy. */
	for (int i = 0; i < 5 && !at_once; i++) {
		int before = atomic_load(&frame->two->requests);
		server_set(frame->one, HANG);
		waiter_start(&waiter, frame, 7, 100);
		at_once = WAIT_FOR(atomic_load(&frame->two->requests) == before + 1, PUSH_TRY_MS - 50);
		server_set(frame->one, CONFIRM);
		waiter_join(&waiter);
	}
	assert_true(at_once);
}

/* Returns its name. */
static const char *start_tcp(struct frame *frame, const char *scheme, enum manner manner)
{
	static char name[64];
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	frame->one = calloc(1, sizeof *frame->one);
	assert_non_null(frame->one);
	server_run(frame->one, listener, manner);
	snprintf(name, sizeof name, "%s://127.0.0.1:%u", scheme, (unsigned)ntohs(address.sin_port));
	return name;
}

static void test_over_tcp_with_the_token(void **state)
{
	struct frame *frame = *state;
	assert_int_equal(create(frame, start_tcp(frame, "http", CONFIRM)), PYGMY_OK);
	confirm(frame, monotonic_ms() + FAR_MS);
	assert_last_is(frame->one, TEXT);
	assert_non_null(strstr(frame->one->last, "\r\nAuthorization: Bearer " TOKEN "\r\n"));
	assert_non_null(strstr(frame->one->last, "\r\nContent-Type: text/plain\r\n"));
}

static void test_over_tcp_without_a_token(void **state)
{
	struct frame *frame = *state;
	struct pusher_options options = { .frontends = start_tcp(frame, "http", CONFIRM), .log_id = LOG_ID, .lease_ms = LEASE_MS };
	assert_int_equal(pusher_create(&options, &frame->stats, &frame->pusher), PYGMY_OK);
	confirm(frame, monotonic_ms() + FAR_MS);
	assert_last_is(frame->one, TEXT);
	assert_null(strstr(frame->one->last, "Authorization"));
}

static void test_a_socket_of_this_machine_is_shown_no_token(void **state)
{
	struct frame *frame = *state;
	start(frame, CONFIRM);
	confirm(frame, monotonic_ms() + FAR_MS);
	assert_null(strstr(frame->one->last, "Authorization"));
}

/* (How it talks to one that does speak TLS: tests/system/cluster_tls.bats.) */
static void test_https_needs_certificates_and_never_falls_back(void **state)
{
	struct frame *frame = *state;
	const char *name = start_tcp(frame, "https", CONFIRM);
	assert_int_equal(create(frame, name), PYGMY_INTERNAL);
	assert_null(frame->pusher);
	struct tls_files tls = { "/nonexistent/ca", "/nonexistent/certificate", "/nonexistent/key" };
	struct pusher_options options = { .frontends = name, .log_id = LOG_ID, .lease_ms = LEASE_MS, .peer_token = TOKEN, .tls = &tls };
	assert_int_equal(pusher_create(&options, &frame->stats, &frame->pusher), PYGMY_OK);
	assert_waits_out_the_lease(frame);
	assert_int_equal(atomic_load(&frame->one->requests), 0);
}

static void test_names(void **state)
{
	struct frame *frame = *state;
	char many[FRONTENDS_MAX * 8 + 16] = "", longest[600];
	for (int i = 0; i <= FRONTENDS_MAX; i++)
		memcpy(many + 8 * i, "unix:/x ", 9);
	memset(longest, 'x', sizeof longest - 1);
	memcpy(longest, "unix:/", 6);
	longest[sizeof longest - 1] = '\0';
	static const char *const wrong[] = { "/run/x.sock", "ftp://x", "unix:/x nonsense", "http:/x" };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_int_equal(create(frame, wrong[i]), PYGMY_INTERNAL);
		assert_null(frame->pusher);
	}
	assert_int_equal(create(frame, longest), PYGMY_INTERNAL);
	assert_int_equal(create(frame, many), PYGMY_INTERNAL);
	many[8 * FRONTENDS_MAX] = '\0';
	assert_int_equal(create(frame, many), PYGMY_OK);
	pusher_destroy(frame->pusher);
	assert_int_equal(create(frame, ""), PYGMY_OK);
	assert_true(confirm(frame, monotonic_ms() + FAR_MS) < FAR_MS / 2);
	assert_int_equal(atomic_load(&frame->stats.pushes), 0);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_confirmed_push),
		TEST(test_nothing_changed_means_no_push),
		TEST(test_everything_changed),
		TEST(test_a_large_push),
		TEST(test_one_that_refuses_is_waited_out),
		TEST(test_only_204_confirms),
		TEST(test_one_that_hangs_is_waited_out),
		TEST(test_one_that_drops_is_waited_out),
		TEST(test_one_that_is_not_there_is_waited_out),
		TEST(test_an_old_commit_is_tried_once),
		TEST(test_it_is_asked_again_until_it_confirms),
		TEST(test_a_try_that_hangs_does_not_hold_up_the_push),
		TEST(test_those_who_wait_share_one_push),
		TEST(test_each_frontend_must_confirm_and_is_asked_no_more),
		TEST(test_a_silent_one_does_not_hold_up_the_push_to_the_other),
		TEST(test_over_tcp_with_the_token),
		TEST(test_over_tcp_without_a_token),
		TEST(test_a_socket_of_this_machine_is_shown_no_token),
		TEST(test_https_needs_certificates_and_never_falls_back),
		TEST(test_names),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
