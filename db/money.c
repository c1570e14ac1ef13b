/* money: see money.h. */
#include "db/money.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "db/limits.h"

size_t money_write(int64_t minor, char out[MONEY_TEXT_MAX])
{
	int64_t whole = minor / 100, hundredths = minor % 100;
	int len;
	if (hundredths == 0)
		len = snprintf(out, MONEY_TEXT_MAX, "%" PRId64, whole);
	else if (hundredths % 10 == 0)
		len = snprintf(out, MONEY_TEXT_MAX, "%" PRId64 ".%" PRId64, whole, hundredths / 10);
	else
		len = snprintf(out, MONEY_TEXT_MAX, "%" PRId64 ".%02" PRId64, whole, hundredths);
	return (size_t)len;
}

bool money_of_json(const json_t *number, int64_t *minor)
{
	if (json_is_integer(number)) {
		json_int_t whole = json_integer_value(number);
		if (whole < 0 || whole > COST_MAX_MINOR / 100)
			return false;
		*minor = whole * 100;
		return true;
	}
	if (!json_is_real(number))
		return false;
	double value = json_real_value(number);
	if (!(value >= 0 && value <= (double)(COST_MAX_MINOR / 100)) || signbit(value))
		return false;
	int64_t nearest = llround(value * 100);
	*minor = nearest;
	return (double)nearest / 100 == value;
}
