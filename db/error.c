/* error: the table of error.h as lookups. */
#include "db/error.h"

struct error_row {
	int value;
	const char *code;
	int http;
	const char *text;
};

static const struct error_row rows[] = {
#define X(value, name, code, http, text) { (value), (code), (http), (text) },
	PYGMY_ERRORS(X)
#undef X
};

static const struct error_row *find(int value)
{
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].value == value)
			return &rows[i];
	return 0;
}

static const struct error_row *find_or_internal(enum pygmy_error error)
{
	const struct error_row *row = find((int)error);
	return row != 0 ? row : find(PYGMY_INTERNAL);
}

const char *error_code(enum pygmy_error error)
{
	return find_or_internal(error)->code;
}

const char *error_text(enum pygmy_error error)
{
	return find_or_internal(error)->text;
}

int error_http_status(enum pygmy_error error)
{
	return find_or_internal(error)->http;
}

int error_is_known(int value)
{
	return find(value) != 0;
}
