/*
 * writer: text that grows up to a maximum: the body of an answer (JSON, metrics) and its head.
 *
 * A write that does not fit or finds no memory marks the writer as failed and writes nothing more; whoever sends the
 * text looks at `failed` once. The memory is kept between requests of a thread, unless an answer was unusually large.
 * One thread at a time.
 */
#ifndef PYGMY_FCGI_WRITER_H
#define PYGMY_FCGI_WRITER_H

#include <stdint.h>

#include "db/slice.h"

struct writer {
	char *bytes;
	size_t len;
	size_t size;
	size_t max_bytes;
	bool failed;
};

void writer_init(struct writer *writer, size_t max_bytes);
void writer_close(struct writer *writer);

/* Starts again at len, which leaves so many bytes in front for whoever fills them in later (an answer's head). */
void writer_reset(struct writer *writer, size_t len);

void writer_put(struct writer *writer, struct slice text);
void writer_put_text(struct writer *writer, const char *text);
void writer_put_int(struct writer *writer, int64_t number);
void writer_put_uint(struct writer *writer, uint64_t number);
void writer_printf(struct writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes. text must be UTF-8. */
void writer_put_json_string(struct writer *writer, struct slice text);

/* Minor units as a JSON number with as few decimals as it needs: 10, 11.5, 11.85. */
void writer_put_money(struct writer *writer, int64_t minor);

/* For string literals: no strlen at run time. */
#define writer_put_literal(writer, literal) writer_put((writer), SLICE_LITERAL(literal))

#endif
