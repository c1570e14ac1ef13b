/* test_request: FastCGI parameters and bodies, as nginx and others might send them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi/common/request.h"

struct bytes {
	const char *ptr;
	size_t left;
};

static size_t read_bytes(void *context, char *out, size_t size)
{
	struct bytes *bytes = context;
	size_t count = bytes->left < size ? bytes->left : size;
	if (count > 0)
		memcpy(out, bytes->ptr, count);
	bytes->ptr += count;
	bytes->left -= count;
	return count;
}

static struct request request;

static void collect(const char *const *params)
{
	struct request_source source = { .params = (char *const *)(uintptr_t)params };
	request_collect(&request, &source);
}

static void collects_what_it_knows(void **state)
{
	(void)state;
	const char *params[] = { "REQUEST_METHOD=HEAD", "DOCUMENT_URI=/lookup", "QUERY_STRING=id=1&x=y", "PYGMY_SLOT=7", "HTTP_COOKIE=a=b",
		"no equals sign", "HTTP_IF_MATCH=\"x\"", NULL };
	collect(params);
	assert_int_equal(request.method, METHOD_GET);
	assert_true(request.head_only);
	assert_true(slice_equal(request.path, SLICE_LITERAL("/lookup")));
	assert_true(slice_equal(request.query_text, SLICE_LITERAL("id=1&x=y")));
	assert_true(slice_equal(request.nginx_slot, SLICE_LITERAL("7")));
	assert_true(slice_equal(request.if_match, SLICE_LITERAL("\"x\"")));
	assert_null(request.idempotency_key.ptr);
}

static void forgets_the_request_before(void **state)
{
	(void)state;
	const char *first[] = { "REQUEST_METHOD=PUT", "HTTP_IDEMPOTENCY_KEY=k", "HTTP_IDEMPOTENCY_KEY=k", NULL };
	const char *second[] = { "REQUEST_METHOD=BREW", NULL };
	collect(first);
	assert_non_null(request.repeated_header);
	collect(second);
	assert_int_equal(request.method, METHOD_OTHER);
	assert_null(request.idempotency_key.ptr);
	assert_null(request.repeated_header);
}

static void refuses_repeated_headers(void **state)
{
	(void)state;
	struct refusal refusal;
	const char *params[] = { "HTTP_IF_MATCH=*", "HTTP_IF_MATCH=*", NULL };
	collect(params);
	assert_false(request_check_headers(&request, &refusal));
	assert_int_equal(refusal.error, PYGMY_INVALID_HEADER);
	assert_string_equal(refusal.text, "The header If-Match is given more than once.");
}

static enum pygmy_error read_body(const char *type, const char *length, const char *body, size_t max)
{
	struct arena arena;
	struct refusal refusal = { .error = PYGMY_OK };
	struct bytes bytes = { body, strlen(body) };
	struct request_source source = { .read_body = read_bytes, .context = &bytes };
	memset(&request, 0, offsetof(struct request, query));
	request.content_type = slice_of(type);
	request.content_length = slice_of(length);
	arena_init(&arena, 1 << 20);
	bool good = request_read_body(&request, &source, max, &arena, &refusal);
	if (good)
		assert_true(slice_equal(request.body, slice_of(body)));
	arena_close(&arena);
	return good ? PYGMY_OK : refusal.error;
}

static void reads_json_bodies_only(void **state)
{
	(void)state;
	assert_int_equal(read_body("application/json", "2", "{}", 10), PYGMY_OK);
	assert_int_equal(read_body("Application/JSON ; charset=UTF-8", "2", "{}", 10), PYGMY_OK);
	assert_int_equal(read_body("application/json;charset=\"utf-8\"", "2", "{}", 10), PYGMY_OK);
	assert_int_equal(read_body("application/json;charset=latin1", "2", "{}", 10), PYGMY_UNSUPPORTED_MEDIA_TYPE);
	assert_int_equal(read_body("application/jsonp", "2", "{}", 10), PYGMY_UNSUPPORTED_MEDIA_TYPE);
	assert_int_equal(read_body("application/json;", "2", "{}", 10), PYGMY_UNSUPPORTED_MEDIA_TYPE);
	assert_int_equal(read_body("text/plain", "2", "{}", 10), PYGMY_UNSUPPORTED_MEDIA_TYPE);
	assert_int_equal(read_body("", "2", "{}", 10), PYGMY_UNSUPPORTED_MEDIA_TYPE);
}

static void checks_the_length(void **state)
{
	(void)state;
	assert_int_equal(read_body("application/json", "10", "{\"a\":1234}", 10), PYGMY_OK);
	assert_int_equal(read_body("application/json", "11", "{\"a\":12345}", 10), PYGMY_BODY_TOO_LARGE);
	assert_int_equal(read_body("application/json", "99999999999999999999999", "{}", 10), PYGMY_INVALID_HEADER);
	assert_int_equal(read_body("application/json", "3", "{}", 10), PYGMY_INVALID_HEADER);
	assert_int_equal(read_body("application/json", "1", "{}", 10), PYGMY_INVALID_HEADER);
	assert_int_equal(read_body("application/json", "-2", "{}", 10), PYGMY_INVALID_HEADER);
	assert_int_equal(read_body("application/json", "02", "{}", 10), PYGMY_INVALID_HEADER);
}

static void knows_whether_there_is_a_body(void **state)
{
	(void)state;
	const char *none[] = { "CONTENT_LENGTH=", NULL }, *zero[] = { "CONTENT_LENGTH=0", NULL }, *some[] = { "CONTENT_LENGTH=1", NULL };
	collect(none);
	assert_false(request_has_body(&request));
	collect(zero);
	assert_false(request_has_body(&request));
	collect(some);
	assert_true(request_has_body(&request));
}

static void parses_decimals(void **state)
{
	(void)state;
	uint64_t number = 77;
	assert_true(decimal_parse(SLICE_LITERAL("0"), 0, &number));
	assert_int_equal(number, 0);
	assert_true(decimal_parse(SLICE_LITERAL("18446744073709551615"), UINT64_MAX, &number));
	assert_true(number == UINT64_MAX);
	assert_false(decimal_parse(SLICE_LITERAL("18446744073709551616"), UINT64_MAX, &number));
	assert_true(decimal_parse(SLICE_LITERAL("100"), 100, &number));
	assert_false(decimal_parse(SLICE_LITERAL("101"), 100, &number));
	assert_false(decimal_parse(SLICE_LITERAL("9"), 5, &number));
	assert_false(decimal_parse(SLICE_LITERAL(""), 5, &number));
	assert_false(decimal_parse(SLICE_EMPTY, 5, &number));
	assert_false(decimal_parse(SLICE_LITERAL("01"), 5, &number));
	assert_false(decimal_parse(SLICE_LITERAL("00"), 5, &number));
	assert_false(decimal_parse(SLICE_LITERAL("+1"), 5, &number));
	assert_false(decimal_parse(SLICE_LITERAL("-1"), 5, &number));
	assert_false(decimal_parse(SLICE_LITERAL(" 1"), 5, &number));
	assert_false(decimal_parse(SLICE_LITERAL("1x"), 5, &number));
	assert_false(decimal_parse(SLICE_LITERAL("1\0"), 50, &number));
}

static void takes_the_larger_revision(void **state)
{
	(void)state;
	struct refusal refusal;
	uint64_t revision;
	const char *both[] = { "HTTP_X_PYGMY_MIN_REVISION=7", "PYGMY_MIN_REVISION=9", NULL };
	const char *one[] = { "HTTP_X_PYGMY_MIN_REVISION=7", "PYGMY_MIN_REVISION=", NULL };
	const char *bad[] = { "HTTP_X_PYGMY_MIN_REVISION=7x", NULL };
	collect(both);
	assert_true(request_min_revision(&request, &revision, &refusal));
	assert_int_equal(revision, 9);
	collect(one);
	assert_true(request_min_revision(&request, &revision, &refusal));
	assert_int_equal(revision, 7);
	collect(bad);
	assert_false(request_min_revision(&request, &revision, &refusal));
	assert_int_equal(refusal.error, PYGMY_INVALID_HEADER);
}

static void knows_how_long_it_has_waited(void **state)
{
	(void)state;
	static const struct { const char *param; int64_t waited_ms; } CASES[] = {
		{ "PYGMY_ARRIVED=1700000000.123", 877 }, { "PYGMY_ARRIVED=1700000001.000", 0 }, { "PYGMY_ARRIVED=1700000002.000", 0 },
		/* Two clocks that disagree. */
		{ "PYGMY_ARRIVED=1600000000.000", 0 },
		{ "PYGMY_ARRIVED=", 0 }, { "PYGMY_ARRIVED=.123", 0 }, { "PYGMY_ARRIVED=1700000000", 0 }, { "PYGMY_ARRIVED=1700000000.12x", 0 },
		{ "PYGMY_ARRIVED=x700000000.123", 0 }, { "PYGMY_ARRIVED=99999999999999999999.123", 0 }, { "HTTP_PYGMY_ARRIVED=1700000000.123", 0 },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
		const char *params[] = { CASES[i].param, NULL };
		collect(params);
		assert_int_equal(request_waited_ms(&request, INT64_C(1700000001000)), CASES[i].waited_ms);
	}
}

static void knows_strict_only(void **state)
{
	(void)state;
	struct refusal refusal;
	bool strict;
	const char *client[] = { "HTTP_X_PYGMY_CONSISTENCY=strict", NULL }, *nginx[] = { "PYGMY_CONSISTENCY=strict", NULL };
	const char *other[] = { "HTTP_X_PYGMY_CONSISTENCY=lax", NULL }, *none[] = { NULL };
	collect(client);
	assert_true(request_is_strict(&request, &strict, &refusal) && strict);
	collect(nginx);
	assert_true(request_is_strict(&request, &strict, &refusal) && strict);
	collect(none);
	assert_true(request_is_strict(&request, &strict, &refusal) && !strict);
	collect(other);
	assert_false(request_is_strict(&request, &strict, &refusal));
}

static void translates_query_errors(void **state)
{
	(void)state;
	static const struct { const char *param; enum pygmy_error error; } CASES[] = {
		{ "QUERY_STRING=a=%zz", PYGMY_BAD_ENCODING }, { "QUERY_STRING=a=%00", PYGMY_BAD_ENCODING },
		{ "QUERY_STRING=a=%ff", PYGMY_BAD_ENCODING }, { "QUERY_STRING=a=1&&b=2", PYGMY_INVALID_PARAMETER },
		{ "QUERY_STRING=a=1", PYGMY_OK }, { "QUERY_STRING=", PYGMY_OK },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
		struct refusal refusal = { .error = PYGMY_OK };
		const char *params[] = { CASES[i].param, NULL };
		collect(params);
		bool good = request_parse_query(&request, &refusal);
		assert_int_equal(good ? PYGMY_OK : refusal.error, CASES[i].error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collects_what_it_knows), cmocka_unit_test(forgets_the_request_before),
		cmocka_unit_test(refuses_repeated_headers), cmocka_unit_test(reads_json_bodies_only), cmocka_unit_test(checks_the_length),
		cmocka_unit_test(knows_whether_there_is_a_body), cmocka_unit_test(parses_decimals),
		cmocka_unit_test(takes_the_larger_revision), cmocka_unit_test(knows_how_long_it_has_waited), cmocka_unit_test(knows_strict_only), cmocka_unit_test(translates_query_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
