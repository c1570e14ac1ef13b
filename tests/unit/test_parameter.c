/* test_parameter: typed parameters and the messages that name them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/common/parameter.h"

static struct query_string query;
static const char *const NAMES[] = { "id", "topic", NULL };

static void parse(const char *text)
{
	assert_int_equal(query_string_parse(slice_of(text), &query), QUERY_STRING_OK);
}

static void knows_names_and_repeats(void **state)
{
	(void)state;
	struct refusal refusal;
	parse("id=1&topic=x");
	assert_true(parameters_check(&query, NAMES, &refusal));
	parse("id=1&id=1");
	assert_false(parameters_check(&query, NAMES, &refusal));
	assert_int_equal(refusal.error, PYGMY_REPEATED_PARAMETER);
	assert_string_equal(refusal.text, "The parameter id is given more than once.");
	parse("ID=1");
	assert_false(parameters_check(&query, NAMES, &refusal));
	assert_int_equal(refusal.error, PYGMY_UNKNOWN_PARAMETER);
	parse("id=1");
	assert_false(parameters_check(&query, NULL, &refusal));
}

static enum pygmy_error required(const char *text)
{
	struct refusal refusal = { .error = PYGMY_OK };
	int64_t value;
	parse(text);
	return parameter_required_int(&query, "id", 1, ID_MAX, &value, &refusal) ? PYGMY_OK : refusal.error;
}

static void reads_ids(void **state)
{
	(void)state;
	assert_int_equal(required("id=1"), PYGMY_OK);
	assert_int_equal(required("id=999999999999999999"), PYGMY_OK);
	assert_int_equal(required("id=1000000000000000000"), PYGMY_INVALID_PARAMETER);
	assert_int_equal(required("id=99999999999999999999999999"), PYGMY_INVALID_PARAMETER);
	assert_int_equal(required("id=0"), PYGMY_INVALID_PARAMETER);
	assert_int_equal(required("id=-1"), PYGMY_INVALID_PARAMETER);
	assert_int_equal(required("id=%2B1"), PYGMY_INVALID_PARAMETER);
	assert_int_equal(required("id=1.0"), PYGMY_INVALID_PARAMETER);
	assert_int_equal(required("id=one"), PYGMY_INVALID_PARAMETER);
	assert_int_equal(required("id=%31"), PYGMY_OK);
	assert_int_equal(required("id="), PYGMY_EMPTY_PARAMETER);
	assert_int_equal(required("id"), PYGMY_EMPTY_PARAMETER);
	assert_int_equal(required("topic=x"), PYGMY_MISSING_PARAMETER);
}

static void falls_back(void **state)
{
	(void)state;
	struct refusal refusal;
	int64_t value;
	parse("topic=x");
	assert_true(parameter_int(&query, "limit", 1, 1000, 100, &value, &refusal));
	assert_int_equal(value, 100);
	parse("limit=1001");
	assert_false(parameter_int(&query, "limit", 1, 1000, 100, &value, &refusal));
	assert_string_equal(refusal.text, "The parameter limit must be a whole number from 1 to 1000, without sign or leading zeros.");
}

static void reads_texts(void **state)
{
	(void)state;
	struct refusal refusal;
	struct slice value;
	parse("topic=two+words");
	assert_true(parameter_text(&query, "topic", 9, &value, &refusal));
	assert_true(slice_equal(value, SLICE_LITERAL("two words")));
	assert_false(parameter_text(&query, "topic", 8, &value, &refusal));
	assert_int_equal(refusal.error, PYGMY_INVALID_PARAMETER);
	parse("topic=");
	assert_false(parameter_text(&query, "topic", 8, &value, &refusal));
	assert_int_equal(refusal.error, PYGMY_EMPTY_PARAMETER);
	assert_true(parameter_text(&query, "title", 8, &value, &refusal));
	assert_null(value.ptr);
}

static void reads_path_ids(void **state)
{
	(void)state;
	static struct request request;
	struct refusal refusal;
	int64_t id;
	request.path_id = SLICE_LITERAL("42");
	assert_true(parameter_path_id(&request, &id, &refusal));
	assert_int_equal(id, 42);
	static const char *const WRONG[] = { "0", "042", "-1", "x", "1 ", "1000000000000000000" };
	for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
		request.path_id = slice_of(WRONG[i]);
		assert_false(parameter_path_id(&request, &id, &refusal));
		assert_int_equal(refusal.error, PYGMY_INVALID_PARAMETER);
	}
}

/* A message never carries more of what the client wrote than an excerpt, and never half a character. */
static void shows_excerpts_only(void **state)
{
	(void)state;
	char out[REFUSAL_EXCERPT_BYTES];
	assert_string_equal(refusal_excerpt(SLICE_LITERAL("a\nb\x7f"), out), "a?b?");
	struct slice longer = SLICE_LITERAL("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xbc\xc3\xbc\xc3\xbc");
	refusal_excerpt(longer, out);
	assert_true(utf8_is_valid(slice_of(out)));
	assert_string_equal(out + strlen(out) - 3, "...");
	struct refusal refusal;
	char text[600];
	memset(text, 'x', sizeof text);
	for (size_t i = 1; i + 1 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xbc", 2);
	text[sizeof text - 1] = '\0';
	assert_false(refuse(&refusal, PYGMY_INTERNAL, "%s", text));
	assert_true(utf8_is_valid(slice_of(refusal.text)));
	assert_true(strlen(refusal.text) >= REFUSAL_TEXT_BYTES - 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_names_and_repeats), cmocka_unit_test(reads_ids), cmocka_unit_test(falls_back),
		cmocka_unit_test(reads_texts), cmocka_unit_test(reads_path_ids), cmocka_unit_test(shows_excerpts_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
