/* writer: a buffer that doubles; see writer.h. */
#include "fcgi/common/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/money.h"

#define FIRST_BYTES ((size_t)4096)
#define KEPT_BYTES ((size_t)64 * 1024)

void writer_init(struct writer *writer, size_t max_bytes)
{
	*writer = (struct writer){ .max_bytes = max_bytes };
}

void writer_close(struct writer *writer)
{
	free(writer->bytes);
	writer_init(writer, writer->max_bytes);
}

static bool make_room(struct writer *writer, size_t more)
{
	if (writer->failed)
		return false;
	if (more <= writer->size - writer->len)
		return true;
	if (more > writer->max_bytes - writer->len) {
		writer->failed = true;
		return false;
	}
	size_t size = writer->size > 0 ? writer->size : FIRST_BYTES;
	while (size < writer->len + more)
		size *= 2;
	if (size > writer->max_bytes)
		size = writer->max_bytes;
	char *bytes = realloc(writer->bytes, size);
	if (bytes == NULL) {
		writer->failed = true;
		return false;
	}
	writer->bytes = bytes;
	writer->size = size;
	return true;
}

void writer_reset(struct writer *writer, size_t len)
{
	if (writer->size > KEPT_BYTES)
		writer_close(writer);
	writer->failed = false;
	writer->len = 0;
	if (make_room(writer, len))
		writer->len = len;
}

void writer_put(struct writer *writer, struct slice text)
{
	if (text.len == 0 || !make_room(writer, text.len))
		return;
	memcpy(writer->bytes + writer->len, text.ptr, text.len);
	writer->len += text.len;
}

void writer_put_text(struct writer *writer, const char *text)
{
	writer_put(writer, slice_of(text));
}

void writer_put_uint(struct writer *writer, uint64_t number)
{
	char digits[20];
	size_t at = sizeof digits;
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	writer_put(writer, (struct slice){ digits + at, sizeof digits - at });
}

void writer_put_int(struct writer *writer, int64_t number)
{
	if (number < 0)
		writer_put_literal(writer, "-");
	writer_put_uint(writer, number < 0 ? UINT64_C(0) - (uint64_t)number : (uint64_t)number);
}

void writer_printf(struct writer *writer, const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (len < 0 || len >= (int)sizeof line)
		writer->failed = true;
	else
		writer_put(writer, (struct slice){ line, (size_t)len });
}

static void put_escape(struct writer *writer, unsigned char byte)
{
	static const char HEX[] = "0123456789abcdef";
	char escape[6] = { '\\', 'u', '0', '0', HEX[byte >> 4], HEX[byte & 15] };
	size_t len = 2;
	switch (byte) {
	case '"': escape[1] = '"'; break;
	case '\\': escape[1] = '\\'; break;
	case '\n': escape[1] = 'n'; break;
	case '\r': escape[1] = 'r'; break;
	case '\t': escape[1] = 't'; break;
	default: len = 6;
	}
	writer_put(writer, (struct slice){ escape, len });
}

void writer_put_json_string(struct writer *writer, struct slice text)
{
	writer_put_literal(writer, "\"");
	size_t plain = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.ptr[i];
		if (byte >= 0x20 && byte != '"' && byte != '\\')
			continue;
		writer_put(writer, (struct slice){ text.ptr + plain, i - plain });
		put_escape(writer, byte);
		plain = i + 1;
	}
	writer_put(writer, (struct slice){ text.ptr + plain, text.len - plain });
	writer_put_literal(writer, "\"");
}

void writer_put_money(struct writer *writer, int64_t minor)
{
	char text[MONEY_TEXT_MAX];
	writer_put(writer, (struct slice){ text, money_write(minor, text) });
}
