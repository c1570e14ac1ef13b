/* query_string: whatever comes, what is handed out lies inside the buffer, is UTF-8 and free of NUL. */
#include <stdint.h>
#include <stdlib.h>

#include "db/query_string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct slice s, const struct query_string *in)
{
	if (s.ptr < in->decoded || s.ptr + s.len > in->decoded + sizeof in->decoded)
		abort();
	if (!utf8_is_valid(s) || (s.len > 0 && memchr(s.ptr, '\0', s.len) != NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct query_string parsed;
	if (query_string_parse((struct slice){ (const char *)data, size }, &parsed) != QUERY_STRING_OK)
		return 0;
	if (parsed.count > QUERY_PARAMS_MAX)
		abort();
	for (size_t i = 0; i < parsed.count; i++) {
		if (parsed.params[i].name.len == 0)
			abort();
		check(parsed.params[i].name, &parsed);
		check(parsed.params[i].value, &parsed);
	}
	return 0;
}
