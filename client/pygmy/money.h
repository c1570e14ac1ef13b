/*
 * money: amounts are whole minor units in memory and decimal numbers in JSON and on the screen.
 */
#ifndef PYGMY_CLIENT_MONEY_H
#define PYGMY_CLIENT_MONEY_H

#include <jansson.h>
#include <stdint.h>

#include "client/pygmy/text.h"

/* A JSON number with at most two decimals, 0 to COST_MAX_MINOR. Errors: false. */
bool money_from_json(const json_t *number, int64_t *minor);

/* A decimal number as people write it: 10, 11.8, 11.85. Errors: false. */
bool money_parse(const char *text, int64_t *minor);

/* The shortest JSON number: 10, 11.8, 11.85. minor >= 0. */
void money_append_number(struct text *out, int64_t minor);

/* Always with two decimals: 10.00. */
void money_append_amount(struct text *out, int64_t minor);

#endif
