/*
 * retry: the loop, and what each kind of answer tells about the request.
 */
#include "client/pygmy/retry.h"

#include <stdio.h>
#include <string.h>

#include "client/pygmy/envelope.h"
#include "client/pygmy/safe_text.h"
#include "client/pygmy/wait.h"

#define RETRY_FIRST_DELAY_MS 100
#define RETRY_DELAY_MAX_MS 1000

/* What may be another answer soon. */
static bool is_passing(long status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

/*
 * Whether the attempt may have been executed. A 503 with a code of the store says that nothing was done, unless the
 * code is outcome_unknown, and so does a 429; a 502, 504 or a 503 without a code comes from something in between, which can't know.
 */
static bool may_be_done(const struct http_answer *answer)
{
	char code[ENVELOPE_CODE_MAX_BYTES + 1];
	if (answer->result != HTTP_ANSWERED)
		return answer->result == HTTP_LOST;
	if (answer->status != 503)
		return answer->status != 429 && is_passing(answer->status);
	return !envelope_code(answer, code) || strcmp(code, "outcome_unknown") == 0;
}

/* Answers that a person has to do something about: nothing was done, and asking again soon gives the same. */
static bool is_lasting(const struct http_answer *answer)
{
	static const char *const codes[] = { "storage_full", "storage_corrupt", "incompatible" };
	char code[ENVELOPE_CODE_MAX_BYTES + 1];
	if (!envelope_code(answer, code))
		return false;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(code, codes[i]) == 0)
			return true;
	}
	return false;
}

/* The reason of the last failure in words, also for an answer that is one. */
static void describe(struct http_answer *answer)
{
	if (answer->result != HTTP_ANSWERED)
		return;
	struct text message = TEXT_INIT(HTTP_REASON_MAX_BYTES - 1);
	envelope_message(answer, &message);
	(void)snprintf(answer->reason, sizeof(answer->reason), "%s", text_borrow(&message));
	text_close(&message);
}

struct retry_state {
	int64_t deadline_ms;          /* on wait's clock */
	int64_t delay_ms;
	unsigned attempts;
	bool maybe_done;
};

/* One attempt; true when it settled the matter. */
static bool attempt(struct http *http, const struct settings_urls *urls, const struct http_request *request,
		    const struct retry_policy *policy, struct http_answer *answer, struct retry_state *state)
{
	int64_t left_ms = state->deadline_ms - wait_now_ms();
	int64_t timeout_ms = left_ms < policy->attempt_ms ? left_ms : policy->attempt_ms;
	http_send(http, urls->url[state->attempts % urls->count], request, timeout_ms, answer);
	state->attempts++;
	if (answer->result == HTTP_ANSWERED && !is_passing(answer->status))
		return true;
	if (answer->result == HTTP_ANSWERED && !state->maybe_done && is_lasting(answer))
		return true;
	state->maybe_done = state->maybe_done || may_be_done(answer);
	describe(answer);
	return answer->result == HTTP_IMPOSSIBLE;
}

/* Waits before the next round of servers. False when there shall be none. */
static bool pause_between(const struct settings_urls *urls, const struct retry_policy *policy, const struct http_answer *answer,
			  struct retry_state *state)
{
	if (wait_is_interrupted())
		return false;
	int64_t left_ms = state->deadline_ms - wait_now_ms();
	if (left_ms <= 0)
		return false;
	if (state->attempts % urls->count != 0)
		return true;
	if (policy->rounds_max != 0 && state->attempts / urls->count >= policy->rounds_max)
		return false;
	int64_t delay_ms = answer->retry_after_ms > state->delay_ms ? answer->retry_after_ms : state->delay_ms;
	if (delay_ms >= left_ms)
		return false;
	if (state->attempts == urls->count && policy->on_retry != NULL)
		policy->on_retry(policy->context, answer->reason, left_ms);
	wait_for_ms(delay_ms);
	state->delay_ms = state->delay_ms * 2 < RETRY_DELAY_MAX_MS ? state->delay_ms * 2 : RETRY_DELAY_MAX_MS;
	return !wait_is_interrupted();
}

enum retry_end retry_send(struct http *http, const struct settings_urls *urls, const struct http_request *request,
			  const struct retry_policy *policy, struct http_answer *answer)
{
	struct retry_state state = { .deadline_ms = wait_now_ms() + policy->deadline_ms, .delay_ms = RETRY_FIRST_DELAY_MS };
	do {
		if (attempt(http, urls, request, policy, answer, &state) && answer->result == HTTP_ANSWERED)
			return RETRY_ANSWERED;
	} while (answer->result != HTTP_IMPOSSIBLE && pause_between(urls, policy, answer, &state));
	if (state.maybe_done)
		return RETRY_UNKNOWN;
	return answer->result == HTTP_ANSWERED ? RETRY_ANSWERED : RETRY_NOT_DONE;
}
