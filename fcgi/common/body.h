/*
 * body: JSON request bodies against a table of the fields that a route takes.
 *
 * Strict: no unknown, duplicate or null fields, no wrong types (1.0 is no whole number), no NUL, no control characters in
 * texts, nesting up to JSON_DEPTH_MAX (checked before anything is parsed). Messages name the field.
 */
#ifndef PYGMY_FCGI_BODY_H
#define PYGMY_FCGI_BODY_H

#include <jansson.h>
#include <stdint.h>

#include "fcgi/common/refusal.h"

enum body_type { BODY_INT, BODY_MONEY, BODY_TEXT, BODY_BOOL, BODY_LIST };

struct body_field {
	const char *name;
	enum body_type type;
	bool required;
	int64_t min;                  /* BODY_INT: of the value. Others: unused */
	int64_t max;                  /* BODY_INT: of the value; BODY_TEXT: of the length in bytes */
};

struct body_value {
	bool present;
	int64_t number;               /* BODY_INT; BODY_MONEY in minor units; BODY_BOOL 0 or 1 */
	struct slice text;            /* BODY_TEXT; borrowed from the document */
	const json_t *list;           /* BODY_LIST; borrowed from the document */
};

/*
 * Parses a document whose root is an object; json_decref it when done. NULL with the refusal filled in. Errors: BODY_REQUIRED
 * (nothing but white space), BAD_JSON, OUT_OF_MEMORY.
 */
json_t *body_parse(struct slice text, struct refusal *refusal);

/*
 * Reads an object's fields into values[0..field_count). where is put in front of field names in messages ("items[3]."), or "".
 * Errors: UNKNOWN_FIELD, MISSING_FIELD, INVALID_FIELD.
 */
bool body_read(const json_t *object, const char *where, const struct body_field *fields, size_t field_count, struct body_value *values,
	struct refusal *refusal);

#endif
