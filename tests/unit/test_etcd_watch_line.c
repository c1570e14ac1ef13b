/* etcd_json and etcd_watch_line: what is taken for true out of a line, and what is not. */
#include "tests/unit/support.h"

#include "db/etcd_watch_line.h"

#define KEY SLICE_LITERAL("k")
#define HEADER "\"header\":{\"cluster_id\":\"7\",\"revision\":\"9\"}"
#define KV(version, value) "{\"kv\":{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"" version "\",\"value\":\"" value "\"}}"
#define EVENTS(list) "{\"result\":{" HEADER ",\"events\":[" list "]}}"

static enum etcd_watch_line_kind read_line(struct etcd_watch_line *line, const char *text)
{
	return etcd_watch_line_read(line, slice_of(text), KEY);
}

static void test_events(void **state)
{
	(void)state;
	struct etcd_watch_line line = { 0 };
	struct buffer values = buffer_of(100);
	struct etcd_event events[ETCD_WATCH_EVENTS_MAX];
	size_t count;
	assert_int_equal(read_line(&line, EVENTS(KV("1", "YWJj") "," KV("2", "") "," "{\"type\":\"DELETE\",\"kv\":{\"key\":\"aw==\",\"mod_revision\":\"7\"}}")),
			 ETCD_WATCH_LINE_EVENTS);
	assert_true(etcd_watch_line_take(&line, &values, events, &count));
	assert_int_equal(count, 3);
	assert_int_equal(events[0].position.cluster_id, 7);
	assert_int_equal(events[0].position.header_revision, 9);
	assert_int_equal(events[0].position.create_revision, 2);
	assert_int_equal(events[0].position.mod_revision, 3);
	assert_int_equal(events[1].position.version, 2);
	assert_true(slice_equal(events[0].value, SLICE_LITERAL("abc")));
	assert_int_equal(events[1].value.len, 0);
	assert_true(events[2].is_delete && events[2].position.mod_revision == 7 && events[2].position.version == 0);
	assert_null(line.root);
	buffer_close(&values);
}

/* More than one call may take; every value is what it was. */
static void test_many_events_in_one_line(void **state)
{
	(void)state;
	enum { MANY = 2 * ETCD_WATCH_EVENTS_MAX + 7 };
	struct buffer text = buffer_of((size_t)1024 * 1024), values = buffer_of(10000);
	struct etcd_watch_line line = { 0 };
	struct etcd_event events[ETCD_WATCH_EVENTS_MAX];
	size_t count, taken = 0;
	buffer_append_text(&text, "{\"result\":{" HEADER ",\"events\":[");
	for (int i = 1; i <= MANY; i++) {
		char part[200], value[16];
		snprintf(value, sizeof value, "%d", i);
		snprintf(part, sizeof part, "%s{\"kv\":{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":%d,\"version\":\"%d\",\"value\":\"",
			 i > 1 ? "," : "", i + 1, i);
		buffer_append_text(&text, part);
		buffer_append_base64(&text, slice_of(value));
		buffer_append_text(&text, "\"}}");
	}
	assert_true(buffer_append_text(&text, "]}}"));
	assert_int_equal(etcd_watch_line_read(&line, buffer_borrow(&text), KEY), ETCD_WATCH_LINE_EVENTS);
	while (line.root != NULL) {
		assert_true(etcd_watch_line_take(&line, &values, events, &count));
		for (size_t i = 0; i < count; i++) {
			char value[16];
			snprintf(value, sizeof value, "%zu", ++taken);
			assert_int_equal(events[i].position.version, taken);
			assert_true(slice_equal(events[i].value, slice_of(value)));
		}
	}
	assert_int_equal(taken, MANY);
	buffer_close(&text);
	buffer_close(&values);
}

static void test_other_lines(void **state)
{
	(void)state;
	struct etcd_watch_line line = { 0 };
	assert_int_equal(read_line(&line, "{\"result\":{" HEADER ",\"created\":true}}"), ETCD_WATCH_LINE_QUIET);
	assert_int_equal(read_line(&line, "{\"result\":{" HEADER "}}"), ETCD_WATCH_LINE_QUIET);
	assert_int_equal(read_line(&line, "{\"result\":{" HEADER ",\"canceled\":true,\"compact_revision\":\"30\"}}"), ETCD_WATCH_LINE_COMPACTED);
	assert_int_equal(line.compact_revision, 30);
	assert_int_equal(read_line(&line, "{\"result\":{" HEADER ",\"canceled\":true,\"cancel_reason\":\"why\"}}"), ETCD_WATCH_LINE_ERROR);
	assert_non_null(strstr(line.reason, "why"));
	assert_int_equal(read_line(&line, "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no leader\"}}"), ETCD_WATCH_LINE_ERROR);
	assert_non_null(strstr(line.reason, "no leader"));
	assert_int_equal(read_line(&line, "{\"error\":\"gone\",\"code\":14}"), ETCD_WATCH_LINE_ERROR);
	assert_non_null(strstr(line.reason, "gone"));
	assert_null(line.root);
}

static const char *const senseless[] = {
	"", " ", "x", "{", "[]", "1", "\"\"", "null", "{}", "{} {}", "{\"result\":{}}", "{\"result\":[]}", "{\"result\":1}", "{\"result\":null}",
	"{\"result\":{" HEADER ",\"created\":true}}x",
	"{\"result\":{" HEADER ",\"canceled\":1}}",
	"{\"result\":{" HEADER ",\"events\":{}}}",
	"{\"result\":{" HEADER ",\"compact_revision\":\"-1\"}}",
	"{\"result\":{" HEADER ",\"compact_revision\":true}}",
	"{\"result\":{\"header\":{\"cluster_id\":\"0\",\"revision\":\"9\"}}}",
	"{\"result\":{\"header\":{\"cluster_id\":\"18446744073709551616\"}}}",
	"{\"result\":{\"header\":{\"cluster_id\":\"7 \"}}}",
	"{\"result\":{\"header\":{\"cluster_id\":\"+7\"}}}",
	"{\"result\":{\"header\":{\"cluster_id\":\"\"}}}",
	"{\"result\":{\"header\":{\"cluster_id\":-7}}}",
	"{\"result\":{\"header\":{\"cluster_id\":7.0}}}",
	"{\"result\":{" HEADER "," HEADER "}}",
	EVENTS("1"), EVENTS("{}"), EVENTS("{\"kv\":1}"), EVENTS("{\"kv\":{}}"),
	EVENTS(KV("0", "")), EVENTS(KV("x", "")), EVENTS(KV("1", "") ",null"),
	EVENTS("{\"type\":\"DROP\",\"kv\":{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"1\"}}"),
	EVENTS("{\"type\":7,\"kv\":{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"1\"}}"),
	EVENTS("{\"type\":\"DELETE\",\"kv\":{\"key\":\"aw==\"}}"),
	/* another key, none, and no base64 */
	EVENTS("{\"kv\":{\"key\":\"bA==\",\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"1\"}}"),
	EVENTS("{\"kv\":{\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"1\"}}"),
	EVENTS("{\"kv\":{\"key\":\"aw\",\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"1\"}}"),
	EVENTS("{\"kv\":{\"key\":[\"aw==\"],\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"1\"}}"),
	/* modified before it was created */
	EVENTS("{\"kv\":{\"key\":\"aw==\",\"create_revision\":\"4\",\"mod_revision\":\"3\",\"version\":\"1\"}}"),
};

static void test_senseless_lines(void **state)
{
	(void)state;
	struct etcd_watch_line line = { 0 };
	for (size_t i = 0; i < sizeof senseless / sizeof senseless[0]; i++) {
		if (read_line(&line, senseless[i]) != ETCD_WATCH_LINE_ERROR || line.root != NULL || line.reason[0] == '\0')
			fail_msg("taken for good: %s", senseless[i]);
	}
}

/* Every line that is cut off anywhere, and every one with one byte changed, is refused or makes sense: nothing in between. */
static void test_damaged_lines(void **state)
{
	(void)state;
	static const char sound[] = EVENTS(KV("1", "YWJj"));
	struct etcd_watch_line line = { 0 };
	struct buffer values = buffer_of(100);
	struct etcd_event events[ETCD_WATCH_EVENTS_MAX];
	size_t count;
	for (size_t len = 0; len < sizeof sound - 1; len++)
		assert_int_equal(etcd_watch_line_read(&line, (struct slice){ sound, len }, KEY), ETCD_WATCH_LINE_ERROR);
	for (size_t at = 0; at < sizeof sound - 1; at++) {
		for (int byte = 0; byte < 256; byte++) {
			char text[sizeof sound];
			memcpy(text, sound, sizeof sound);
			text[at] = (char)byte;
			if (etcd_watch_line_read(&line, (struct slice){ text, sizeof sound - 1 }, KEY) == ETCD_WATCH_LINE_EVENTS &&
			    etcd_watch_line_take(&line, &values, events, &count))
				assert_true(count == 1 && events[0].value.len <= 3);
		}
	}
	etcd_watch_line_close(&line);
	buffer_close(&values);
}

static void test_values(void **state)
{
	(void)state;
	static const char *const wrong[] = { "YWJ", "YWJj=", "YW=j", "YWJ*", "====", "YWJj\\n", "YWI", "\\u0059WJj YWJj" };
	struct etcd_watch_line line = { 0 };
	struct buffer values = buffer_of(3);
	struct etcd_event events[ETCD_WATCH_EVENTS_MAX];
	size_t count;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		char text[300];
		snprintf(text, sizeof text, EVENTS("{\"kv\":{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":\"3\",\"version\":\"1\",\"value\":\"%s\"}}"),
			 wrong[i]);
		assert_int_equal(read_line(&line, text), ETCD_WATCH_LINE_EVENTS);
		assert_false(etcd_watch_line_take(&line, &values, events, &count));
		assert_null(line.root);
		assert_int_equal(count, 0);
	}
	/* More than there is room for. */
	assert_int_equal(read_line(&line, EVENTS(KV("1", "YWJj") "," KV("2", "YWJj"))), ETCD_WATCH_LINE_EVENTS);
	assert_false(etcd_watch_line_take(&line, &values, events, &count));
	buffer_close(&values);
}

/* Few bytes that would take much memory, or much stack. */
static void test_hostile_json(void **state)
{
	(void)state;
	enum { MANY = 2 * ETCD_JSON_TOKENS_MAX };
	char *text = malloc(MANY + 100);
	assert_non_null(text);
	struct etcd_watch_line line = { 0 };
	memset(text, '[', MANY);
	assert_null(etcd_json_parse((struct slice){ text, MANY }));
	for (size_t i = 0; i < MANY; i++)
		text[i] = "{},"[i % 3];
	memcpy(text, "{\"a\":[", 6);
	memcpy(text + MANY, "{}]}", 4);
	assert_null(etcd_json_parse((struct slice){ text, MANY + 4 }));
	free(text);
	assert_null(etcd_json_parse(SLICE_LITERAL("{\"a\":1\0}")));
	assert_null(etcd_json_parse(SLICE_LITERAL("{\"a\":\"\\u0000\"}")));
	assert_null(etcd_json_parse(SLICE_LITERAL("{\"a\":\"\xff\"}")));
	assert_null(etcd_json_parse(SLICE_LITERAL("{\"a\":1e999}")));
	assert_null(etcd_json_parse(SLICE_LITERAL("{\"a\":1,\"a\":1}")));
	/* Brackets in texts are none. */
	json_t *json = etcd_json_parse(SLICE_LITERAL("{\"a\":\"[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[\"}"));
	assert_non_null(json);
	json_decref(json);
	assert_int_equal(read_line(&line, "{\"error\":\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"}"), ETCD_WATCH_LINE_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),	       cmocka_unit_test(test_many_events_in_one_line), cmocka_unit_test(test_other_lines),
		cmocka_unit_test(test_senseless_lines), cmocka_unit_test(test_damaged_lines),	       cmocka_unit_test(test_values),
		cmocka_unit_test(test_hostile_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
