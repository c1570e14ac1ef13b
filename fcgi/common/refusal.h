/*
 * refusal: why a request is not taken, found by a check that knows nothing of answers.
 *
 * Checks return false and fill one in; whoever called them makes it the answer. What a client wrote is only shown
 * through refusal_excerpt, cut short and without control characters.
 */
#ifndef PYGMY_FCGI_REFUSAL_H
#define PYGMY_FCGI_REFUSAL_H

#include "db/error.h"
#include "db/slice.h"

#define REFUSAL_TEXT_BYTES 256
#define REFUSAL_EXCERPT_BYTES 48

struct refusal {
	enum pygmy_error error;
	char text[REFUSAL_TEXT_BYTES];   /* UTF-8; empty: the error's own text */
};

/* Fills refusal in and returns false, so that a check can end with `return refuse(...)`. format NULL: the error's own text. */
bool refuse(struct refusal *refusal, enum pygmy_error error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The beginning of what a client wrote, fit for a message; in out, NUL-terminated. Returns out. */
const char *refusal_excerpt(struct slice written, char out[REFUSAL_EXCERPT_BYTES]);

#endif
