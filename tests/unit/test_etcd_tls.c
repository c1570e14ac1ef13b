/* etcd behind mutual TLS: our own authority's certificates are let in and believed, and no others. */
#include "tests/unit/certificates.h"
#include "tests/unit/etcd_server.h"
#include "tests/unit/temporary_folder.h"

#include <curl/curl.h>

#include "db/etcd.h"
#include "db/etcd_watch.h"
#include "db/monotonic.h"
#include "db/tls.h"

#define KEY "/pygmy/log"
#define FAR_MS 20000

struct frame {
	struct temporary_folder folder;
	struct certificates ours, theirs;
	struct etcd_server server;
};

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	*state = frame;
	if (frame == NULL)
		return 1;
	temporary_folder_make(&frame->folder);
	return 0;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	etcd_server_stop(&frame->server);
	temporary_folder_remove(&frame->folder);
	free(frame);
	return 0;
}

static void start(struct frame *frame)
{
	char address[ETCD_SERVER_ADDRESS_BYTES];
	etcd_server_address(address);
	certificates_make(&frame->ours, frame->folder.path, "ours", address);
	certificates_make(&frame->theirs, frame->folder.path, "theirs", address);
	frame->server = (struct etcd_server){ .ca = frame->ours.ca, .certificate = frame->ours.certificate, .key = frame->ours.key };
	etcd_server_start_with(&frame->server, 3);
}

static enum etcd_outcome position_with(struct frame *frame, const char *endpoints, const struct tls_files *tls, int64_t limit_ms)
{
	struct etcd *etcd;
	struct etcd_position position;
	(void)frame;
	assert_true(etcd_create(endpoints, tls, &etcd));
	enum etcd_outcome outcome = etcd_log_position(etcd, KEY, monotonic_ms() + limit_ms, &position);
	etcd_destroy(etcd);
	return outcome;
}

static void test_mutual_tls(void **state)
{
	struct frame *frame = *state;
	struct etcd_position log, position;
	struct etcd_watch *watch;
	struct etcd_event events[ETCD_WATCH_EVENTS_MAX];
	struct etcd *etcd;
	size_t count;
	uint64_t compact_revision;
	start(frame);
	struct tls_files tls = { frame->ours.ca, frame->ours.certificate, frame->ours.key };
	assert_true(tls_is_on(&tls));
	assert_true(etcd_create(frame->server.endpoints, &tls, &etcd));
	assert_int_equal(etcd_log_create(etcd, KEY, SLICE_LITERAL("genesis"), monotonic_ms() + FAR_MS, &log), ETCD_OK);
	assert_true(etcd_watch_create(&tls, &watch));
	etcd_watch_open(watch, etcd_endpoint(etcd, 1), KEY, log.mod_revision + 1);
	for (uint64_t version = 1; version < 10;) {
		assert_int_equal(etcd_log_append(etcd, KEY, log.create_revision, SLICE_LITERAL("x"), monotonic_ms() + FAR_MS, &position), ETCD_OK);
		while (version < position.version) {
			assert_int_equal(etcd_watch_next(watch, monotonic_ms() + FAR_MS, events, &count, &compact_revision), ETCD_WATCH_EVENTS);
			for (size_t i = 0; i < count; i++)
				assert_int_equal(events[i].position.version, ++version);
		}
	}
	etcd_watch_destroy(watch);
	etcd_server_kill(&frame->server, 0);
	assert_int_equal(etcd_log_append(etcd, KEY, log.create_revision, SLICE_LITERAL("x"), monotonic_ms() + FAR_MS, &position), ETCD_OK);
	etcd_destroy(etcd);
}

static void test_who_is_not_let_in(void **state)
{
	struct frame *frame = *state;
	char plain[512] = "";
	start(frame);
	const struct certificates *ours = &frame->ours, *theirs = &frame->theirs;
	const struct tls_files wrong[] = {
		{ theirs->ca, ours->certificate, ours->key },      /* we do not believe them */
		{ ours->ca, theirs->certificate, theirs->key },    /* they do not believe us */
		{ ours->ca, ours->certificate, theirs->key },
		{ ours->ca, "", "" },
		{ "", ours->certificate, ours->key },
		{ "/nonexistent", ours->certificate, ours->key },
	};
	struct tls_files right = { ours->ca, ours->certificate, ours->key };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(position_with(frame, frame->server.endpoints, &wrong[i], 500), ETCD_UNREACHABLE);
	/* Without TLS, and with it where none is spoken. */
	for (int i = 0; i < 3; i++)
		snprintf(plain + strlen(plain), sizeof plain - strlen(plain), "http%s ", frame->server.members[i].url + 5);
	assert_int_equal(position_with(frame, plain, NULL, 500), ETCD_UNREACHABLE);
	assert_int_equal(position_with(frame, frame->server.endpoints, &right, FAR_MS), ETCD_OK);
	struct tls_files none = { "", NULL, "" };
	assert_false(tls_is_on(&none));
	assert_false(tls_is_on(NULL));
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mutual_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_not_let_in, setup, teardown),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
