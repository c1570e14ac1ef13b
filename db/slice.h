/*
 * slice: bytes that somebody else owns, as (pointer, length).
 *
 * Whatever comes from outside (a parameter, a header, a log entry) is handled as a slice and never
 * assumed to end in NUL. A slice is valid as long as the memory it points into; it owns nothing.
 */
#ifndef PYGMY_DB_SLICE_H
#define PYGMY_DB_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE_EMPTY ((struct slice){ NULL, 0 })
#define SLICE_LITERAL(text) ((struct slice){ (text), sizeof(text) - 1 })

static inline struct slice slice_of(const char *text)
{
	return (struct slice){ text, text == NULL ? 0 : strlen(text) };
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

#endif
