/*
 * money: JSON numbers to minor units, without rounding.
 *
 * A number with more than two decimals is refused, not rounded. A JSON parser gives a binary fraction, so 11.85
 * arrives as the double nearest to it: it counts as an amount when it is exactly the double nearest to some
 * whole number of minor units. Up to COST_MAX_MINOR every amount has a double of its own.
 */
#ifndef PYGMY_FCGI_MONEY_H
#define PYGMY_FCGI_MONEY_H

#include <stdbool.h>
#include <stdint.h>

/* Whole units. False outside of 0 to COST_MAX_MINOR. */
bool money_from_integer(int64_t units, int64_t *minor);

/* False outside of 0 to COST_MAX_MINOR, for more than two decimals, infinities and NaN. */
bool money_from_real(double units, int64_t *minor);

#endif
