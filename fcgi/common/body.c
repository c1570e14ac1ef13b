/* body: see body.h. */
#include "fcgi/common/body.h"

#include <inttypes.h>

#include "db/catalogue_file.h"
#include "db/limits.h"
#include "db/money.h"

/* Looks at brackets outside of strings only; whether the text is JSON at all is the parser's business. */
static bool is_too_deep(struct slice text)
{
	int depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if ((c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
			return true;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return false;
}

static bool is_blank(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (memchr(" \t\r\n", text.ptr[i], 4) == NULL)
			return false;
	return true;
}

static bool refuse_json(struct refusal *refusal, const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_out_of_memory:
		return refuse(refusal, PYGMY_OUT_OF_MEMORY, NULL);
	case json_error_invalid_utf8:
		return refuse(refusal, PYGMY_BAD_JSON, "The body is not valid UTF-8.");
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return refuse(refusal, PYGMY_BAD_JSON, "The body has a NUL character in a text.");
	case json_error_duplicate_key:
		return refuse(refusal, PYGMY_BAD_JSON, "The body has a field twice (line %d, column %d).", error->line, error->column);
	case json_error_numeric_overflow:
		return refuse(refusal, PYGMY_BAD_JSON, "The body has a number that is too large (line %d, column %d).", error->line, error->column);
	default:
		return refuse(refusal, PYGMY_BAD_JSON, "The body is not well-formed JSON (line %d, column %d).", error->line, error->column);
	}
}

json_t *body_parse(struct slice text, struct refusal *refusal)
{
	json_error_t error;
	json_t *root = NULL;
	if (is_blank(text)) {
		refuse(refusal, PYGMY_BODY_REQUIRED, NULL);
	} else if (memchr(text.ptr, '\0', text.len) != NULL) {
		/* jansson skips one behind a number. */
		refuse(refusal, PYGMY_BAD_JSON, "The body has a NUL byte.");
	} else if (is_too_deep(text)) {
		refuse(refusal, PYGMY_BAD_JSON, "The body is nested deeper than %d levels.", JSON_DEPTH_MAX);
	} else if ((root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error)) == NULL) {
		refuse_json(refusal, &error);
	} else if (!json_is_object(root)) {
		json_decref(root);
		root = NULL;
		refuse(refusal, PYGMY_BAD_JSON, "The body must be a JSON object.");
	}
	return root;
}

static bool refuse_value(struct refusal *refusal, const char *where, const struct body_field *field)
{
	switch (field->type) {
	case BODY_INT:
		return refuse(refusal, PYGMY_INVALID_FIELD, "The field %s%s must be a whole number from %" PRId64 " to %" PRId64 ".",
			where, field->name, field->min, field->max);
	case BODY_MONEY:
		return refuse(refusal, PYGMY_INVALID_FIELD, "The field %s%s must be a number from 0 to %" PRId64 " with at most two decimals.",
			where, field->name, COST_MAX_MINOR / 100);
	case BODY_TEXT:
		return refuse(refusal, PYGMY_INVALID_FIELD, "The field %s%s must be a text of 1 to %" PRId64
			" bytes without control characters.", where, field->name, field->max);
	case BODY_BOOL:
		return refuse(refusal, PYGMY_INVALID_FIELD, "The field %s%s must be true or false.", where, field->name);
	case BODY_LIST:
		return refuse(refusal, PYGMY_INVALID_FIELD, "The field %s%s must be a list.", where, field->name);
	}
	return refuse(refusal, PYGMY_INVALID_FIELD, NULL);
}

static bool read_value(const json_t *json, const struct body_field *field, struct body_value *value)
{
	switch (field->type) {
	case BODY_INT:
		value->number = json_integer_value(json);
		return json_is_integer(json) && value->number >= field->min && value->number <= field->max;
	case BODY_MONEY:
		return money_of_json(json, &value->number);
	case BODY_TEXT:
		value->text = (struct slice){ json_string_value(json), json_string_length(json) };
		return json_is_string(json) && catalogue_text_is_valid(value->text, (size_t)field->max);
	case BODY_BOOL:
		value->number = json_is_true(json);
		return json_is_boolean(json);
	case BODY_LIST:
		value->list = json;
		return json_is_array(json);
	}
	return false;
}

static const struct body_field *find_field(const struct body_field *fields, size_t field_count, const char *name)
{
	for (size_t i = 0; i < field_count; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

bool body_read(const json_t *object, const char *where, const struct body_field *fields, size_t field_count, struct body_value *values,
	struct refusal *refusal)
{
	memset(values, 0, field_count * sizeof *values);
	if (!json_is_object(object))
		return refuse(refusal, PYGMY_INVALID_FIELD, "%.*s must be an object.", (int)strcspn(where, "."), where);
	const char *name;
	json_t *json;
	json_object_foreach((json_t *)(uintptr_t)object, name, json) {
		const struct body_field *field = find_field(fields, field_count, name);
		char excerpt[REFUSAL_EXCERPT_BYTES];
		if (field == NULL)
			return refuse(refusal, PYGMY_UNKNOWN_FIELD, "The field %s%s is not known here.", where,
				refusal_excerpt(slice_of(name), excerpt));
		struct body_value *value = &values[field - fields];
		if (!read_value(json, field, value))
			return refuse_value(refusal, where, field);
		value->present = true;
	}
	for (size_t i = 0; i < field_count; i++)
		if (fields[i].required && !values[i].present)
			return refuse(refusal, PYGMY_MISSING_FIELD, "The field %s%s is missing.", where, fields[i].name);
	return true;
}
