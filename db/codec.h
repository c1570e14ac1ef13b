/*
 * codec: numbers and texts as bytes, for the log's entries and the hashes.
 *
 * Unsigned LEB128 varints (shortest form only), zigzag for signed numbers, texts with their length in front. The
 * writer appends to a buffer of the caller and remembers when it did not fit; the reader never reads past its end and
 * remembers the first thing that was wrong. Check `ok` once, at the end.
 */
#ifndef PYGMY_DB_CODEC_H
#define PYGMY_DB_CODEC_H

#include <stdint.h>

#include "db/slice.h"

struct codec_writer {
	char *buf;
	size_t size;
	size_t len;
	bool ok;
};

struct codec_reader {
	const char *ptr;
	size_t left;
	bool ok;
};

#define VARINT_MAX_BYTES 10

static inline struct codec_writer codec_writer(void *buf, size_t size)
{
	return (struct codec_writer){ buf, size, 0, true };
}

static inline struct codec_reader codec_reader(struct slice bytes)
{
	return (struct codec_reader){ bytes.ptr, bytes.len, true };
}

void codec_put_bytes(struct codec_writer *writer, const void *bytes, size_t len);
void codec_put_uint(struct codec_writer *writer, uint64_t value);
void codec_put_int(struct codec_writer *writer, int64_t value);
void codec_put_text(struct codec_writer *writer, struct slice text);

/* After the first error they return 0 or an empty slice. Slices point into the reader's bytes. */
uint64_t codec_get_uint(struct codec_reader *reader);
int64_t codec_get_int(struct codec_reader *reader);
struct slice codec_get_bytes(struct codec_reader *reader, size_t len);
struct slice codec_get_text(struct codec_reader *reader, size_t max_len);

/* A number within [min, max], else the reader is not ok any more. */
int64_t codec_get_range(struct codec_reader *reader, int64_t min, int64_t max);

#endif
