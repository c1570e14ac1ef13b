/* test_route: which row of a table takes a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fcgi/common/route.h"

static const struct route rows[] = {
	{ .method = METHOD_GET, .pattern = "/item" },
	{ .method = METHOD_GET, .pattern = "/item/{id}" },
	{ .method = METHOD_PUT, .pattern = "/item/{id}" },
	{ .method = METHOD_POST, .pattern = "/item/import" },
	{ .method = METHOD_PUT, .pattern = "/item/propagate/{id}" },
	{ .method = METHOD_GET, .pattern = "/private", .is_private = true },
	{ .method = METHOD_GET, .pattern = "/buy", .without_head = true },
	{ .method = METHOD_POST, .pattern = "/buy" },
	{ .method = METHOD_GET, .pattern = "/members" },
	{ .method = METHOD_PUT, .pattern = "/members/{name}" },
};
#define ROWS (sizeof rows / sizeof rows[0])

static const struct route *found;
static struct slice id;
static char allow[ALLOW_TEXT_BYTES];

static enum route_found find(enum method method, const char *path, bool is_private)
{
	const struct route *table[ROWS];
	for (size_t i = 0; i < ROWS; i++)
		table[i] = &rows[i];
	return route_find(table, ROWS, method, slice_of(path), is_private, &found, &id, allow);
}

static void finds_rows(void **state)
{
	(void)state;
	assert_int_equal(find(METHOD_GET, "/item", false), ROUTE_FOUND);
	assert_ptr_equal(found, &rows[0]);
	assert_int_equal(id.len, 0);
	assert_int_equal(find(METHOD_PUT, "/item/12", false), ROUTE_FOUND);
	assert_ptr_equal(found, &rows[2]);
	assert_true(slice_equal(id, SLICE_LITERAL("12")));
	assert_int_equal(find(METHOD_PUT, "/members/node-7", false), ROUTE_FOUND);
	assert_ptr_equal(found, &rows[9]);
	assert_true(slice_equal(id, SLICE_LITERAL("node-7")));
	assert_int_equal(find(METHOD_PUT, "/item/propagate/7", false), ROUTE_FOUND);
	assert_ptr_equal(found, &rows[4]);
}

static void knows_no_other_paths(void **state)
{
	(void)state;
	static const char *const PATHS[] = { "", "/", "/items", "/item/", "/item/1/", "/item/1/2", "/item/propagate/", "/ITEM", "/members/", "/members/a/b", "/members/{name}/", "item", "/item/1/import" };
	for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++)
		assert_int_equal(find(METHOD_GET, PATHS[i], false), ROUTE_NO_PATH);
}

static void tells_the_methods(void **state)
{
	(void)state;
	assert_int_equal(find(METHOD_DELETE, "/item/1", false), ROUTE_NO_METHOD);
	assert_string_equal(allow, "GET, HEAD, PUT");
	assert_int_equal(find(METHOD_OTHER, "/item", false), ROUTE_NO_METHOD);
	assert_string_equal(allow, "GET, HEAD");
	/* /item/import is no item called import. */
	assert_int_equal(find(METHOD_GET, "/item/import", false), ROUTE_NO_METHOD);
	assert_string_equal(allow, "POST");
	assert_int_equal(find(METHOD_POST, "/item/import", false), ROUTE_FOUND);
	assert_ptr_equal(found, &rows[3]);
}

static void serves_head_where_get_only_reads(void **state)
{
	(void)state;
	assert_int_equal(find(METHOD_HEAD, "/item/1", false), ROUTE_FOUND);
	assert_ptr_equal(found, &rows[1]);
	assert_int_equal(find(METHOD_HEAD, "/buy", false), ROUTE_NO_METHOD);
	assert_string_equal(allow, "GET, POST");
	assert_int_equal(find(METHOD_HEAD, "/item/import", false), ROUTE_NO_METHOD);
	assert_string_equal(allow, "POST");
}

static void hides_private_rows(void **state)
{
	(void)state;
	assert_int_equal(find(METHOD_GET, "/private", false), ROUTE_NO_PATH);
	assert_int_equal(find(METHOD_PUT, "/private", false), ROUTE_NO_PATH);
	assert_int_equal(find(METHOD_GET, "/private", true), ROUTE_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_rows), cmocka_unit_test(knows_no_other_paths), cmocka_unit_test(tells_the_methods),
		cmocka_unit_test(serves_head_where_get_only_reads),
		cmocka_unit_test(hides_private_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
