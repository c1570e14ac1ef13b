/* line_buffer: see line_buffer.h. No byte is searched twice, and the rest of a piece is moved once. */
#include "db/line_buffer.h"

struct line_buffer line_buffer_of(size_t line_max, size_t piece_max)
{
	return (struct line_buffer){ .bytes = buffer_of(line_max + 1 + piece_max), .line_max = line_max };
}

void line_buffer_close(struct line_buffer *lines)
{
	buffer_close(&lines->bytes);
	lines->start = lines->searched = 0;
}

void line_buffer_clear(struct line_buffer *lines)
{
	buffer_clear(&lines->bytes);
	lines->start = lines->searched = 0;
}

bool line_buffer_has_line(struct line_buffer *lines)
{
	struct buffer *bytes = &lines->bytes;
	if (lines->searched == bytes->len)
		return false;
	const char *end = memchr(bytes->bytes + lines->searched, '\n', bytes->len - lines->searched);
	/* When there is one, `searched` stays at it. */
	lines->searched = end != NULL ? (size_t)(end - bytes->bytes) : bytes->len;
	return end != NULL;
}

bool line_buffer_add(struct line_buffer *lines, struct slice piece)
{
	struct buffer *bytes = &lines->bytes;
	size_t rest = bytes->len - lines->start;
	if (lines->start > 0 && rest > 0)
		memmove(bytes->bytes, bytes->bytes + lines->start, rest);
	lines->searched -= lines->start;
	lines->start = 0;
	bytes->len = rest;
	if (rest == 0)
		buffer_clear(bytes);
	return buffer_append(bytes, piece) && (line_buffer_has_line(lines) ? lines->searched : bytes->len) <= lines->line_max;
}

bool line_buffer_take(struct line_buffer *lines, struct slice *line)
{
	if (!line_buffer_has_line(lines))
		return false;
	*line = (struct slice){ lines->bytes.bytes + lines->start, lines->searched - lines->start };
	lines->start = lines->searched = lines->searched + 1;
	return true;
}

struct slice line_buffer_rest(const struct line_buffer *lines)
{
	if (lines->bytes.len == 0)
		return SLICE_EMPTY;
	return (struct slice){ lines->bytes.bytes + lines->start, lines->bytes.len - lines->start };
}
