/* request_key: see request_key.h. */
#include "db/request_key.h"

#include <inttypes.h>

#include "db/limits.h"

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == ':' || c == '-';
}

bool request_key_is_valid(struct slice key)
{
	if (key.len == 0 || key.len > REQUEST_KEY_MAX_BYTES)
		return false;
	for (size_t i = 0; i < key.len; i++)
		if (!is_key_char(key.ptr[i]))
			return false;
	return true;
}

struct slice request_key_scope(struct arena *arena, const char *route, int64_t account, enum request_key_origin origin,
			       struct slice key)
{
	return arena_printf(arena, "%s/%" PRId64 "/%c:%.*s", route, account, (char)origin, (int)key.len, key.ptr);
}

bool request_key_is_kept(struct slice scoped_key)
{
	int slashes = 0;
	for (size_t i = 0; i < scoped_key.len; i++) {
		if (slashes == 2)
			return scoped_key.ptr[i] == KEY_FROM_CLIENT;
		if (scoped_key.ptr[i] == '/')
			slashes++;
	}
	return false;
}
