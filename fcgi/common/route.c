/* route: see route.h. A linear search: the tables have less than ROUTES_MAX rows. */
#include "fcgi/common/route.h"

#include <stdio.h>

static bool matches(struct slice pattern, struct slice path, struct slice *id)
{
	const char *brace = memchr(pattern.ptr, '{', pattern.len);
	*id = SLICE_EMPTY;
	if (brace == NULL)
		return slice_equal(pattern, path);
	struct slice prefix = { pattern.ptr, (size_t)(brace - pattern.ptr) };
	if (!slice_starts_with(path, prefix) || path.len == prefix.len)
		return false;
	*id = (struct slice){ path.ptr + prefix.len, path.len - prefix.len };
	return memchr(id->ptr, '/', id->len) == NULL;
}

static unsigned served_methods(const struct route *route)
{
	return (unsigned)route->method | (route->method == METHOD_GET && !route->without_head ? (unsigned)METHOD_HEAD : 0);
}

static void write_allow(unsigned methods, char allow[ALLOW_TEXT_BYTES])
{
	snprintf(allow, ALLOW_TEXT_BYTES, "%s%s%s%s%s", methods & METHOD_GET ? ", GET" : "", methods & METHOD_HEAD ? ", HEAD" : "",
		methods & METHOD_POST ? ", POST" : "", methods & METHOD_PUT ? ", PUT" : "", methods & METHOD_DELETE ? ", DELETE" : "");
	memmove(allow, allow + 2, strlen(allow) - 1);
}

enum route_found route_find(const struct route *const *routes, size_t route_count, enum method method, struct slice path, bool is_private,
	const struct route **route, struct slice *id, char allow[ALLOW_TEXT_BYTES])
{
	unsigned methods = 0;
	bool literal = false;
	*route = NULL;
	for (size_t i = 0; i < route_count; i++) {
		struct slice this_id;
		if ((routes[i]->is_private && !is_private) || !matches(slice_of(routes[i]->pattern), path, &this_id))
			continue;
		bool this_literal = this_id.ptr == NULL;
		if (literal && !this_literal)
			continue;
		if (this_literal && !literal) {
			/* What matched by {id} so far does not count. */
			literal = true;
			methods = 0;
			*route = NULL;
		}
		methods |= served_methods(routes[i]);
		if (served_methods(routes[i]) & (unsigned)method) {
			*route = routes[i];
			*id = this_id;
		}
	}
	if (*route != NULL)
		return ROUTE_FOUND;
	if (methods == 0)
		return ROUTE_NO_PATH;
	write_allow(methods, allow);
	return ROUTE_NO_METHOD;
}
