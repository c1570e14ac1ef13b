/*
 * text: grows by doubling up to its maximum; one byte more is kept for the NUL.
 */
#include "client/pygmy/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_FIRST_CAPACITY 64

void text_close(struct text *text)
{
	free(text->bytes);
	*text = TEXT_INIT(text->max_len);
}

void text_clear(struct text *text)
{
	text->len = 0;
	text->failed = false;
	if (text->bytes != NULL)
		text->bytes[0] = '\0';
}

const char *text_borrow(const struct text *text)
{
	return text->bytes == NULL ? "" : text->bytes;
}

/* Makes room for len more bytes and the NUL. */
static bool text_reserve(struct text *text, size_t len)
{
	if (text->failed)
		return false;
	if (len > text->max_len - text->len) {
		text->failed = true;
		return false;
	}
	size_t needed = text->len + len + 1;
	if (needed <= text->capacity)
		return true;
	size_t capacity = text->capacity == 0 ? TEXT_FIRST_CAPACITY : text->capacity;
	while (capacity < needed)
		capacity *= 2;
	if (capacity > text->max_len + 1)
		capacity = text->max_len + 1;
	char *bytes = realloc(text->bytes, capacity);
	if (bytes == NULL) {
		text->failed = true;
		return false;
	}
	text->bytes = bytes;
	text->capacity = capacity;
	return true;
}

bool text_append(struct text *text, const void *bytes, size_t len)
{
	if (!text_reserve(text, len))
		return false;
	if (len > 0)
		memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = '\0';
	return true;
}

bool text_append_string(struct text *text, const char *string)
{
	return text_append(text, string, strlen(string));
}

bool text_append_vformat(struct text *text, const char *format, va_list arguments)
{
	va_list again;
	va_copy(again, arguments);
	int len = vsnprintf(NULL, 0, format, arguments);
	bool done = len >= 0 && text_reserve(text, (size_t)len);
	if (done) {
		(void)vsnprintf(text->bytes + text->len, (size_t)len + 1, format, again);
		text->len += (size_t)len;
	} else {
		text->failed = true;
	}
	va_end(again);
	return done;
}

bool text_append_format(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	bool done = text_append_vformat(text, format, arguments);
	va_end(arguments);
	return done;
}

static bool is_unreserved(unsigned char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-' ||
	       byte == '.' || byte == '_' || byte == '~';
}

bool text_append_percent_encoded(struct text *text, const char *string)
{
	static const char hex[] = "0123456789ABCDEF";
	for (const char *at = string; *at != '\0'; at++) {
		unsigned char byte = (unsigned char)*at;
		const char encoded[3] = { '%', hex[byte >> 4], hex[byte & 15] };
		if (!(is_unreserved(byte) ? text_append(text, at, 1) : text_append(text, encoded, sizeof(encoded))))
			return false;
	}
	return !text->failed;
}
