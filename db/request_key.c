/* request_key: see request_key.h. */
#include "db/request_key.h"

#include <inttypes.h>

#include "db/limits.h"

#define NGINX_MILLISECOND_DIGITS 3
#define NGINX_ID_DIGITS 32

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '.' || c == '_' || c == ':' || c == '-';
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

struct slice request_key_scope(struct arena *arena, const char *route, int64_t account, struct slice key)
{
	return arena_printf(arena, "%s/%" PRId64 "/%.*s", route, account, (int)key.len, key.ptr);
}

/* Moves *s behind its leading digits (hex: also a to f) and returns how many there were. */
static size_t skip_digits(struct slice *s, bool hex)
{
	size_t n = 0;
	while (n < s->len && (is_digit(s->ptr[n]) || (hex && s->ptr[n] >= 'a' && s->ptr[n] <= 'f')))
		n++;
	*s = (struct slice){ s->ptr + n, s->len - n };
	return n;
}

static bool skip_char(struct slice *s, char c)
{
	if (s->len == 0 || s->ptr[0] != c)
		return false;
	*s = (struct slice){ s->ptr + 1, s->len - 1 };
	return true;
}

static bool has_nginx_form(struct slice key)
{
	return skip_digits(&key, false) > 0 && skip_char(&key, '.') && skip_digits(&key, false) == NGINX_MILLISECOND_DIGITS &&
	       skip_char(&key, '-') && skip_digits(&key, true) == NGINX_ID_DIGITS && key.len == 0;
}

bool request_key_is_kept(struct slice scoped_key)
{
	const char *slash = scoped_key.len == 0 ? NULL : memrchr(scoped_key.ptr, '/', scoped_key.len);
	if (slash == NULL)
		return true;
	size_t before = (size_t)(slash + 1 - scoped_key.ptr);
	return !has_nginx_form((struct slice){ slash + 1, scoped_key.len - before });
}
