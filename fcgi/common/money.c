/* money: see money.h. */
#include "fcgi/common/money.h"

#include <math.h>

#include "db/limits.h"

bool money_from_integer(int64_t units, int64_t *minor)
{
	if (units < 0 || units > COST_MAX_MINOR / 100)
		return false;
	*minor = units * 100;
	return true;
}

bool money_from_real(double units, int64_t *minor)
{
	if (!(units >= 0 && units <= (double)(COST_MAX_MINOR / 100)))
		return false;
	int64_t nearest = llround(units * 100);
	/* Both sides are correctly rounded: the strtod of "11.85" and the quotient 1185 / 100 are the same double. */
	double back = (double)nearest / 100;
	if (back < units || back > units || nearest > COST_MAX_MINOR)
		return false;
	*minor = nearest;
	return true;
}
