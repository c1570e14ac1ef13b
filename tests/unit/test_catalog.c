/* test_catalog: the catalog worker's API on a real replica. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/slot.h"
#include "fcgi/catalog/catalog.h"
#include "tests/unit/worker_fixture.h"

static struct worker_fixture *fixture;

static int open_fixture(void **state)
{
	(void)state;
	fixture = calloc(1, sizeof *fixture);
	worker_fixture_open(fixture, &catalog_app);
	return 0;
}

static int close_fixture(void **state)
{
	(void)state;
	worker_fixture_close(fixture);
	free(fixture);
	return 0;
}

#define ONE "{\"cost\":10,\"count\":100,\"id\":1,\"title\":\"One\",\"topic\":\"odd\"}"
#define TWO "{\"cost\":11.85,\"count\":2,\"id\":2,\"title\":\"Two \\\"2\\\"\",\"topic\":\"even\"}"
#define THREE "{\"cost\":7,\"count\":0,\"id\":3,\"title\":\"Three\",\"topic\":\"odd\"}"
#define FINE "\"message\":{},\"status\":\"Success\",\"validation_code\":200}\n"
#define CHANGED "{\"item\":{},\"message\":{},\"status\":\"Success\",\"validation_code\":201}\n"

static void reads_items(void **state)
{
	(void)state;
	assert_int_equal(ask(fixture, "GET /lookup?id=2", NULL, NULL, NULL), 200);
	assert_string_equal(fixture->body, "{\"item\":[" TWO "]," FINE);
	assert_int_equal(ask(fixture, "GET /item/1", NULL, NULL, NULL), 200);
	assert_string_equal(fixture->body, "{\"item\":[" ONE "]," FINE);
	assert_int_equal(ask(fixture, "GET /search?topic=odd", NULL, NULL, NULL), 200);
	assert_string_equal(fixture->body, "{\"item\":[" ONE "," THREE "]," FINE);
	assert_int_equal(ask(fixture, "GET /item?topic=none", NULL, NULL, NULL), 200);
	assert_string_equal(fixture->body, "{\"item\":[]," FINE);
	assert_int_equal(ask(fixture, "GET /item?limit=1&after=1", NULL, NULL, NULL), 200);
	assert_string_equal(fixture->body, "{\"item\":[" TWO "],\"message\":{},\"next\":2,\"status\":\"Success\",\"validation_code\":200}\n");
	assert_int_equal(ask(fixture, "GET /item?limit=2&after=1", NULL, NULL, NULL), 200);
	assert_string_equal(fixture->body, "{\"item\":[" TWO "," THREE "]," FINE);
	assert_int_equal(ask(fixture, "GET /lookup?id=9", NULL, NULL, NULL), 404);
	assert_string_equal(fixture->body,
		"{\"code\":\"item_not_found\",\"message\":\"There is no item with id 9.\",\"status\":\"Failed\",\"validation_code\":404}\n");
}

static void answers_head_without_body(void **state)
{
	(void)state;
	char with[32], without[32];
	assert_int_equal(ask(fixture, "GET /lookup?id=2", NULL, NULL, NULL), 200);
	header_value(fixture, "Content-Length: ", with, sizeof with);
	assert_int_equal(strlen(fixture->body), strtol(with, NULL, 10));
	assert_int_equal(ask(fixture, "HEAD /lookup?id=2", NULL, NULL, NULL), 200);
	assert_string_equal(fixture->body, "");
	assert_string_equal(header_value(fixture, "Content-Length: ", without, sizeof without), with);
}

static void refuses_bad_parameters(void **state)
{
	(void)state;
	static const struct { const char *line; int status; const char *code; } CASES[] = {
		{ "GET /lookup", 400, "missing_parameter" }, { "GET /lookup?id=", 400, "empty_parameter" },
		{ "GET /lookup?id=x", 400, "invalid_parameter" }, { "GET /lookup?id=1&id=2", 400, "repeated_parameter" },
		{ "GET /lookup?id=1&a=2", 400, "unknown_parameter" }, { "GET /lookup?id=%f", 400, "bad_encoding" },
		{ "GET /search", 400, "missing_parameter" }, { "GET /search?topic=", 400, "empty_parameter" },
		{ "GET /search?topic=%ff", 400, "bad_encoding" }, { "GET /search?topic=a&limit=0", 400, "invalid_parameter" },
		{ "GET /search?topic=a&limit=1001", 400, "invalid_parameter" }, { "GET /item/0", 400, "invalid_parameter" },
		{ "GET /item/1?x=1", 400, "unknown_parameter" }, { "GET /nothing", 404, "path_not_found" },
		{ "POST /lookup?id=1", 405, "method_not_allowed" }, { "PATCH /item/1", 405, "method_not_allowed" },
		{ "GET /coherence/changes?since=0", 404, "path_not_found" },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
		char code[64];
		assert_int_equal(ask(fixture, CASES[i].line, NULL, NULL, NULL), CASES[i].status);
		snprintf(code, sizeof code, "{\"code\":\"%s\",", CASES[i].code);
		assert_ptr_equal(strstr(fixture->body, code), fixture->body);
		assert_true(has_header(fixture, "X-Accel-Expires: 0"));
	}
	assert_int_equal(ask(fixture, "DELETE /lookup?id=1", NULL, NULL, NULL), 405);
	assert_true(has_header(fixture, "Allow: GET, HEAD"));
}

static void lets_nginx_keep_what_depends_on_its_slot(void **state)
{
	(void)state;
	char slot[32], other[32];
	snprintf(slot, sizeof slot, "PYGMY_SLOT=%u", slot_of_item(1));
	snprintf(other, sizeof other, "PYGMY_SLOT=%u", slot_of_item(1) ^ 1);
	assert_int_equal(ask(fixture, "GET /lookup?id=1", NULL, slot, NULL), 200);
	assert_true(has_header(fixture, "X-Accel-Expires: 31536000"));
	ask(fixture, "GET /lookup?id=1", NULL, other, NULL);
	assert_true(has_header(fixture, "X-Accel-Expires: 0"));
	ask(fixture, "GET /lookup?id=1", NULL, "PYGMY_SLOT=", NULL);
	assert_true(has_header(fixture, "X-Accel-Expires: 0"));
	ask(fixture, "GET /lookup?id=1", NULL, "PYGMY_SLOT=65536", NULL);
	assert_true(has_header(fixture, "X-Accel-Expires: 0"));
	snprintf(slot, sizeof slot, "PYGMY_SLOT=%u", slot_of_item(99));
	assert_int_equal(ask(fixture, "GET /lookup?id=99", NULL, slot, NULL), 404);
	assert_true(has_header(fixture, "X-Accel-Expires: 31536000"));
	assert_true(has_header(fixture, "X-Pygmy-Changed: 1"));
	snprintf(slot, sizeof slot, "PYGMY_SLOT=%u", slot_of_topic(SLICE_LITERAL("odd")));
	assert_int_equal(ask(fixture, "GET /search?topic=odd&limit=1", NULL, slot, NULL), 200);
	assert_true(has_header(fixture, "X-Accel-Expires: 31536000"));
	assert_int_equal(ask(fixture, "GET /search?topic=odd&limit=0", NULL, slot, NULL), 400);
	assert_true(has_header(fixture, "X-Accel-Expires: 0"));
	assert_int_equal(ask(fixture, "GET /search?topic=odd", NULL, slot, "PYGMY_MIN_REVISION=999999"), 503);
	assert_true(has_header(fixture, "X-Accel-Expires: 0"));
	assert_true(has_header(fixture, "Retry-After: 1"));
}

static void names_changes_of_slots(void **state)
{
	(void)state;
	char before[32], after[32], revision[32];
	ask(fixture, "GET /lookup?id=1", NULL, NULL, NULL);
	header_value(fixture, "X-Pygmy-Changed: ", before, sizeof before);
	assert_int_equal(ask(fixture, "PUT /item/2", "{\"delta\":1}", AS_ADMIN, NULL), 201);
	header_value(fixture, "X-Pygmy-Revision: ", revision, sizeof revision);
	ask(fixture, "GET /lookup?id=1", NULL, NULL, NULL);
	assert_string_equal(header_value(fixture, "X-Pygmy-Changed: ", after, sizeof after), before);
	ask(fixture, "GET /lookup?id=2", NULL, NULL, NULL);
	assert_string_equal(header_value(fixture, "X-Pygmy-Changed: ", after, sizeof after), revision);
	ask(fixture, "GET /item", NULL, NULL, NULL);
	assert_string_equal(header_value(fixture, "X-Pygmy-Changed: ", after, sizeof after), revision);
}

static void compares_tags(void **state)
{
	(void)state;
	char tag[64], condition[128], match[128];
	assert_int_equal(ask(fixture, "GET /item/1", NULL, NULL, NULL), 200);
	header_value(fixture, "ETag: ", tag, sizeof tag);
	assert_int_equal(strlen(tag), ETAG_HEX_LEN + 2);
	snprintf(condition, sizeof condition, "HTTP_IF_NONE_MATCH=W/%s", tag);
	snprintf(match, sizeof match, "HTTP_IF_MATCH=%s", tag);
	assert_int_equal(ask(fixture, "GET /lookup?id=1", NULL, condition, NULL), 304);
	assert_string_equal(fixture->body, "");
	assert_null(strstr(fixture->answer, "Content-Length"));
	assert_int_equal(ask(fixture, "GET /search?topic=odd", NULL, condition, NULL), 200);
	assert_int_equal(ask(fixture, "PUT /item/1", "{\"count\":5}", AS_ADMIN, match), 201);
	assert_int_equal(ask(fixture, "PUT /item/1", "{\"count\":6}", AS_ADMIN, match), 412);
	assert_int_equal(ask(fixture, "DELETE /item/1", NULL, AS_ADMIN, match), 412);
	assert_int_equal(ask(fixture, "DELETE /item/1", NULL, AS_ADMIN, "HTTP_IF_MATCH=nonsense"), 400);
	assert_int_equal(ask(fixture, "DELETE /item/1", NULL, AS_ADMIN, "HTTP_IF_MATCH=*"), 200);
	assert_int_equal(ask(fixture, "GET /item/1", NULL, NULL, NULL), 404);
}

static void needs_the_right_token(void **state)
{
	(void)state;
	assert_int_equal(ask(fixture, "PUT /item/1", "{\"count\":5}", NULL, NULL), 401);
	assert_true(has_header(fixture, "WWW-Authenticate: Bearer realm=\"pygmy\""));
	assert_int_equal(ask(fixture, "PUT /item/1", "{\"count\":5}", AS_PEER, NULL), 401);
	assert_int_equal(ask(fixture, "PUT /item/1", "{\"count\":5}", AS_ADMIN "1", NULL), 401);
	assert_int_equal(ask(fixture, "PUT /item/1", "no json", NULL, NULL), 401);
	assert_int_equal(ask(fixture, "POST /item", "{}", NULL, NULL), 401);
	assert_int_equal(ask(fixture, "DELETE /item/1", NULL, NULL, NULL), 401);
	assert_int_equal(ask(fixture, "POST /item/import", "{}", NULL, NULL), 401);
	assert_int_equal(ask(fixture, "PUT /item/propagate/1", "{}", AS_ADMIN, "HTTP_IDEMPOTENCY_KEY=k"), 401);
	ask(fixture, "GET /item/1", NULL, NULL, NULL);
	assert_string_equal(fixture->body, "{\"item\":[" ONE "]," FINE);
}

static void updates_items(void **state)
{
	(void)state;
	static const struct { const char *body; int status; } CASES[] = {
		{ "{\"cost\":11.85}", 201 }, { "{\"cost\":0,\"delta\":-100}", 201 }, { "{\"delta\":-1}", 409 }, { "{\"count\":7}", 201 },
		{ "{\"count\":7,\"delta\":1}", 400 }, { "{}", 400 }, { "{\"title\":\"x\"}", 400 }, { "{\"cost\":1.005}", 400 },
		{ "{\"count\":-1}", 400 }, { "{\"count\":1.0}", 400 }, { "{\"count\":1000000001}", 400 }, { "", 400 }, { "[]", 400 },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
		assert_int_equal(ask(fixture, "PUT /item/1", CASES[i].body, AS_ADMIN, NULL), CASES[i].status);
	assert_int_equal(ask(fixture, "PUT /item/99", "{\"count\":1}", AS_ADMIN, NULL), 404);
	assert_int_equal(ask(fixture, "GET /item/1", NULL, NULL, NULL), 200);
	assert_non_null(strstr(fixture->body, "{\"cost\":0,\"count\":7,\"id\":1,"));
}

static void applies_an_update_once(void **state)
{
	(void)state;
	const char *key = "HTTP_IDEMPOTENCY_KEY=update-1";
	assert_int_equal(ask(fixture, "PUT /item/1", "{\"delta\":-1}", AS_ADMIN, key), 201);
	assert_string_equal(fixture->body, CHANGED);
	assert_true(has_header(fixture, "X-Pygmy-Request-Key: update-1"));
	assert_int_equal(ask(fixture, "PUT /item/propagate/1", "{\"delta\":-1}", AS_PEER, key), 201);
	assert_string_equal(fixture->body, CHANGED);
	assert_int_equal(ask(fixture, "PUT /item/propagate/1", "{\"delta\":-2}", AS_PEER, key), 422);
	assert_int_equal(ask(fixture, "PUT /item/propagate/1", "{\"delta\":-2}", AS_PEER, NULL), 400);
	assert_non_null(strstr(fixture->body, "key_required"));
	assert_int_equal(ask(fixture, "PUT /item/1", "{\"delta\":-2}", AS_ADMIN, "HTTP_IDEMPOTENCY_KEY="), 400);
	ask(fixture, "GET /item/1", NULL, NULL, NULL);
	assert_non_null(strstr(fixture->body, "\"count\":99,"));
}

static void creates_items(void **state)
{
	(void)state;
	const char *body = "{\"title\":\"Four \xc3\xbc\",\"topic\":\"even\",\"cost\":1.5,\"count\":3}";
	char *first;
	assert_int_equal(ask(fixture, "POST /item", body, AS_ADMIN, "HTTP_IDEMPOTENCY_KEY=new"), 201);
	assert_string_equal(fixture->body, "{\"item\":[{\"cost\":1.5,\"count\":3,\"id\":4,\"title\":\"Four \xc3\xbc\",\"topic\":\"even\"}],"
		"\"message\":{},\"status\":\"Success\",\"validation_code\":201}\n");
	assert_true(has_header(fixture, "Location: /item/4"));
	first = strdup(fixture->answer);
	assert_int_equal(ask(fixture, "POST /item", body, AS_ADMIN, "HTTP_IDEMPOTENCY_KEY=new"), 201);
	assert_string_equal(fixture->answer, first);
	free(first);
	assert_int_equal(ask(fixture, "POST /item", "{\"title\":\"\",\"topic\":\"x\",\"cost\":1,\"count\":3}", AS_ADMIN, NULL), 400);
	assert_int_equal(ask(fixture, "POST /item", "{\"title\":\"x\",\"topic\":\"x\",\"cost\":1}", AS_ADMIN, NULL), 400);
	assert_int_equal(ask(fixture, "POST /item", "{\"id\":9,\"title\":\"x\",\"topic\":\"x\",\"cost\":1,\"count\":1}", AS_ADMIN, NULL), 400);
	assert_int_equal(ask(fixture, "GET /item/5", NULL, NULL, NULL), 404);
}

#define ITEM(id) "{\"id\":" id ",\"title\":\"t\",\"topic\":\"new\",\"cost\":1,\"count\":1}"

static void imports_all_or_none(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"{\"items\":[]}", "{\"items\":{}}", "{}", "{\"items\":[" ITEM("20") "," ITEM("20") "]}", "{\"items\":[" ITEM("20") "," ITEM("0") "]}",
		"{\"items\":[" ITEM("20") "],\"replace\":true}", "{\"items\":[" ITEM("20") "],\"more\":1}", "{\"items\":[" ITEM("20") ",1]}",
	};
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
		assert_int_equal(ask(fixture, "POST /item/import", BAD[i], AS_ADMIN, NULL), 400);
	assert_int_equal(ask(fixture, "GET /item/20", NULL, NULL, NULL), 404);
	assert_int_equal(ask(fixture, "POST /item/import", "{\"items\":[" ITEM("20") "," ITEM("1") "],\"replace\":false}", AS_ADMIN, NULL), 201);
	assert_string_equal(fixture->body, "{\"item\":{},\"message\":\"2 items imported\",\"status\":\"Success\",\"validation_code\":201}\n");
	assert_int_equal(ask(fixture, "GET /search?topic=new", NULL, NULL, NULL), 200);
	assert_string_equal(fixture->body, "{\"item\":[{\"cost\":1,\"count\":1,\"id\":1,\"title\":\"t\",\"topic\":\"new\"},"
		"{\"cost\":1,\"count\":1,\"id\":20,\"title\":\"t\",\"topic\":\"new\"}]," FINE);
}

static void takes_bodies_where_they_belong(void **state)
{
	(void)state;
	assert_int_equal(ask(fixture, "GET /item/1", "{}", NULL, NULL), 400);
	assert_non_null(strstr(fixture->body, "body_not_allowed"));
	assert_int_equal(ask(fixture, "DELETE /item/1", "{}", AS_ADMIN, NULL), 400);
	assert_int_equal(ask(fixture, "PUT /item/1", NULL, AS_ADMIN, NULL), 400);
	assert_non_null(strstr(fixture->body, "body_required"));
	char *large = malloc(BODY_MAX_BYTES + 2);
	memset(large, ' ', BODY_MAX_BYTES + 1);
	large[BODY_MAX_BYTES + 1] = '\0';
	assert_int_equal(ask(fixture, "PUT /item/1", large, AS_ADMIN, NULL), 413);
	free(large);
}

static void tells_frontends_what_changed(void **state)
{
	(void)state;
	char question[128], expected[128];
	const char *private = "PYGMY_PRIVATE=1";
	assert_int_equal(ask(fixture, "GET /coherence/changes", NULL, private, NULL), 400);
	assert_int_equal(ask(fixture, "GET /coherence/changes?since=0", NULL, NULL, NULL), 404);
	assert_int_equal(ask(fixture, "GET /coherence/changes?since=0", NULL, AS_ADMIN, NULL), 404);
	assert_int_equal(ask(fixture, "GET /coherence/changes?since=0", NULL, AS_PEER, NULL), 200);
	assert_int_equal(ask(fixture, "GET /coherence/changes?since=x", NULL, private, NULL), 400);
	assert_int_equal(ask(fixture, "GET /coherence/changes?since=0&log=", NULL, private, NULL), 200);
	assert_true(has_header(fixture, "Content-Type: text/plain; charset=utf-8"));
	assert_non_null(strstr(fixture->body, " reset 1\n"));
	char log_id[LOG_ID_TEXT_LEN + 1];
	replica_log_id(atomic_load(&fixture->worker.replica), log_id);
	snprintf(question, sizeof question, "GET /coherence/changes?since=1&log=%s", log_id);
	assert_int_equal(ask(fixture, "PUT /item/1", "{\"delta\":1}", AS_ADMIN, NULL), 201);
	assert_int_equal(ask(fixture, question, NULL, private, NULL), 200);
	struct changes_head head;
	assert_true(changes_parse(slice_of(fixture->body), &head, NULL, NULL));
	assert_int_equal(head.kind, CHANGES_DELTA);
	assert_int_equal(head.position, 2);
	snprintf(expected, sizeof expected, "%u", slot_of_item(1));
	assert_non_null(strstr(fixture->body, expected));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

/* Only reads are served without a word: before everything else the thread leaves its seat (connections.h). */
static void says_what_may_have_to_wait(void **state)
{
	static const char *const QUICK[] = { "GET /lookup?id=2", "GET /search?topic=x", "GET /item/1", "GET /item", "GET /nowhere" };
	static const char *const SLOW[] = { "GET /readyz", "GET /livez", "GET /metrics", "POST /item", "DELETE /item/2", "GET /snapshot" };
	(void)state;
	for (size_t i = 0; i < sizeof QUICK / sizeof QUICK[0]; i++) {
		ask(fixture, QUICK[i], NULL, NULL, NULL);
		assert_false(fixture->may_wait);
	}
	for (size_t i = 0; i < sizeof SLOW / sizeof SLOW[0]; i++) {
		ask(fixture, SLOW[i], NULL, NULL, NULL);
		assert_true(fixture->may_wait);
	}
	/* A body has to be read. */
	ask(fixture, QUICK[0], "{}", NULL, NULL);
	assert_true(fixture->may_wait);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(says_what_may_have_to_wait), TEST(reads_items), TEST(answers_head_without_body), TEST(refuses_bad_parameters), TEST(lets_nginx_keep_what_depends_on_its_slot),
		TEST(names_changes_of_slots), TEST(compares_tags), TEST(needs_the_right_token), TEST(updates_items), TEST(applies_an_update_once),
		TEST(creates_items), TEST(imports_all_or_none), TEST(takes_bodies_where_they_belong), TEST(tells_frontends_what_changed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
