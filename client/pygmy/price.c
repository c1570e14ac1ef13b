/*
 * price: the only place that meets floating point, and leaves it at once.
 */
#include "client/pygmy/price.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "client/pygmy/args.h"
#include "db/limits.h"

/* Up to here every amount is the double nearest to it, and to no other. */
#define PRICE_EXACT_MAX_MINOR (INT64_C(1) << 49)

bool price_total_from_json(const json_t *number, int64_t *minor)
{
	if (json_is_integer(number)) {
		json_int_t whole = json_integer_value(number);
		if (whole < 0 || whole > INT64_MAX / 100)
			return false;
		*minor = whole * 100;
		return true;
	}
	if (!json_is_real(number))
		return false;
	double value = json_real_value(number);
	if (!(value >= 0 && value <= (double)(PRICE_EXACT_MAX_MINOR / 100)))
		return false;
	*minor = (int64_t)llround(value * 100);
	return (double)*minor / 100 == value;
}

bool price_from_json(const json_t *number, int64_t *minor)
{
	return price_total_from_json(number, minor) && *minor <= COST_MAX_MINOR;
}

bool price_parse(const char *text, int64_t *minor)
{
	char whole_digits[16];
	size_t whole_len = strcspn(text, ".");
	size_t decimals = text[whole_len] == '.' ? strlen(text + whole_len + 1) : 0;
	int64_t whole, fraction = 0;
	if (whole_len >= sizeof(whole_digits) || (text[whole_len] == '.' && (decimals < 1 || decimals > 2)))
		return false;
	memcpy(whole_digits, text, whole_len);
	whole_digits[whole_len] = '\0';
	if (!args_parse_integer(whole_digits, 0, COST_MAX_MINOR / 100, &whole) || whole_digits[0] == '-')
		return false;
	if (decimals > 0 && (!args_parse_integer(text + whole_len + 1, 0, 99, &fraction) || text[whole_len + 1] == '-'))
		return false;
	*minor = whole * 100 + (decimals == 1 ? fraction * 10 : fraction);
	return *minor <= COST_MAX_MINOR;
}

void price_append_number(struct text *out, int64_t minor)
{
	if (minor % 100 == 0)
		text_append_format(out, "%" PRId64, minor / 100);
	else if (minor % 10 == 0)
		text_append_format(out, "%" PRId64 ".%" PRId64, minor / 100, minor % 100 / 10);
	else
		price_append_amount(out, minor);
}

void price_append_amount(struct text *out, int64_t minor)
{
	text_append_format(out, "%" PRId64 ".%02" PRId64, minor / 100, minor % 100);
}
