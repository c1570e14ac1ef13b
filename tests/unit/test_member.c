/* member: what is written is read back; whatever else comes is refused. */
#include "tests/unit/support.h"

#include "db/member.h"

static struct member example(void)
{
	struct member member = { .name = "A", .phase = NODE_READY, .applied = 12345678901234, .durable = 12345678901000,
		.since_ms = 1769860800123, .version = "0.1.0", .catalog_url = "http://127.0.1.1:8011", .era = 3,
		.agreements = { { "B", 12345678901200 }, { "C", 0 } }, .agreement_count = 2 };
	for (size_t i = 0; i < CHAIN_BYTES; i++)
		member.chain[i] = (uint8_t)(i * 7 + 3);
	return member;
}

static void assert_same(const struct member *a, const struct member *b)
{
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->phase, b->phase);
	assert_int_equal(a->applied, b->applied);
	assert_int_equal(a->durable, b->durable);
	assert_int_equal(a->since_ms, b->since_ms);
	assert_int_equal(a->era, b->era);
	assert_int_equal(a->agreement_count, b->agreement_count);
	for (size_t i = 0; i < a->agreement_count; i++) {
		assert_string_equal(a->agreements[i].name, b->agreements[i].name);
		assert_int_equal(a->agreements[i].index, b->agreements[i].index);
	}
	assert_string_equal(a->version, b->version);
	assert_string_equal(a->catalog_url, b->catalog_url);
	assert_memory_equal(a->chain, b->chain, CHAIN_BYTES);
}

static void comes_back_as_it_was(void **state)
{
	(void)state;
	char text[MEMBER_TEXT_MAX_BYTES];
	struct member member = example(), read;
	for (int phase = NODE_STARTING; phase <= NODE_STORAGE_FAILED; phase++) {
		member.phase = (enum node_phase)phase;
		size_t len = member_write(&member, text, sizeof text);
		assert_true(len > 0);
		assert_true(member_parse((struct slice){ text, len }, &read));
		assert_same(&read, &member);
	}
}

static void the_largest_fits(void **state)
{
	(void)state;
	char text[MEMBER_TEXT_MAX_BYTES];
	struct member member = example(), read;
	member.applied = member.durable = INT64_MAX;
	member.since_ms = INT64_MAX;
	member.era = INT64_MAX;
	memset(member.name, 'n', NODE_NAME_MAX_BYTES);
	for (member.agreement_count = 0; member.agreement_count < MEMBERS_MAX; member.agreement_count++) {
		struct member_agreement *agreement = &member.agreements[member.agreement_count];
		memset(agreement->name, 'm', NODE_NAME_MAX_BYTES);
		agreement->name[0] = (char)('A' + member.agreement_count % 26);
		agreement->name[1] = (char)('A' + member.agreement_count / 26);
		agreement->index = INT64_MAX;
	}
	memset(member.version, '9', sizeof member.version - 1);
	snprintf(member.catalog_url, sizeof member.catalog_url, "https://%0*d:65535", NODE_URL_MAX_BYTES - 14, 7);
	assert_int_equal(strlen(member.catalog_url), NODE_URL_MAX_BYTES);
	size_t len = member_write(&member, text, sizeof text);
	assert_true(len > 0);
	assert_true(member_parse((struct slice){ text, len }, &read));
	assert_same(&read, &member);
	assert_int_equal(member_write(&member, text, len), 0);
	assert_int_equal(member_write(&member, text, len + 1), len);
}

static void without_a_url(void **state)
{
	(void)state;
	char text[MEMBER_TEXT_MAX_BYTES];
	struct member member = example(), read;
	member.catalog_url[0] = '\0';
	size_t len = member_write(&member, text, sizeof text);
	assert_true(len > 0);
	assert_true(member_parse((struct slice){ text, len }, &read));
	assert_same(&read, &member);
}

static void what_is_not_valid_is_not_written(void **state)
{
	(void)state;
	char text[MEMBER_TEXT_MAX_BYTES];
	struct member member = example();
	snprintf(member.name, sizeof member.name, "a\"b");
	assert_int_equal(member_write(&member, text, sizeof text), 0);
	member = example();
	snprintf(member.version, sizeof member.version, "1\n");
	assert_int_equal(member_write(&member, text, sizeof text), 0);
	member = example();
	snprintf(member.catalog_url, sizeof member.catalog_url, "http://a:1/\"");
	assert_int_equal(member_write(&member, text, sizeof text), 0);
	member = example();
	member.applied = UINT64_MAX;
	assert_int_equal(member_write(&member, text, sizeof text), 0);
}

/* Replaces the first `from` of a sound text by `to` and says whether that is still a member. */
static bool is_member_with(const char *from, const char *to)
{
	char text[MEMBER_TEXT_MAX_BYTES], changed[2 * MEMBER_TEXT_MAX_BYTES];
	struct member member = example();
	text[member_write(&member, text, sizeof text)] = '\0';
	const char *found = strstr(text, from);
	assert_non_null(found);
	int len = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(found - text), text, to, found + strlen(from));
	return member_parse((struct slice){ changed, (size_t)len }, &member);
}

static void anything_else_is_refused(void **state)
{
	(void)state;
	struct member member;
	char large[MEMBER_TEXT_MAX_BYTES];
	assert_true(is_member_with("{", "{ "));
	assert_false(is_member_with("\"A\"", "\"A b\""));
	assert_false(is_member_with("\"A\"", "\"\""));
	assert_false(is_member_with("\"A\"", "\"ABCDEFGHIJKLMNOPQ\""));
	assert_false(is_member_with("\"A\"", "\"A\\u0000\""));
	assert_false(is_member_with("\"A\"", "1"));
	assert_false(is_member_with("\"ready\"", "\"happy\""));
	assert_false(is_member_with("12345678901234,", "-1,"));
	assert_false(is_member_with("12345678901234,", "1.5,"));
	assert_false(is_member_with("12345678901234,", "99999999999999999999,"));
	assert_false(is_member_with("\"chain\":\"03", "\"chain\":\"3"));
	assert_false(is_member_with("\"chain\":\"03", "\"chain\":\"zz"));
	assert_false(is_member_with("\"chain\":\"03", "\"chain\":\"0303"));
	assert_false(is_member_with("\"0.1.0\"", "\"\""));
	assert_false(is_member_with("\"0.1.0\"", "\"0 1\""));
	assert_false(is_member_with("http://127.0.1.1:8011", "ftp://127.0.1.1:8011"));
	assert_false(is_member_with("{", "{\"more\":1,"));
	assert_false(is_member_with("\"since_ms\"", "\"since\""));
	assert_false(is_member_with("\"era\":3", "\"era\":-3"));
	assert_false(is_member_with("{\"B\":12345678901200,\"C\":0}", "[]"));
	assert_false(is_member_with("\"B\":12345678901200", "\"B\":-1"));
	assert_false(is_member_with("\"B\":12345678901200", "\"B\":\"1\""));
	assert_false(is_member_with("\"B\":12345678901200", "\"B!\":1"));
	assert_false(is_member_with("\"B\":12345678901200", "\"ABCDEFGHIJKLMNOPQ\":1"));
	assert_false(is_member_with("\"B\":12345678901200", "\"C\":1"));
	assert_true(is_member_with("\"B\":12345678901200,\"C\":0", ""));
	assert_false(is_member_with("{", "{\"name\":\"B\","));
	assert_false(is_member_with("}", "} x"));
	assert_false(member_parse(SLICE_LITERAL(""), &member));
	assert_false(member_parse(SLICE_LITERAL("[]"), &member));
	assert_false(member_parse(SLICE_LITERAL("{"), &member));
	memset(large, ' ', sizeof large);
	large[0] = '{';
	large[sizeof large - 1] = '\0';
	assert_false(is_member_with("{", large));
}

static bool is_url(const char *url)
{
	return node_url_is_valid(slice_of(url));
}

static void urls(void **state)
{
	(void)state;
	char long_url[NODE_URL_MAX_BYTES + 2];
	assert_true(is_url("http://127.0.1.1:8011"));
	assert_true(is_url("https://node-a.example.org:443"));
	assert_true(is_url("http://[::1]:8011"));
	assert_false(is_url(""));
	assert_false(is_url("http://"));
	assert_false(is_url("http://a"));
	assert_false(is_url("http://:80"));
	assert_false(is_url("http://a:"));
	assert_false(is_url("http://a:0"));
	assert_false(is_url("http://a:080"));
	assert_false(is_url("http://a:65536"));
	assert_false(is_url("http://a:123456"));
	assert_false(is_url("http://a:80/"));
	assert_false(is_url("http://a:80?x"));
	assert_false(is_url("http://u@a:80"));
	assert_false(is_url("http://a b:80"));
	assert_false(is_url("http://::1:80"));
	assert_false(is_url("http://[]:80"));
	assert_false(is_url("http://[x]:80"));
	assert_false(is_url("http://https://a:80"));
	assert_false(is_url("HTTP://a:80"));
	assert_false(is_url("a:80"));
	assert_false(node_url_is_valid(SLICE_EMPTY));
	assert_false(node_url_is_valid(SLICE_LITERAL("http://a\0b:80")));
	snprintf(long_url, sizeof long_url, "http://%0*d:65535", NODE_URL_MAX_BYTES - 12, 7);
	assert_false(is_url(long_url));
}

static void names(void **state)
{
	(void)state;
	assert_true(node_name_is_valid(SLICE_LITERAL("A")));
	assert_true(node_name_is_valid(SLICE_LITERAL("node-17")));
	assert_true(node_name_is_valid(SLICE_LITERAL("0123456789abcdef")));
	assert_false(node_name_is_valid(SLICE_LITERAL("0123456789abcdefg")));
	assert_false(node_name_is_valid(SLICE_EMPTY));
	assert_false(node_name_is_valid(SLICE_LITERAL("a.b")));
	assert_false(node_name_is_valid(SLICE_LITERAL("a/b")));
	assert_false(node_name_is_valid(SLICE_LITERAL("a\0b")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was),
		cmocka_unit_test(the_largest_fits),
		cmocka_unit_test(without_a_url),
		cmocka_unit_test(what_is_not_valid_is_not_written),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(urls),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
