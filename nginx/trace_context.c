/* trace_context: see trace_context.h. */
#include "nginx/trace_context.h"

#include <string.h>

#define TRACE_ID_AT 3
#define PARENT_ID_AT 36
#define FLAGS_AT 53

static int digit_of(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Lower-case hex digits, as the standard wants them. */
static bool is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (digit_of(text[i]) < 0)
			return false;
	return true;
}

static bool is_id(const char *text, size_t len)
{
	size_t zeros = 0;
	while (zeros < len && text[zeros] == '0')
		zeros++;
	return zeros < len && is_hex(text, len);
}

bool trace_context_read(struct slice header, struct trace_context *context)
{
	const char *at = header.ptr;
	if (header.len < TRACE_PARENT_LEN || !is_hex(at, 2) || memcmp(at, "ff", 2) == 0)
		return false;
	/* A later version may have more behind another hyphen. */
	if (header.len > TRACE_PARENT_LEN && (memcmp(at, "00", 2) == 0 || at[TRACE_PARENT_LEN] != '-'))
		return false;
	if (at[TRACE_ID_AT - 1] != '-' || at[PARENT_ID_AT - 1] != '-' || at[FLAGS_AT - 1] != '-' || !is_id(at + TRACE_ID_AT, TRACE_ID_LEN)
			|| !is_id(at + PARENT_ID_AT, TRACE_PARENT_ID_LEN) || !is_hex(at + FLAGS_AT, 2))
		return false;
	context->trace_id = (struct slice){ at + TRACE_ID_AT, TRACE_ID_LEN };
	context->sampled = (digit_of(at[FLAGS_AT + 1]) & 1) != 0;
	return true;
}

void trace_context_write(struct slice trace_id, struct slice own_id, bool sampled, char header[TRACE_PARENT_LEN])
{
	memcpy(header, "00-", 3);
	memcpy(header + TRACE_ID_AT, trace_id.ptr, TRACE_ID_LEN);
	header[PARENT_ID_AT - 1] = '-';
	memcpy(header + PARENT_ID_AT, own_id.ptr, TRACE_PARENT_ID_LEN);
	memcpy(header + FLAGS_AT - 1, sampled ? "-01" : "-00", 3);
}
