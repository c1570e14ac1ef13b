/* parameter: see parameter.h. */
#include "fcgi/common/parameter.h"

#include <inttypes.h>

bool parameters_check(const struct query_string *query, const char *const *names, struct refusal *refusal)
{
	char excerpt[REFUSAL_EXCERPT_BYTES];
	for (size_t i = 0; i < query->count; i++) {
		struct slice name = query->params[i].name;
		bool known = false;
		for (const char *const *one = names; one != NULL && *one != NULL; one++)
			known = known || slice_equal(name, slice_of(*one));
		if (!known)
			return refuse(refusal, PYGMY_UNKNOWN_PARAMETER, "The parameter %s is not known here.", refusal_excerpt(name, excerpt));
		for (size_t j = 0; j < i; j++)
			if (slice_equal(name, query->params[j].name))
				return refuse(refusal, PYGMY_REPEATED_PARAMETER, "The parameter %s is given more than once.",
					refusal_excerpt(name, excerpt));
	}
	return true;
}

const struct slice *parameter_find(const struct query_string *query, const char *name)
{
	for (size_t i = 0; i < query->count; i++)
		if (slice_equal(query->params[i].name, slice_of(name)))
			return &query->params[i].value;
	return NULL;
}

static bool parse_int(struct slice text, const char *name, int64_t min, int64_t max, int64_t *value, struct refusal *refusal)
{
	uint64_t number = 0;
	if (text.len == 0)
		return refuse(refusal, PYGMY_EMPTY_PARAMETER, "The parameter %s is empty.", name);
	if (!decimal_parse(text, (uint64_t)max, &number) || number < (uint64_t)min)
		return refuse(refusal, PYGMY_INVALID_PARAMETER,
			"The parameter %s must be a whole number from %" PRId64 " to %" PRId64 ", without sign or leading zeros.", name, min, max);
	*value = (int64_t)number;
	return true;
}

bool parameter_int(const struct query_string *query, const char *name, int64_t min, int64_t max, int64_t fallback, int64_t *value,
	struct refusal *refusal)
{
	const struct slice *text = parameter_find(query, name);
	if (text != NULL)
		return parse_int(*text, name, min, max, value, refusal);
	*value = fallback;
	return true;
}

bool parameter_required_int(const struct query_string *query, const char *name, int64_t min, int64_t max, int64_t *value,
	struct refusal *refusal)
{
	const struct slice *text = parameter_find(query, name);
	if (text == NULL)
		return refuse(refusal, PYGMY_MISSING_PARAMETER, "The parameter %s is missing.", name);
	return parse_int(*text, name, min, max, value, refusal);
}

bool parameter_text(const struct query_string *query, const char *name, size_t max_bytes, struct slice *value, struct refusal *refusal)
{
	const struct slice *text = parameter_find(query, name);
	*value = SLICE_EMPTY;
	if (text == NULL)
		return true;
	if (text->len == 0)
		return refuse(refusal, PYGMY_EMPTY_PARAMETER, "The parameter %s is empty.", name);
	if (text->len > max_bytes)
		return refuse(refusal, PYGMY_INVALID_PARAMETER, "The parameter %s is longer than %zu bytes.", name, max_bytes);
	*value = *text;
	return true;
}

bool parameter_path_id(const struct request *request, int64_t *id, struct refusal *refusal)
{
	uint64_t number = 0;
	if (!decimal_parse(request->path_id, (uint64_t)ID_MAX, &number) || number == 0)
		return refuse(refusal, PYGMY_INVALID_PARAMETER,
			"The id in the path must be a whole number from 1 to %" PRId64 ", without sign or leading zeros.", ID_MAX);
	*id = (int64_t)number;
	return true;
}
