/*
 * query_string: splits and decodes `a=1&b=two%20words` (application/x-www-form-urlencoded, WHATWG URL, section 5).
 *
 * The workers take their parameters from it, and nginx's library builds cache keys from it: what is
 * one resource for the one is the same resource for the other.
 *
 * Strict where the outside is sloppy: a `%` without two hex digits, a NUL byte, or a name or value that is not
 * UTF-8 is an error, not a guess. Empty pairs (`a=1&&b=2`) are errors too. No allocation beyond the caller's buffer.
 */
#ifndef PYGMY_DB_QUERY_STRING_H
#define PYGMY_DB_QUERY_STRING_H

#include "db/limits.h"
#include "db/slice.h"

enum query_string_error {
	QUERY_STRING_OK = 0,
	QUERY_STRING_TOO_LONG,        /* longer than QUERY_STRING_MAX_BYTES */
	QUERY_STRING_TOO_MANY,        /* more than QUERY_PARAMS_MAX pairs */
	QUERY_STRING_BAD_ENCODING,    /* percent sign without two hex digits, or NUL */
	QUERY_STRING_BAD_UTF8,
	QUERY_STRING_EMPTY_PAIR       /* `&&`, a leading or trailing `&`, or an empty name */
};

struct query_param {
	struct slice name;
	struct slice value;           /* empty for `a=` and for `a` */
};

struct query_string {
	size_t count;
	struct query_param params[QUERY_PARAMS_MAX];
	char decoded[QUERY_STRING_MAX_BYTES];   /* what the slices point into */
};

/* Decodes text into out. The slices in out point into out itself: do not copy the struct. Errors: all above. */
enum query_string_error query_string_parse(struct slice text, struct query_string *out);

/* True when bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool utf8_is_valid(struct slice bytes);

#endif
