/*
 * envelope: looks into the envelope; whatever is missing or of another type reads as "not there".
 */
#include "client/pygmy/envelope.h"

#include <string.h>

#include "client/pygmy/safe_text.h"

json_t *envelope_parse(const struct http_answer *answer)
{
	json_t *envelope = json_loadb(text_borrow(&answer->body), answer->body.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(envelope) || !json_is_string(json_object_get(envelope, "status"))) {
		json_decref(envelope);
		return NULL;
	}
	return envelope;
}

bool envelope_code(const struct http_answer *answer, char out[ENVELOPE_CODE_MAX_BYTES + 1])
{
	json_t *envelope = envelope_parse(answer);
	const char *code = json_string_value(json_object_get(envelope, "code"));
	bool good = code != NULL && code[0] != '\0' && strlen(code) <= ENVELOPE_CODE_MAX_BYTES &&
		    strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(code);
	if (good)
		memcpy(out, code, strlen(code) + 1);
	else
		out[0] = '\0';
	json_decref(envelope);
	return good;
}

void envelope_message(const struct http_answer *answer, struct text *out)
{
	json_t *envelope = envelope_parse(answer);
	const json_t *message = json_object_get(envelope, "message");
	if (json_is_string(message) && json_string_length(message) > 0)
		(void)safe_text_append(out, json_string_value(message), json_string_length(message));
	else
		(void)text_append_format(out, "it answered with HTTP status %ld", answer->status);
	json_decref(envelope);
}

json_t *envelope_list(const json_t *envelope, const char *name)
{
	json_t *list = json_object_get(envelope, name);
	return json_is_array(list) ? list : NULL;
}

json_int_t envelope_next(const json_t *envelope)
{
	json_int_t next = json_integer_value(json_object_get(envelope, "next"));
	return next > 0 ? next : 0;
}
