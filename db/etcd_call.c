/* etcd_call: see etcd_call.h. etcd's texts are translated here (its gRPC codes alone do not tell them apart). */
#include "db/etcd_call.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "db/monotonic.h"

/* When every endpoint has failed at once, it is time that must pass; nothing could be waited for. */
#define ROUND_PAUSE_MS 10
#define ROUND_PAUSE_MAX_MS 80
/* An attempt that the deadline cuts off leaves a write in doubt: with less time than this, none is begun but the first. */
#define ATTEMPT_MIN_MS 25
/* A large body takes its time; so does everything on a machine with too much to do. */
#define ATTEMPT_BYTES_PER_MS 4096
#define ATTEMPT_DOUBLINGS_MAX 5

enum attempt {
	ATTEMPT_FINAL,                /* outcome counts */
	ATTEMPT_HARMLESS,             /* failed, and nothing has happened */
	ATTEMPT_UNCERTAIN             /* failed, and it may have happened */
};

enum etcd_outcome etcd_fail(struct etcd *etcd, enum etcd_outcome outcome, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(etcd->error, sizeof etcd->error, format, arguments);
	va_end(arguments);
	return outcome;
}

/* ---- the request's body ----------------------------------------------------------------------------- */

void etcd_body_start(struct etcd *etcd, const char *text)
{
	buffer_clear(&etcd->body);
	buffer_append_text(&etcd->body, text);
}

void etcd_body_text(struct etcd *etcd, const char *text)
{
	buffer_append_text(&etcd->body, text);
}

void etcd_body_bytes(struct etcd *etcd, struct slice bytes)
{
	buffer_append_text(&etcd->body, "\"");
	buffer_append_base64(&etcd->body, bytes);
	buffer_append_text(&etcd->body, "\"");
}

void etcd_body_number(struct etcd *etcd, uint64_t number)
{
	char text[32];
	snprintf(text, sizeof text, "\"%" PRIu64 "\"", number);
	buffer_append_text(&etcd->body, text);
}

/* ---- what an answer other than 200 means -------------------------------------------------------------- */

struct refusal {
	const char *text;             /* somewhere in etcd's message */
	enum attempt attempt;
	enum etcd_outcome outcome;    /* of a final one */
};

/* First match. What is not here: the statuses of is_refused are final, everything else may have happened. */
static const struct refusal refusals[] = {
	{ "database space exceeded", ATTEMPT_FINAL, ETCD_NO_SPACE },
	{ "request is too large", ATTEMPT_FINAL, ETCD_TOO_LARGE },
	{ "received message larger than max", ATTEMPT_FINAL, ETCD_TOO_LARGE },
	{ "required revision has been compacted", ATTEMPT_FINAL, ETCD_COMPACTED },
	{ "requested lease not found", ATTEMPT_FINAL, ETCD_NOT_FOUND },
	{ "corrupt cluster", ATTEMPT_FINAL, ETCD_REFUSED },
	/* Refused before it was proposed: */
	{ "etcdserver: no leader", ATTEMPT_HARMLESS, ETCD_OK },
	{ "too many requests", ATTEMPT_HARMLESS, ETCD_OK },
	{ "not capable", ATTEMPT_HARMLESS, ETCD_OK },
	/* A member that stops may have proposed it; so may one that waited too long. */
	{ "server stopped", ATTEMPT_UNCERTAIN, ETCD_OK },
	{ "leader changed", ATTEMPT_UNCERTAIN, ETCD_OK },
	{ "timed out", ATTEMPT_UNCERTAIN, ETCD_OK },
	{ "context ", ATTEMPT_UNCERTAIN, ETCD_OK }
};

/* The message of an error: `error` and `message` are texts, or (from streams) `error` holds them. */
static struct slice message_of(const json_t *answer)
{
	struct slice message;
	const json_t *nested;
	if (etcd_json_text(answer, "message", &message) && message.len > 0)
		return message;
	if (etcd_json_text(answer, "error", &message) && message.len > 0)
		return message;
	if (etcd_json_object(answer, "error", &nested) && etcd_json_text(nested, "message", &message))
		return message;
	return SLICE_EMPTY;
}

/* Bad request, no right, no such thing: of etcd, not of anybody who happens to listen there. */
static bool is_refused(const json_t *answer, long status)
{
	return message_of(answer).len > 0 && (status == 400 || status == 401 || status == 403 || status == 404);
}

static enum attempt judge_refusal(struct etcd *etcd, const struct etcd_endpoint *endpoint, long status, enum etcd_outcome *outcome)
{
	json_t *answer = etcd_json_parse(buffer_borrow(&endpoint->answer));
	struct slice message = message_of(answer);
	enum attempt attempt = ATTEMPT_UNCERTAIN;
	size_t i = 0, count = sizeof refusals / sizeof refusals[0];
	etcd_fail(etcd, ETCD_REFUSED, "%s: status %ld: %.*s", endpoint->url, status, (int)(message.len < 300 ? message.len : 300),
		  message.len > 0 ? message.ptr : "");
	/* (A jansson text ends in NUL and holds no other.) */
	while (i < count && (message.len == 0 || strstr(message.ptr, refusals[i].text) == NULL))
		i++;
	if (i < count) {
		attempt = refusals[i].attempt;
		*outcome = refusals[i].outcome;
	} else if (is_refused(answer, status)) {
		attempt = ATTEMPT_FINAL;
		*outcome = ETCD_REFUSED;
	}
	json_decref(answer);
	return attempt;
}

static enum attempt judge_answer(struct etcd *etcd, const struct etcd_endpoint *endpoint, const struct etcd_request *request,
				 enum etcd_outcome *outcome)
{
	json_t *answer = etcd_json_parse(buffer_borrow(&endpoint->answer));
	etcd_fail(etcd, ETCD_REFUSED, "%s: the answer makes no sense", endpoint->url);
	*outcome = answer == NULL ? ETCD_UNKNOWN : request->read(request->context, answer);
	json_decref(answer);
	return *outcome == ETCD_UNKNOWN ? ATTEMPT_UNCERTAIN : ATTEMPT_FINAL;
}

/* ---- one after the other ------------------------------------------------------------------------------ */

static enum attempt try_one(struct etcd *etcd, const struct etcd_request *request, int number, int64_t timeout_ms, enum etcd_outcome *outcome)
{
	struct etcd_endpoint *endpoint = &etcd->endpoints[number];
	struct etcd_post post = { request->path, buffer_borrow(&etcd->body),
				  request->without_leader ? etcd->headers : etcd->headers_leader, timeout_ms };
	long status;
	enum etcd_exchange exchange = etcd_endpoint_exchange(endpoint, &post, &status, etcd->error);
	if (exchange == ETCD_EXCHANGE_ANSWERED)
		return status == 200 ? judge_answer(etcd, endpoint, request, outcome) : judge_refusal(etcd, endpoint, status, outcome);
	return exchange == ETCD_EXCHANGE_NOT_SENT ? ATTEMPT_HARMLESS : ATTEMPT_UNCERTAIN;
}

/* Round: how often all endpoints were asked before. */
static int64_t attempt_ms(const struct etcd *etcd, int round, int64_t left_ms)
{
	int64_t limit_ms = (ETCD_ATTEMPT_MS + (int64_t)(etcd->body.len / ATTEMPT_BYTES_PER_MS))
			   << (round < ATTEMPT_DOUBLINGS_MAX ? round : ATTEMPT_DOUBLINGS_MAX);
	return left_ms < limit_ms ? left_ms : limit_ms;
}

/* False: there is no time for another round. */
static bool pause_round(int round, int64_t deadline_ms)
{
	int64_t pause_ms = round < 4 ? ROUND_PAUSE_MS << round : ROUND_PAUSE_MAX_MS;
	if (deadline_ms - monotonic_ms() < pause_ms + ATTEMPT_MIN_MS)
		return false;
	struct timespec pause = { pause_ms / 1000, (long)(pause_ms % 1000) * 1000000 };
	nanosleep(&pause, NULL);
	return true;
}

/* What the call ends with, when an attempt told outcome (or, as ETCD_UNKNOWN, none did). */
static enum etcd_outcome conclude(const struct etcd_request *request, bool uncertain, enum etcd_outcome outcome)
{
	if (request->was_uncertain != NULL)
		*request->was_uncertain = uncertain;
	if (outcome == ETCD_UNKNOWN)
		return request->is_write && uncertain ? ETCD_UNKNOWN : ETCD_UNREACHABLE;
	if (!request->is_write || !uncertain || outcome == ETCD_OK || outcome == ETCD_NOT_FOUND || outcome == ETCD_COMPACTED)
		return outcome;
	return ETCD_UNKNOWN;
}

enum etcd_outcome etcd_call(struct etcd *etcd, const struct etcd_request *request, int64_t deadline_ms)
{
	bool uncertain = false, any = request->endpoint < 0;
	enum etcd_outcome outcome = ETCD_UNKNOWN;
	if (etcd->body.failed)
		return etcd_fail(etcd, ETCD_UNREACHABLE, "there is no memory for the request");
	etcd_fail(etcd, ETCD_UNREACHABLE, "there was no time left");
	for (int tries = 0;; tries++) {
		int64_t left_ms = deadline_ms - monotonic_ms();
		if (left_ms < (tries == 0 ? 1 : ATTEMPT_MIN_MS))
			break;
		int64_t timeout_ms = any ? attempt_ms(etcd, tries / etcd->count, left_ms) : left_ms;
		int number = any ? etcd->preferred : request->endpoint;
		enum attempt attempt = try_one(etcd, request, number, timeout_ms, &outcome);
		if (attempt == ATTEMPT_FINAL)
			return conclude(request, uncertain, outcome);
		uncertain = uncertain || attempt == ATTEMPT_UNCERTAIN;
		outcome = ETCD_UNKNOWN;
		if (!any)
			break;
		etcd->preferred = (number + 1) % etcd->count;
		if ((tries + 1) % etcd->count == 0 && !pause_round(tries / etcd->count, deadline_ms))
			break;
	}
	return conclude(request, uncertain, ETCD_UNKNOWN);
}
