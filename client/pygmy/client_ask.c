/*
 * client_ask: one request of a command, and what its end means for the user.
 */
#include <stdio.h>
#include <string.h>

#include "client/pygmy/envelope.h"
#include "client/pygmy/client.h"
#include "client/pygmy/new_key.h"
#include "client/pygmy/wait.h"

#define MESSAGE_MAX_BYTES 4096

void reply_close(struct reply *reply)
{
	json_decref(reply->envelope);
	reply->envelope = NULL;
	http_answer_close(&reply->answer);
}

static void tell_retry(void *context, const char *reason, int64_t left_ms)
{
	const struct client *client = context;
	client_note(client, "no answer yet (%s); asking again with the same key for up to %lld s", reason, (long long)((left_ms + 999) / 1000));
}

struct retry_policy client_policy(const struct client *client, bool changes)
{
	int64_t deadline_ms = client->settings.timeout_ms > 0 ? client->settings.timeout_ms : CLIENT_TIMEOUT_MS;
	return (struct retry_policy){
		.deadline_ms = deadline_ms,
		.attempt_ms = CLIENT_ATTEMPT_MS,
		.rounds_max = changes ? 0 : CLIENT_READ_ROUNDS,
		.on_retry = changes ? tell_retry : NULL,
		.context = changes ? (void *)(uintptr_t)client : NULL,
	};
}

/* The request may have been executed: everything that is needed to find out. */
static enum outcome tell_unknown(const struct client *client, const struct http_answer *answer, const char *key, const char *again)
{
	(void)fprintf(stderr, "pygmy: the outcome is unknown: %s\n  It may have been done. Asking again with the same key never does it twice:\n    ",
		      answer->reason);
	if (again != NULL)
		(void)fprintf(stderr, "pygmy %s --key %s\n", again, key);
	else
		(void)fprintf(stderr, "the same command with --key %s\n", key);
	if (client->json)
		client_print_json_value(json_pack("{s:s, s:s, s:s, s:s}", "code", "outcome_unknown", "key", key, "message", answer->reason,
						  "status", "Unknown"));
	return OUTCOME_UNKNOWN;
}

static enum outcome tell_unavailable(const struct client *client, const struct http_answer *answer, bool changes)
{
	if (wait_is_interrupted())
		return client_fail(client, OUTCOME_INTERRUPTED, "interrupted", "stopped%s", changes ? "; nothing was done" : "");
	return client_fail(client, OUTCOME_UNAVAILABLE, "unavailable", "the store can't be reached: %s%s", answer->reason,
			   changes ? "; nothing was done" : "");
}

/* An answer that is no success. */
static enum outcome tell_answer(const struct client *client, const struct http_answer *answer)
{
	char code[ENVELOPE_CODE_MAX_BYTES + 1];
	struct text message = TEXT_INIT(MESSAGE_MAX_BYTES);
	json_t *envelope = envelope_parse(answer);
	if (envelope == NULL)
		return client_fail(client, OUTCOME_UNAVAILABLE, "not_a_store",
				   "HTTP status %ld without the store's JSON: is this the address of a Pygmy store?", answer->status);
	json_decref(envelope);
	envelope_message(answer, &message);
	bool refused = answer->status >= 400 && answer->status < 500;
	bool has_code = envelope_code(answer, code);
	(void)fprintf(stderr, "pygmy: %s: %s%s%s%s\n", refused ? "refused" : "the store failed", text_borrow(&message), has_code ? " (" : "",
		      code, has_code ? ")" : "");
	if (answer->status == 401)
		(void)fprintf(stderr, "  The token in %s is not this store's.\n", client->settings.token_file);
	if (client->json)
		client_print_json(answer);
	text_close(&message);
	return refused ? OUTCOME_REFUSED : OUTCOME_UNAVAILABLE;
}

enum outcome client_explain(const struct client *client, enum retry_end end, const struct http_answer *answer, const char *key,
			    const char *again)
{
	if (end == RETRY_ANSWERED)
		return tell_answer(client, answer);
	if (end == RETRY_UNKNOWN && key != NULL)
		return tell_unknown(client, answer, key, again);
	if (end == RETRY_UNKNOWN && answer->result == HTTP_ANSWERED)
		return tell_answer(client, answer);
	return tell_unavailable(client, answer, key != NULL);
}

enum outcome client_ask(struct client *client, const struct ask *ask, struct reply *reply)
{
	char made_key[NEW_KEY_BYTES];
	struct http_request request = ask->request;
	*reply = (struct reply){ .envelope = NULL };
	http_answer_init(&reply->answer);
	if (ask->changes && request.key == NULL) {
		if (!new_key_make(made_key))
			return client_fail(client, OUTCOME_LOCAL, "random", "the system gives no random numbers");
		request.key = made_key;
	}
	if (client->http == NULL && (client->http = http_create()) == NULL)
		return client_fail(client, OUTCOME_LOCAL, "out_of_memory", "out of memory");
	struct retry_policy policy = client_policy(client, ask->changes);
	enum retry_end end = retry_send(client->http, ask->urls, &request, &policy, &reply->answer);
	if (end == RETRY_ANSWERED && reply->answer.status >= 200 && reply->answer.status < 300)
		reply->envelope = envelope_parse(&reply->answer);
	if (reply->envelope != NULL)
		return OUTCOME_DONE;
	return client_explain(client, end, &reply->answer, request.key, ask->again);
}
