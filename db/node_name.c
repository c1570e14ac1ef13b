/* node_name: what a member may be called, and where it may be. See member.h; here apart, since apply needs it too. */
#include "db/member.h"

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static bool consists_of(struct slice text, const char *allowed)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\0' || strchr(allowed, text.ptr[i]) == NULL)
			return false;
	return text.len > 0;
}

bool node_name_is_valid(struct slice name)
{
	return name.len <= NODE_NAME_MAX_BYTES && consists_of(name, LETTERS_AND_DIGITS "-");
}

/* The bytes behind prefix, or those of text when it does not start with it. */
static struct slice behind(struct slice text, struct slice prefix)
{
	return slice_starts_with(text, prefix) ? (struct slice){ text.ptr + prefix.len, text.len - prefix.len } : text;
}

static bool host_is_valid(struct slice host)
{
	if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
		return consists_of((struct slice){ host.ptr + 1, host.len - 2 }, "0123456789abcdefABCDEF:.");
	return consists_of(host, LETTERS_AND_DIGITS ".-");
}

static bool port_is_valid(struct slice port)
{
	unsigned number = 0;
	if (port.len > 5 || !consists_of(port, "0123456789") || port.ptr[0] == '0')
		return false;
	for (size_t i = 0; i < port.len; i++)
		number = 10 * number + (unsigned)(port.ptr[i] - '0');
	return number <= 65535;
}

bool node_url_is_valid(struct slice url)
{
	struct slice rest = behind(behind(url, SLICE_LITERAL("http://")), SLICE_LITERAL("https://"));
	if (url.len > NODE_URL_MAX_BYTES || (url.len - rest.len != 7 && url.len - rest.len != 8))
		return false;
	const char *colon = rest.len == 0 ? NULL : memrchr(rest.ptr, ':', rest.len);
	if (colon == NULL)
		return false;
	size_t host_len = (size_t)(colon - rest.ptr);
	return host_is_valid((struct slice){ rest.ptr, host_len }) &&
	       port_is_valid((struct slice){ colon + 1, rest.len - host_len - 1 });
}
