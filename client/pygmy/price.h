/*
 * price: amounts are whole minor units in memory and decimal numbers in JSON and on the screen.
 */
#ifndef PYGMY_CLIENT_PRICE_H
#define PYGMY_CLIENT_PRICE_H

#include <jansson.h>
#include <stdint.h>

#include "client/pygmy/text.h"

/* A JSON number with at most two decimals, 0 to COST_MAX_MINOR. Errors: false. */
bool price_from_json(const json_t *number, int64_t *minor);

/* The same without the upper limit of a single item: totals. Errors: false. */
bool price_total_from_json(const json_t *number, int64_t *minor);

/* A decimal number as people write it: 10, 11.8, 11.85. Errors: false. */
bool price_parse(const char *text, int64_t *minor);

/* The shortest JSON number: 10, 11.8, 11.85. minor >= 0. */
void price_append_number(struct text *out, int64_t minor);

/* Always with two decimals: 10.00. */
void price_append_amount(struct text *out, int64_t minor);

#endif
