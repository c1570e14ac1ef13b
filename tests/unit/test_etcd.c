/*
 * The client of etcd against endpoints that answer from a script: what is told for certain, what is not, who is asked next, and
 * what happens without memory.
 */
#include "tests/unit/scripted_server.h"
#include "tests/unit/support.h"

#include <curl/curl.h>
#include <jansson.h>

#include "db/etcd.h"
#include "db/etcd_json.h"
#include "db/monotonic.h"

#define ENDPOINTS 2
#define KEY "k"
#define FAR_MS 10000
#define NEAR_MS 60

#define OK(body) "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" body
#define STATUS(number, body) "HTTP/1.1 " number " No\r\nConnection: close\r\n\r\n" body
#define ERROR(text) "{\"error\":\"" text "\",\"message\":\"" text "\",\"code\":99}"
#define HEADER "\"header\":{\"cluster_id\":\"7\",\"revision\":\"9\"}"
#define KV "{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":\"9\",\"version\":\"5\",\"value\":\"dmFsdWU=\"}"
#define APPENDED OK("{" HEADER ",\"succeeded\":true,\"responses\":[{\"response_put\":{}},{\"response_range\":{\"kvs\":[" KV "]}}]}")
#define RANGE OK("{" HEADER ",\"kvs\":[" KV "],\"count\":\"1\"}")
#define DONE OK("{" HEADER "}")

struct frame {
	struct scripted_server servers[ENDPOINTS];
	int started;
	struct etcd *etcd;
	struct arena arena;
	struct etcd_position position;
	struct etcd_value value;
};

/* Two endpoints, each with its steps, which are repeated at the end. NULL: nobody listens there. */
static void start(struct frame *frame, const char *const *first, size_t first_count, const char *const *second, size_t second_count)
{
	const char *const *steps[ENDPOINTS] = { first, second };
	size_t counts[ENDPOINTS] = { first_count, second_count };
	char endpoints[256] = "";
	for (int i = 0; i < ENDPOINTS; i++) {
		char url[100] = "http://127.0.0.1:1"; /* which nobody may bind but root, and nobody does */
		if (steps[i] != NULL) {
			scripted_start(&frame->servers[frame->started], steps[i], counts[i]);
			snprintf(url, sizeof url, "%s", frame->servers[frame->started++].url);
		}
		strncat(endpoints, " ", sizeof endpoints - strlen(endpoints) - 1);
		strncat(endpoints, url, sizeof endpoints - strlen(endpoints) - 1);
	}
	assert_true(etcd_create(endpoints, NULL, &frame->etcd));
}

#define START(frame, first, second) do { \
	const char *const first_step = (first), *const second_step = (second); \
	frame_steps[0] = first_step; \
	frame_steps[1] = second_step; \
	start((frame), first_step != NULL ? &frame_steps[0] : NULL, 1, second_step != NULL ? &frame_steps[1] : NULL, 1); \
} while (0)
static const char *frame_steps[ENDPOINTS];

static void stop(struct frame *frame)
{
	etcd_destroy(frame->etcd);
	frame->etcd = NULL;
	while (frame->started > 0)
		scripted_stop(&frame->servers[--frame->started]);
}

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	*state = frame;
	if (frame != NULL)
		arena_init(&frame->arena, (size_t)1024 * 1024);
	return frame == NULL;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	stop(frame);
	arena_close(&frame->arena);
	free(frame);
	return 0;
}

static enum etcd_outcome append(struct frame *frame, int64_t limit_ms)
{
	return etcd_log_append(frame->etcd, KEY, 2, SLICE_LITERAL("value"), monotonic_ms() + limit_ms, &frame->position);
}

static enum etcd_outcome read_value(struct frame *frame, int64_t limit_ms)
{
	return etcd_log_read(frame->etcd, KEY, 3, monotonic_ms() + limit_ms, &frame->arena, &frame->value);
}

static size_t asked(struct frame *frame, int server)
{
	return atomic_load(&frame->servers[server].requests);
}

/* ---- what is sent ------------------------------------------------------------------------------------- */

static void test_the_requests(void **state)
{
	struct frame *frame = *state;
	START(frame, APPENDED, NULL);
	assert_int_equal(append(frame, FAR_MS), ETCD_OK);
	assert_int_equal(frame->position.version, 5);
	assert_int_equal(frame->position.mod_revision, 9);
	const char *request = frame->servers[0].request[0], *body = strstr(request, "\r\n\r\n");
	assert_int_equal(strncmp(request, "POST /v3/kv/txn HTTP/1.1\r\n", 26), 0);
	assert_non_null(strstr(request, "Grpc-Metadata-hasleader: true\r\n"));
	assert_null(strcasestr(request, "Expect:"));
	assert_string_equal(body + 4,
			    "{\"compare\":[{\"result\":\"EQUAL\",\"target\":\"CREATE\",\"key\":\"aw==\",\"create_revision\":\"2\"}],"
			    "\"success\":[{\"request_put\":{\"key\":\"aw==\",\"value\":\"dmFsdWU=\"}},"
			    "{\"request_range\":{\"keys_only\":true,\"key\":\"aw==\"}}]}");
	stop(frame);
	START(frame, RANGE, NULL);
	assert_int_equal(read_value(frame, FAR_MS), ETCD_OK);
	assert_true(slice_equal(frame->value.bytes, SLICE_LITERAL("value")));
	assert_non_null(strstr(frame->servers[0].request[0], "{\"key\":\"aw==\",\"revision\":\"3\"}"));
}

/* ---- one endpoint says something, the other is not there ------------------------------------------------- */

struct saying {
	const char *step;
	enum etcd_outcome write, read;
};

static const struct saying sayings[] = {
	{ NULL, ETCD_UNREACHABLE, ETCD_UNREACHABLE },
	{ scripted_hang, ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ "HTTP/1.1 200 OK\r\n", ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{" SCRIPTED_STAY, ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ "SSH-2.0-x\r\n", ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("404", "Not Found\n"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("400", "<html>"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("204", ""), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("500", ""), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("503", "{\"error\":7,\"message\":[]}"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	/* what etcd says */
	{ STATUS("503", ERROR("etcdserver: no leader")), ETCD_UNREACHABLE, ETCD_UNREACHABLE },
	{ STATUS("503", "{\"error\":{\"grpc_code\":14,\"message\":\"etcdserver: no leader\"}}"), ETCD_UNREACHABLE, ETCD_UNREACHABLE },
	{ STATUS("503", "{\"code\":14,\"message\":\"etcdserver: no leader\",\"details\":[]}"), ETCD_UNREACHABLE, ETCD_UNREACHABLE },
	{ STATUS("429", ERROR("etcdserver: too many requests")), ETCD_UNREACHABLE, ETCD_UNREACHABLE },
	{ STATUS("503", ERROR("etcdserver: request timed out")), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("503", ERROR("etcdserver: request timed out, possibly due to previous leader failure")), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("503", ERROR("etcdserver: leader changed")), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("500", ERROR("context deadline exceeded")), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("503", ERROR("etcdserver: server stopped")), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ STATUS("429", ERROR("etcdserver: mvcc: database space exceeded")), ETCD_NO_SPACE, ETCD_NO_SPACE },
	{ STATUS("429", ERROR("grpc: received message larger than max (2600017 vs. 2097152)")), ETCD_TOO_LARGE, ETCD_TOO_LARGE },
	{ STATUS("400", ERROR("etcdserver: request is too large")), ETCD_TOO_LARGE, ETCD_TOO_LARGE },
	{ STATUS("400", ERROR("etcdserver: mvcc: required revision has been compacted")), ETCD_COMPACTED, ETCD_COMPACTED },
	{ STATUS("400", ERROR("etcdserver: mvcc: required revision is a future revision")), ETCD_REFUSED, ETCD_REFUSED },
	{ STATUS("404", ERROR("etcdserver: requested lease not found")), ETCD_NOT_FOUND, ETCD_NOT_FOUND },
	{ STATUS("403", ERROR("etcdserver: permission denied")), ETCD_REFUSED, ETCD_REFUSED },
	{ STATUS("500", ERROR("etcdserver: corrupt cluster")), ETCD_REFUSED, ETCD_REFUSED },
	/* 200 and nonsense */
	{ OK(""), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ OK("{}"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ OK("[]"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ OK("{" HEADER), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ OK("{" HEADER ",\"succeeded\":true,\"kvs\":7}"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ OK("{" HEADER ",\"succeeded\":\"true\",\"kvs\":[7]}"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ OK("{" HEADER ",\"succeeded\":true,\"responses\":[{},{\"response_range\":{}}],\"kvs\":[" KV "," KV "]}"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ OK("{" HEADER ",\"succeeded\":true,\"responses\":[1,2],\"kvs\":[{\"version\":\"0\"}]}"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ OK("{\"header\":{},\"succeeded\":true,\"kvs\":[" KV "]}"), ETCD_UNKNOWN, ETCD_UNREACHABLE },
	{ OK("{" HEADER "}"), ETCD_COMPARE_FAILED, ETCD_NOT_FOUND },
};

/* Calls that end with these go on until their deadline. */
static int64_t limit_of(enum etcd_outcome outcome)
{
	return outcome == ETCD_UNKNOWN || outcome == ETCD_UNREACHABLE ? NEAR_MS : FAR_MS;
}

static void test_what_one_endpoint_says(void **state)
{
	struct frame *frame = *state;
	for (size_t i = 0; i < sizeof sayings / sizeof sayings[0]; i++) {
		enum etcd_outcome write = ETCD_OK, read;
		START(frame, sayings[i].step, NULL);
		/* (A try that a busy machine cuts off leaves more doubt than there need be.) */
		for (int tries = 0; tries < 100 && write != sayings[i].write; tries++)
			write = append(frame, limit_of(sayings[i].write));
		read = read_value(frame, limit_of(sayings[i].read));
		if (write != sayings[i].write || read != sayings[i].read)
			fail_msg("%zu: %s: a write %d, a read %d", i, sayings[i].step, (int)write, (int)read);
		assert_true(etcd_last_error(frame->etcd)[0] != '\0' || sayings[i].read == ETCD_NOT_FOUND);
		stop(frame);
	}
}

/* A write that may have happened stays uncertain, whatever is said afterwards; success is success. */
static void test_uncertainty_stays(void **state)
{
	struct frame *frame = *state;
	static const struct {
		const char *then;
		enum etcd_outcome outcome;
	} cases[] = {
		{ APPENDED, ETCD_OK },
		{ OK("{" HEADER "}"), ETCD_UNKNOWN },
		{ STATUS("429", ERROR("etcdserver: mvcc: database space exceeded")), ETCD_UNKNOWN },
		{ STATUS("503", ERROR("etcdserver: no leader")), ETCD_UNKNOWN },
		{ STATUS("400", ERROR("what?")), ETCD_UNKNOWN },
		{ NULL, ETCD_UNKNOWN },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		START(frame, "HTTP/1.1 200 OK\r\n\r\n", cases[i].then);
		enum etcd_outcome outcome = append(frame, cases[i].outcome == ETCD_OK ? FAR_MS : 500);
		if (outcome != cases[i].outcome)
			fail_msg("%zu: %d, %s", i, (int)outcome, etcd_last_error(frame->etcd));
		stop(frame);
	}
}

/* The create's own first try stands there: then it has succeeded. */
static void test_a_create_whose_answer_was_lost(void **state)
{
	struct frame *frame = *state;
	static const char *const ours[] = { NULL, OK("{" HEADER "}"),
		OK("{" HEADER ",\"kvs\":[{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":\"2\",\"version\":\"1\",\"value\":\"dmFsdWU=\"}]}") };
	static const char *const theirs[] = { NULL, OK("{" HEADER "}"),
		OK("{" HEADER ",\"kvs\":[{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":\"2\",\"version\":\"1\",\"value\":\"b3RoZXI=\"}]}") };
	start(frame, ours, 3, NULL, 0);
	assert_int_equal(etcd_log_create(frame->etcd, KEY, SLICE_LITERAL("value"), monotonic_ms() + FAR_MS, &frame->position), ETCD_OK);
	assert_int_equal(frame->position.create_revision, 2);
	stop(frame);
	start(frame, theirs, 3, NULL, 0);
	assert_int_equal(etcd_log_create(frame->etcd, KEY, SLICE_LITERAL("value"), monotonic_ms() + FAR_MS, &frame->position), ETCD_UNKNOWN);
	stop(frame);
	START(frame, OK("{" HEADER "}"), NULL);
	assert_int_equal(etcd_log_create(frame->etcd, KEY, SLICE_LITERAL("value"), monotonic_ms() + FAR_MS, &frame->position), ETCD_COMPARE_FAILED);
}

/* ---- who is asked ---------------------------------------------------------------------------------------- */

static void test_the_next_one_is_asked(void **state)
{
	struct frame *frame = *state;
	static const char *const failures[] = { NULL, scripted_hang, OK("{"), STATUS("503", ERROR("etcdserver: no leader")),
						STATUS("503", ERROR("etcdserver: request timed out")), STATUS("500", "") };
	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
		START(frame, failures[i], APPENDED);
		assert_int_equal(append(frame, FAR_MS), ETCD_OK);
		int good = frame->started - 1;
		/* From now on the one that answered is asked first. */
		size_t bad_asked = good > 0 ? asked(frame, 0) : 0;
		assert_int_equal(append(frame, FAR_MS), ETCD_OK);
		assert_int_equal(asked(frame, good), 2);
		assert_true(good == 0 || asked(frame, 0) == bad_asked);
		/* Unless one is preferred. */
		etcd_prefer(frame->etcd, 2);
		assert_int_equal(append(frame, FAR_MS), ETCD_OK);
		assert_true(good == 0 || asked(frame, 0) == bad_asked + 1);
		stop(frame);
	}
}

/* An election: nobody knows a leader at first. */
static void test_it_goes_on_asking_until_the_deadline(void **state)
{
	struct frame *frame = *state;
	static const char *const steps[] = { STATUS("503", ERROR("etcdserver: no leader")), STATUS("503", ERROR("etcdserver: no leader")),
					     STATUS("503", ERROR("etcdserver: no leader")), APPENDED };
	start(frame, steps, 4, NULL, 0);
	assert_int_equal(append(frame, FAR_MS), ETCD_OK);
	assert_int_equal(asked(frame, 0), 4);
	stop(frame);
	START(frame, APPENDED, APPENDED);
	assert_int_equal(append(frame, 0), ETCD_UNREACHABLE);
	assert_int_equal(append(frame, -FAR_MS), ETCD_UNREACHABLE);
	assert_int_equal(asked(frame, 0) + asked(frame, 1), 0);
}

static void test_one_endpoint_and_no_other(void **state)
{
	struct frame *frame = *state;
	struct etcd_status status;
	START(frame, OK("{" HEADER ",\"version\":\"3.9.9999999999999999999999999\",\"dbSize\":\"12\",\"leader\":\"3\"}"), STATUS("500", ""));
	assert_int_equal(etcd_status(frame->etcd, 0, monotonic_ms() + FAR_MS, &status), ETCD_OK);
	assert_int_equal(status.db_bytes, 12);
	assert_int_equal(strlen(status.version), sizeof status.version - 1);
	assert_int_equal(etcd_status(frame->etcd, 1, monotonic_ms() + FAR_MS, &status), ETCD_UNREACHABLE);
	assert_int_equal(etcd_defragment(frame->etcd, 1, monotonic_ms() + FAR_MS), ETCD_UNKNOWN);
	assert_int_equal(asked(frame, 0), 1);
	assert_int_equal(asked(frame, 1), 2);
	assert_null(strstr(frame->servers[0].request[0], "hasleader"));
}

/* ---- the other calls --------------------------------------------------------------------------------------- */

static void count_visits(void *context, struct slice key, struct slice value, uint64_t lease)
{
	(void)key;
	(void)value;
	(void)lease;
	++*(int *)context;
}

static void test_lists(void **state)
{
	struct frame *frame = *state;
	static const struct {
		const char *step;
		enum etcd_outcome outcome;
		int visits;
	} cases[] = {
		{ OK("{" HEADER ",\"kvs\":[{\"key\":\"a2E=\",\"value\":\"eA==\",\"lease\":\"-1\"}]}"), ETCD_UNREACHABLE, 0 },
		{ OK("{" HEADER ",\"kvs\":[{\"key\":\"a2E=\"},{\"key\":\"bGE=\"}]}"), ETCD_UNREACHABLE, 0 },
		{ OK("{" HEADER ",\"kvs\":[{\"key\":\"a2E=\",\"value\":\"*\"}]}"), ETCD_UNREACHABLE, 0 },
		{ OK("{" HEADER ",\"kvs\":[{\"key\":\"a2E=\",\"value\":\"eA==\",\"lease\":\"4\"},{\"key\":\"a2I=\"}]}"), ETCD_OK, 2 },
		{ OK("{" HEADER "}"), ETCD_OK, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int visits = 0;
		START(frame, cases[i].step, NULL);
		assert_int_equal(etcd_list(frame->etcd, "k", monotonic_ms() + NEAR_MS, count_visits, &visits), cases[i].outcome);
		assert_int_equal(visits, cases[i].visits);
		stop(frame);
	}
}

static void test_leases_and_alarms(void **state)
{
	struct frame *frame = *state;
	struct etcd_alarm alarms[2];
	uint64_t lease = 0;
	int count;
	static const char *const steps[] = { OK("{\"ID\":\"0\"}"), OK("{\"ID\":\"18446744073709551615\",\"TTL\":\"3\"}"),
					     OK("{\"result\":{\"ID\":\"5\",\"TTL\":\"3\"}}"), OK("{\"result\":{\"ID\":\"5\"}}"),
					     OK("{\"alarms\":[{\"memberID\":\"8\",\"alarm\":\"NEW\"},{\"memberID\":\"9\",\"alarm\":\"CORRUPT\"},"
						"{\"memberID\":\"9\",\"alarm\":\"NOSPACE\"},{\"memberID\":\"9\",\"alarm\":\"NOSPACE\"}]}"),
					     OK("{\"alarms\":[7]}") };
	start(frame, steps, 6, NULL, 0);
	assert_int_equal(etcd_lease_grant(frame->etcd, 3, monotonic_ms() + FAR_MS, &lease), ETCD_OK);
	assert_true(lease == UINT64_MAX);
	assert_int_equal(etcd_lease_keep(frame->etcd, lease, monotonic_ms() + FAR_MS), ETCD_OK);
	assert_int_equal(etcd_lease_keep(frame->etcd, lease, monotonic_ms() + FAR_MS), ETCD_NOT_FOUND);
	assert_int_equal(etcd_alarms(frame->etcd, monotonic_ms() + FAR_MS, alarms, 2, &count), ETCD_OK);
	assert_int_equal(count, 2);
	assert_int_equal(alarms[0].type, ETCD_ALARM_CORRUPT);
	assert_int_equal(alarms[1].type, ETCD_ALARM_NO_SPACE);
	assert_int_equal(etcd_alarms(frame->etcd, monotonic_ms() + NEAR_MS, alarms, 2, &count), ETCD_UNREACHABLE);
	assert_int_equal(count, 0);
}

static void test_an_answer_that_is_too_large(void **state)
{
	struct frame *frame = *state;
	static const char head[] = OK("{" HEADER ",\"kvs\":[{\"value\":\"");
	size_t len = ETCD_ANSWER_MAX_BYTES + 1000;
	char *step = malloc(len);
	assert_non_null(step);
	memset(step, 'A', len);
	memcpy(step, head, sizeof head - 1);
	step[len - 1] = '\0';
	START(frame, step, NULL);
	assert_int_equal(read_value(frame, NEAR_MS), ETCD_UNREACHABLE);
	assert_int_equal(append(frame, NEAR_MS), ETCD_UNKNOWN);
	stop(frame);
	free(step);
}

static void test_endpoints(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "  ", "127.0.0.1:2379", "ftp://x:1", "http://", "http:///", "http://a:1/path", "http://a:1?x",
					     "http://u@a:1", "http://a:1 b:2", "http://a\n:1", "http://\xc3\xa4:1", "unix:/x" };
	char many[16 * (ETCD_ENDPOINTS_MAX + 1) + 1] = "", longest[400] = "http://";
	struct etcd *etcd;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (etcd_create(wrong[i], NULL, &etcd) || etcd != NULL)
			fail_msg("taken for good: %s", wrong[i]);
	}
	memset(longest + 7, 'a', 300);
	assert_false(etcd_create(longest, NULL, &etcd));
	for (int i = 0; i < ETCD_ENDPOINTS_MAX + 1; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), "http://[::1]:%d ", i);
	assert_false(etcd_create(many, NULL, &etcd));
	many[15 * ETCD_ENDPOINTS_MAX] = '\0';
	assert_true(etcd_create(many, NULL, &etcd));
	assert_int_equal(etcd_endpoint_count(etcd), ETCD_ENDPOINTS_MAX);
	assert_string_equal(etcd_endpoint(etcd, 8), "http://[::1]:8");
	etcd_prefer(etcd, -1);
	etcd_destroy(etcd);
	etcd_destroy(NULL);
	assert_true(etcd_create(" http://a:1/  https://b:2 ", NULL, &etcd));
	assert_string_equal(etcd_endpoint(etcd, 0), "http://a:1");
	assert_string_equal(etcd_endpoint(etcd, 1), "https://b:2");
	etcd_destroy(etcd);
	for (int outcome = ETCD_OK; outcome <= ETCD_REFUSED; outcome++)
		assert_true(strlen(etcd_outcome_text((enum etcd_outcome)outcome)) > 1);
}

/* ---- no memory ------------------------------------------------------------------------------------------------ */

/* Of the thread that set it; 1: the next allocation of libcurl or jansson fails, 0: none. */
static _Thread_local int countdown;
static bool struck;

static bool strikes(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	return struck = true;
}

static void *failing_malloc(size_t size)
{
	return strikes() ? NULL : malloc(size);
}

static void *failing_calloc(size_t count, size_t size)
{
	return strikes() ? NULL : calloc(count, size);
}

static void *failing_realloc(void *old, size_t size)
{
	return strikes() ? NULL : realloc(old, size);
}

static char *failing_strdup(const char *text)
{
	return strikes() ? NULL : strdup(text);
}

/* libcurl's: from the client's creation on. What is told stays true, and the next call succeeds. */
static void test_transfers_without_memory(void **state)
{
	struct frame *frame = *state;
	char endpoints[100];
	START(frame, APPENDED, NULL);
	snprintf(endpoints, sizeof endpoints, "%s", frame->servers[0].url);
	struck = true;
	for (int nth = 1; struck; nth++) {
		enum etcd_outcome outcome = ETCD_UNREACHABLE;
		struct etcd *etcd;
		size_t before = asked(frame, 0);
		assert_true(nth < 5000);
		struck = false;
		countdown = nth;
		if (etcd_create(endpoints, NULL, &etcd))
			outcome = etcd_log_append(etcd, KEY, 2, SLICE_LITERAL("value"), monotonic_ms() + FAR_MS, &frame->position);
		countdown = 0;
		/* (Asked at least once, and the rest is told for certain.) */
		assert_true(outcome == ETCD_OK || etcd == NULL);
		assert_true(etcd == NULL || asked(frame, 0) > before);
		if (etcd != NULL)
			assert_int_equal(etcd_log_append(etcd, KEY, 2, SLICE_LITERAL("value"), monotonic_ms() + FAR_MS, &frame->position), ETCD_OK);
		etcd_destroy(etcd);
	}
}

static void test_answers_without_memory(void **state)
{
	struct frame *frame = *state;
	START(frame, RANGE, NULL);
	json_set_alloc_funcs(failing_malloc, free);
	struck = true;
	for (int nth = 1; struck; nth++) {
		assert_true(nth < 1000);
		struck = false;
		countdown = nth;
		/* A lost attempt, then the same again with memory. */
		enum etcd_outcome outcome = read_value(frame, FAR_MS);
		countdown = 0;
		assert_int_equal(outcome, ETCD_OK);
		assert_true(slice_equal(frame->value.bytes, SLICE_LITERAL("value")));
	}
	json_set_alloc_funcs(malloc, free);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, failing_malloc, free, failing_realloc, failing_strdup, failing_calloc) != CURLE_OK)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_requests),
		TEST(test_what_one_endpoint_says),
		TEST(test_uncertainty_stays),
		TEST(test_a_create_whose_answer_was_lost),
		TEST(test_the_next_one_is_asked),
		TEST(test_it_goes_on_asking_until_the_deadline),
		TEST(test_one_endpoint_and_no_other),
		TEST(test_lists),
		TEST(test_leases_and_alarms),
		TEST(test_an_answer_that_is_too_large),
		TEST(test_endpoints),
		TEST(test_transfers_without_memory),
		TEST(test_answers_without_memory),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
