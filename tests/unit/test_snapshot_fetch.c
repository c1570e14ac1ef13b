/* snapshot_fetch: from a peer that answers well, badly, too much, too little, too slowly, or not at all. */
#include "tests/unit/support.h"
#include "tests/unit/temporary_folder.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "db/monotonic.h"
#include "db/snapshot.h"

#define BODY_BYTES (3 * 1024 * 1024)
#define FAR_MS 60000

/* What the peer does with each request. */
struct script {
	const char *head;             /* NULL: it closes the connection */
	int64_t body_bytes;
	bool stays;                   /* then it goes silent, and holds the connection until the client goes */
	int drip_ms;                  /* between single bytes */
	const char *text;             /* a body instead */
};

struct peer {
	struct script script;
	int listener;
	char url[64];
	char request[4096];           /* of the last one */
	pthread_t thread;
	atomic_bool stopping;
	atomic_int requests;
};

struct fetch_test {
	struct temporary_folder folder;
	char path[PATH_MAX];
	struct peer peer;
	struct cluster_config config;
	atomic_bool stop;
};

static char body_byte(int64_t at)
{
	return (char)(at * 31 % 251);
}

static bool send_all(int connection, const char *bytes, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t sent = send(connection, bytes + done, len - done, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		done += (size_t)sent;
	}
	return true;
}

/* Until the client has gone, or the test is over. */
static void hold(const struct peer *peer, int connection)
{
	char byte;
	while (!atomic_load(&peer->stopping)) {
		struct pollfd waiting = { .fd = connection, .events = POLLIN };
		if (poll(&waiting, 1, 20) > 0 && recv(connection, &byte, 1, 0) <= 0)
			return;
	}
}

static void answer(struct peer *peer, int connection)
{
	const struct script *script = &peer->script;
	char bytes[65536];
	ssize_t len = recv(connection, peer->request, sizeof peer->request - 1, 0);
	peer->request[len > 0 ? len : 0] = '\0';
	atomic_fetch_add(&peer->requests, 1);
	if (script->head == NULL || !send_all(connection, script->head, strlen(script->head)))
		return;
	if (script->text != NULL)
		send_all(connection, script->text, strlen(script->text));
	for (int64_t at = 0; at < script->body_bytes;) {
		int64_t part = script->drip_ms > 0 ? 1 : (int64_t)sizeof bytes;
		part = part < script->body_bytes - at ? part : script->body_bytes - at;
		for (int64_t i = 0; i < part; i++)
			bytes[i] = body_byte(at + i);
		if (atomic_load(&peer->stopping) || !send_all(connection, bytes, (size_t)part))
			return;
		at += part;
		if (script->drip_ms > 0)
			test_pause_ms(script->drip_ms);
	}
	if (script->stays)
		hold(peer, connection);
}

static void *run_peer(void *context)
{
	struct peer *peer = context;
	while (!atomic_load(&peer->stopping)) {
		struct pollfd waiting = { .fd = peer->listener, .events = POLLIN };
		int connection = poll(&waiting, 1, 20) > 0 ? accept(peer->listener, NULL, NULL) : -1;
		if (connection < 0)
			continue;
		answer(peer, connection);
		shutdown(connection, SHUT_WR);
		close(connection);
	}
	return NULL;
}

static void peer_start(struct peer *peer)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(peer->listener >= 0);
	assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(peer->listener, 16), 0);
	assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &len), 0);
	snprintf(peer->url, sizeof peer->url, "http://127.0.0.1:%d", (int)ntohs(address.sin_port));
}

static int setup(void **state)
{
	struct fetch_test *test = calloc(1, sizeof *test);
	assert_non_null(test);
	temporary_folder_make(&test->folder);
	snprintf(test->path, sizeof test->path, "%s/fetched.db", test->folder.path);
	test->config = (struct cluster_config){ .node = "A", .peer_token = "0123456789abcdef" };
	peer_start(&test->peer);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct fetch_test *test = *state;
	close(test->peer.listener);
	temporary_folder_remove(&test->folder);
	free(test);
	return 0;
}

/* One fetch from a peer that follows the script. There is a file only if it succeeded. */
static enum pygmy_error fetch(struct fetch_test *test, struct script script)
{
	struct peer *peer = &test->peer;
	peer->script = script;
	atomic_store(&peer->stopping, false);
	assert_int_equal(pthread_create(&peer->thread, NULL, run_peer, peer), 0);
	int64_t began_ms = monotonic_ms();
	enum pygmy_error error = snapshot_fetch(&test->config, peer->url, test->path, &test->stop);
	int64_t took_ms = monotonic_ms() - began_ms;
	atomic_store(&peer->stopping, true);
	pthread_join(peer->thread, NULL);
	assert_int_equal(file_size(test->path) >= 0, error == PYGMY_OK);
	assert_true(took_ms < FAR_MS);
	return error;
}

#define HEAD(status, type, length) \
	"HTTP/1.1 " status "\r\nContent-Type: " type "\r\nContent-Length: " length "\r\nConnection: close\r\n\r\n"
#define GOOD_HEAD HEAD("200 OK", SNAPSHOT_CONTENT_TYPE, "3145728")

static void test_a_whole_one(void **state)
{
	struct fetch_test *test = *state;
	struct stat status;
	assert_int_equal(fetch(test, (struct script){ .head = GOOD_HEAD, .body_bytes = BODY_BYTES }), PYGMY_OK);
	assert_non_null(strstr(test->peer.request, "GET /snapshot HTTP/1.1\r\n"));
	assert_non_null(strstr(test->peer.request, "\r\nAuthorization: Bearer 0123456789abcdef\r\n"));
	/* A peer that lacks the newest is better than none: the log is followed from there. */
	assert_non_null(strstr(test->peer.request, "\r\nX-Pygmy-Allow-Stale: 1\r\n"));
	assert_int_equal(stat(test->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(status.st_size, BODY_BYTES);
	FILE *file = fopen(test->path, "rbe");
	assert_non_null(file);
	for (int64_t at = 0; at < BODY_BYTES; at++)
		if ((char)fgetc(file) != body_byte(at))
			fail_msg("byte %lld is another one", (long long)at);
	fclose(file);
	/* The name must be free. */
	assert_int_equal(snapshot_fetch(&test->config, test->peer.url, test->path, &test->stop), PYGMY_STORAGE_FAILED);
	assert_int_equal(file_size(test->path), BODY_BYTES);
}

static void test_no_token(void **state)
{
	struct fetch_test *test = *state;
	test->config.peer_token = "";
	assert_int_equal(fetch(test, (struct script){ .head = GOOD_HEAD, .body_bytes = BODY_BYTES }), PYGMY_OK);
	assert_null(strstr(test->peer.request, "Authorization"));
}

static void test_answers_that_are_no_snapshot(void **state)
{
	struct fetch_test *test = *state;
	static const struct script scripts[] = {
		{ .head = NULL },
		{ .head = "" },
		{ .head = "garbage\r\n\r\n", .body_bytes = 1000 },
		{ .head = HEAD("503 Service Unavailable", "application/json", "13"), .text = "{\"code\":\"a\"}\n" },
		{ .head = HEAD("401 Unauthorized", "application/json", "3145728"), .body_bytes = BODY_BYTES },
		{ .head = HEAD("206 Partial Content", SNAPSHOT_CONTENT_TYPE, "3145728"), .body_bytes = BODY_BYTES },
		{ .head = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
		{ .head = HEAD("200 OK", "text/html", "3145728"), .body_bytes = BODY_BYTES },
		{ .head = HEAD("200 OK", SNAPSHOT_CONTENT_TYPE, "0") },
		{ .head = HEAD("200 OK", SNAPSHOT_CONTENT_TYPE, "-5"), .body_bytes = 100 },
		{ .head = HEAD("200 OK", SNAPSHOT_CONTENT_TYPE, "68719476737"), .body_bytes = BODY_BYTES },        /* over SNAPSHOT_MAX_BYTES */
		{ .head = HEAD("200 OK", SNAPSHOT_CONTENT_TYPE, "99999999999999999999999"), .body_bytes = BODY_BYTES },
		{ .head = "HTTP/1.1 200 OK\r\nContent-Type: " SNAPSHOT_CONTENT_TYPE "\r\nConnection: close\r\n\r\n", .body_bytes = BODY_BYTES },
		{ .head = "HTTP/1.1 200 OK\r\nContent-Type: " SNAPSHOT_CONTENT_TYPE "\r\nTransfer-Encoding: chunked\r\n\r\n",
		  .text = "5\r\nhello\r\n0\r\n\r\n" },
		/* cut off */
		{ .head = "HTTP/1.1 200 OK\r\nContent-" },
		{ .head = GOOD_HEAD },
		{ .head = GOOD_HEAD, .body_bytes = BODY_BYTES - 1 },
		{ .head = GOOD_HEAD, .body_bytes = 1 },
	};
	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
		enum pygmy_error error = fetch(test, scripts[i]);
		if (error != PYGMY_NOT_READY)
			fail_msg("script %zu: %s", i, error_code(error));
	}
}

/* What comes behind the promised length is no part of it. */
static void test_too_long(void **state)
{
	struct fetch_test *test = *state;
	assert_int_equal(fetch(test, (struct script){ .head = GOOD_HEAD, .body_bytes = BODY_BYTES + 100000 }), PYGMY_OK);
	assert_int_equal(file_size(test->path), BODY_BYTES);
}

/* The store's own words reach whoever asked. */
static void test_a_refusal_is_told(void **state)
{
	struct fetch_test *test = *state;
	struct peer *peer = &test->peer;
	struct snapshot_source source = { .url = peer->url, .token = "x", .complete = true };
	char why[SNAPSHOT_WHY_BYTES];
	long status;
	FILE *file = tmpfile();
	assert_non_null(file);
	peer->script = (struct script){ .head = HEAD("503 Service Unavailable", "application/json", "31"), .text = "{\"message\":\"not now, later on\"}" };
	assert_int_equal(pthread_create(&peer->thread, NULL, run_peer, peer), 0);
	enum pygmy_error error = snapshot_download(&source, fileno(file), &status, why);
	atomic_store(&peer->stopping, true);
	pthread_join(peer->thread, NULL);
	fclose(file);
	assert_int_equal(error, PYGMY_NOT_READY);
	assert_int_equal(status, 503);
	assert_string_equal(why, "it answered 503: not now, later on");
	assert_non_null(strstr(peer->request, "\r\nX-Pygmy-Consistency: strict\r\n"));
}

static void test_nobody_there(void **state)
{
	struct fetch_test *test = *state;
	close(test->peer.listener);
	assert_int_equal(snapshot_fetch(&test->config, test->peer.url, test->path, &test->stop), PYGMY_NOT_READY);
	assert_int_equal(file_size(test->path), -1);
	assert_int_equal(snapshot_fetch(&test->config, "file:///etc", test->path, &test->stop), PYGMY_NOT_READY);
	test->peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* (Takes as long as the limit is.) */
static void test_a_halt(void **state)
{
	struct fetch_test *test = *state;
	int64_t began_ms = monotonic_ms();
	assert_int_equal(fetch(test, (struct script){ .head = GOOD_HEAD, .body_bytes = 200000, .stays = true }), PYGMY_NOT_READY);
	assert_true(monotonic_ms() - began_ms >= SNAPSHOT_STALL_MS);
}

/* Some bytes now and then are a halt, too. */
static void test_a_drip(void **state)
{
	struct fetch_test *test = *state;
	assert_int_equal(fetch(test, (struct script){ .head = GOOD_HEAD, .body_bytes = BODY_BYTES, .drip_ms = 50 }), PYGMY_NOT_READY);
}

static void *stop_soon(void *context)
{
	struct fetch_test *test = context;
	if (WAIT_FOR(atomic_load(&test->peer.requests) > 0, FAR_MS))
		atomic_store(&test->stop, true);
	return NULL;
}

static void test_stop(void **state)
{
	struct fetch_test *test = *state;
	pthread_t stopper;
	for (int before = 0; before < 2; before++) {
		atomic_store(&test->stop, before == 1);
		atomic_store(&test->peer.requests, 0);
		assert_int_equal(pthread_create(&stopper, NULL, stop_soon, test), 0);
		struct script script = { .head = before == 0 ? GOOD_HEAD : "", .body_bytes = 100, .stays = true };
		assert_int_equal(fetch(test, script), PYGMY_STOPPING);
		atomic_store(&test->peer.requests, 1);
		pthread_join(stopper, NULL);
	}
}

/* The disk takes no more: by the size that a process's files may have. */
static void test_no_room(void **state)
{
	struct fetch_test *test = *state;
	struct rlimit before, limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){ .rlim_cur = BODY_BYTES / 2, .rlim_max = before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	enum pygmy_error error = fetch(test, (struct script){ .head = GOOD_HEAD, .body_bytes = BODY_BYTES });
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(error, PYGMY_STORAGE_FULL);
	/* Or by its promise: nothing is begun that will not fit. */
	error = fetch(test, (struct script){ .head = HEAD("200 OK", SNAPSHOT_CONTENT_TYPE, "68719476736"), .body_bytes = BODY_BYTES });
	assert_true(error == PYGMY_STORAGE_FULL || error == PYGMY_NOT_READY);      /* (a disk with 64 GiB of room: cut off) */
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_whole_one),
		TEST(test_no_token),
		TEST(test_answers_that_are_no_snapshot),
		TEST(test_too_long),
		TEST(test_a_refusal_is_told),
		TEST(test_nobody_there),
		TEST(test_a_halt),
		TEST(test_a_drip),
		TEST(test_stop),
		TEST(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
