/*
 * text: a growable string with a maximum.
 *
 * Every string that grows with what comes from outside (answers, request bodies, table cells) is one of these, so that
 * nothing can take more memory than was meant for it. A failed append is remembered: callers append in a row
 * and look once. The bytes are always followed by a NUL. Not thread-safe.
 */
#ifndef PYGMY_CLIENT_TEXT_H
#define PYGMY_CLIENT_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
	char *bytes;                  /* NULL until the first append */
	size_t len;
	size_t capacity;
	size_t max_len;
	bool failed;                  /* an append did not fit or malloc failed; nothing is appended any more */
};

#define TEXT_INIT(max) ((struct text){ .max_len = (max) })

/* Frees the bytes; the text is empty and usable again, with the same maximum. */
void text_close(struct text *text);

/* Empties it and forgets a failure, keeps the memory. */
void text_clear(struct text *text);

/* Never NULL; valid until the next append, clear or close. */
const char *text_borrow(const struct text *text);

/* Errors: false when the maximum would be passed, malloc fails, or an earlier append failed. */
bool text_append(struct text *text, const void *bytes, size_t len);
bool text_append_string(struct text *text, const char *string);
bool text_append_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool text_append_vformat(struct text *text, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

/* Percent-encodes all but the unreserved characters of RFC 3986. Errors: as above. */
bool text_append_percent_encoded(struct text *text, const char *string);

#endif
