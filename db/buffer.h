/*
 * buffer: bytes that grow up to a maximum.
 *
 * What is received or built piece by piece goes into one of these, so that nothing takes more memory than was meant for it.
 * A failed append is remembered: callers append in a row and look at `failed` once. Not thread-safe.
 */
#ifndef PYGMY_DB_BUFFER_H
#define PYGMY_DB_BUFFER_H

#include "db/slice.h"

struct buffer {
	char *bytes;                  /* NULL until the first append */
	size_t len;
	size_t capacity;
	size_t max_len;
	bool failed;                  /* an append did not fit, or there was no memory; nothing is appended any more */
};

static inline struct buffer buffer_of(size_t max_len)
{
	return (struct buffer){ .max_len = max_len };
}

/* Frees the bytes; the buffer is empty and usable again. */
void buffer_close(struct buffer *buffer);

/* Empties it and forgets a failure. Memory that one large use took is given back, small memory is kept. */
void buffer_clear(struct buffer *buffer);

/* Errors: false when the maximum would be passed, there is no memory, or an earlier append failed. */
bool buffer_append(struct buffer *buffer, struct slice bytes);
bool buffer_append_text(struct buffer *buffer, const char *text);
/* base64 with padding, as JSON's mapping of byte strings wants it. */
bool buffer_append_base64(struct buffer *buffer, struct slice bytes);
/* Room for len more bytes behind the present ones: NULL as in Errors. The caller adds to `len` what it wrote. */
char *buffer_reserve(struct buffer *buffer, size_t len);

/* Valid until the next call that changes the buffer. */
static inline struct slice buffer_borrow(const struct buffer *buffer)
{
	return (struct slice){ buffer->bytes, buffer->len };
}

#endif
