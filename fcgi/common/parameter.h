/*
 * parameter: typed values out of the query string and the path. Messages name the parameter.
 *
 * Ids and numbers are decimal, without sign and without leading zeros, so that one resource has one spelling.
 */
#ifndef PYGMY_FCGI_PARAMETER_H
#define PYGMY_FCGI_PARAMETER_H

#include "fcgi/common/request.h"

/* Every parameter must be one of names (NULL-terminated list) and come once. Errors: UNKNOWN_PARAMETER, REPEATED_PARAMETER. */
bool parameters_check(const struct query_string *query, const char *const *names, struct refusal *refusal);

/* The value, or NULL when the parameter is not there. Borrowed from the query. */
const struct slice *parameter_find(const struct query_string *query, const char *name);

/* A number in min..max, fallback when it is not there. Errors: EMPTY_PARAMETER, INVALID_PARAMETER. */
bool parameter_int(const struct query_string *query, const char *name, int64_t min, int64_t max, int64_t fallback, int64_t *value,
	struct refusal *refusal);

/* The same for a text that must be there. Errors: MISSING_PARAMETER and those above. */
bool parameter_required_int(const struct query_string *query, const char *name, int64_t min, int64_t max, int64_t *value,
	struct refusal *refusal);

/* 1 to max_bytes. value->ptr is NULL when it is not there. Errors: EMPTY_PARAMETER, INVALID_PARAMETER. */
bool parameter_text(const struct query_string *query, const char *name, size_t max_bytes, struct slice *value, struct refusal *refusal);

/* The {id} of the path. Errors: INVALID_PARAMETER. */
bool parameter_path_id(const struct request *request, int64_t *id, struct refusal *refusal);

#endif
