/* refusal: see refusal.h. */
#include "fcgi/common/refusal.h"

#include <stdarg.h>
#include <stdio.h>

/* The largest length up to len at which bytes is not cut inside a UTF-8 sequence. */
static size_t whole_characters(const char *bytes, size_t len)
{
	size_t start = len;
	while (start > 0 && len - start < 4) {
		unsigned char byte = (unsigned char)bytes[--start];
		if ((byte & 0xc0) == 0x80)
			continue;
		size_t width = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
		return start + width <= len ? len : start;
	}
	return start;
}

bool refuse(struct refusal *refusal, enum pygmy_error error, const char *format, ...)
{
	refusal->error = error;
	refusal->text[0] = '\0';
	if (format == NULL)
		return false;
	va_list args;
	va_start(args, format);
	int len = vsnprintf(refusal->text, sizeof refusal->text, format, args);
	va_end(args);
	if (len >= (int)sizeof refusal->text)
		refusal->text[whole_characters(refusal->text, sizeof refusal->text - 1)] = '\0';
	return false;
}

const char *refusal_excerpt(struct slice written, char out[REFUSAL_EXCERPT_BYTES])
{
	static const char DOTS[] = "...";
	size_t room = REFUSAL_EXCERPT_BYTES - sizeof DOTS;
	size_t len = written.len <= room ? written.len : whole_characters(written.ptr, room);
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)written.ptr[i];
		out[i] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
	}
	out[len] = '\0';
	if (len < written.len)
		memcpy(out + len, DOTS, sizeof DOTS);
	return out;
}
