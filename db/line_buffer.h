/*
 * line_buffer: bytes as they come from a stream, given out again line by line.
 *
 * A line may have so many bytes as the maximum says; nothing else bounds what is added but the caller, who adds no more
 * while a whole line waits. Not thread-safe.
 */
#ifndef PYGMY_DB_LINE_BUFFER_H
#define PYGMY_DB_LINE_BUFFER_H

#include "db/buffer.h"

struct line_buffer {
	struct buffer bytes;
	size_t start;                 /* of the first line that was not taken */
	size_t searched;              /* up to here there is no end of that line */
	size_t line_max;
};

/* Room for a line of line_max bytes and a piece of the next, of piece_max bytes, that came with its end. */
struct line_buffer line_buffer_of(size_t line_max, size_t piece_max);
void line_buffer_close(struct line_buffer *lines);
void line_buffer_clear(struct line_buffer *lines);

/* Whether a whole line waits. */
bool line_buffer_has_line(struct line_buffer *lines);

/* Slices that were taken are invalid now. Errors: false when a line gets too long, or without memory. */
bool line_buffer_add(struct line_buffer *lines, struct slice piece);

/* The next whole line, without its end; valid until something is added. False: there is none. */
bool line_buffer_take(struct line_buffer *lines, struct slice *line);

/* What came behind the last whole line; valid likewise. */
struct slice line_buffer_rest(const struct line_buffer *lines);

#endif
