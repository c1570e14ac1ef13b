/*
 * envelope: the store's envelope `{"item"|"order":..., "message":..., "status":..., "validation_code":..., "code":..., "next":...}`.
 */
#ifndef PYGMY_CLIENT_ENVELOPE_H
#define PYGMY_CLIENT_ENVELOPE_H

#include <jansson.h>

#include "client/pygmy/http.h"

#define ENVELOPE_CODE_MAX_BYTES 64

/* The envelope as a new reference (json_decref). NULL when the body is no JSON object with a status. */
json_t *envelope_parse(const struct http_answer *answer);

/* The machine-readable code of a failure. False when there is none. */
bool envelope_code(const struct http_answer *answer, char out[ENVELOPE_CODE_MAX_BYTES + 1]);

/* Appends, safe for a terminal, what the answer says to people; when it says nothing, its HTTP status. */
void envelope_message(const struct http_answer *answer, struct text *out);

/* The payload named item or order as a list: borrowed from envelope, or NULL when it is not there. */
json_t *envelope_list(const json_t *envelope, const char *name);

/* What to pass as after (or before) for the next page, 0 when this was the last. */
json_int_t envelope_next(const json_t *envelope);

#endif
