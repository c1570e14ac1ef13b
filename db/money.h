/*
 * money: integer minor units (hundredths) here, a JSON number (`10`, `11.85`) outside.
 */
#ifndef PYGMY_DB_MONEY_H
#define PYGMY_DB_MONEY_H

#include <jansson.h>
#include <stdint.h>

#include "db/slice.h"

#define MONEY_TEXT_MAX 24

/* Writes minor units without trailing zeros behind the point: 1000 is `10`, 1185 `11.85`, 1050 `10.5`. Returns the length. */
size_t money_write(int64_t minor, char out[MONEY_TEXT_MAX]);

/*
 * Minor units of a JSON number. False unless it is a number from 0 to COST_MAX_MINOR with at most two decimals. (jansson gives
 * a double; the nearest hundredth must be that very double.)
 */
bool money_of_json(const json_t *number, int64_t *minor);

#endif
