/* retry and http: when it asks again, with what, and what it makes of the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/scripted_server.h"

#include "client/pygmy/retry.h"
#include "client/pygmy/safe_text.h"
#include "client/pygmy/send_pool.h"
#include "client/pygmy/wait.h"

#define ANSWER(line, headers, body) "HTTP/1.1 " line "\r\nConnection: close\r\n" headers "\r\n" body
#define OK ANSWER("200 OK", "X-Pygmy-Revision: 7\r\nETag: \"e\"\r\nX-Pygmy-Request-Key: k\r\n", "{\"status\":\"Success\"}\n")
#define UNKNOWN ANSWER("503 No", "", "{\"code\":\"outcome_unknown\",\"message\":\"who knows\",\"status\":\"Failed\"}\n")
#define BUSY ANSWER("503 No", "", "{\"code\":\"busy\",\"message\":\"busy\",\"status\":\"Failed\"}\n")
#define FULL ANSWER("503 No", "", "{\"code\":\"storage_full\",\"message\":\"full\",\"status\":\"Failed\"}\n")
#define SOLD_OUT ANSWER("404 No", "", "{\"code\":\"sold_out\",\"message\":\"sold out\",\"status\":\"Failed\"}\n")
#define LIMITED ANSWER("429 No", "Retry-After: 1\r\n", "{\"code\":\"rate_limited\",\"message\":\"too many\",\"status\":\"Failed\"}\n")
#define GATEWAY ANSWER("502 Bad Gateway", "", "<html>")

struct asked {
	struct scripted_server server;
	struct settings_urls urls;
	struct http *http;
	struct http_answer answer;
	enum retry_end end;
	int64_t elapsed_ms;
};

static struct asked asked;

static const struct http_request request = { .method = "POST", .path = "/buy", .body = "{\"id\":1}", .body_len = 8, .token = "secret", .key = "key-1",
					     .if_match = "\"tag\"" };

static void ask(const char *const *steps, size_t step_count, int64_t deadline_ms, unsigned rounds_max)
{
	scripted_start(&asked.server, steps, step_count);
	asked.urls.count = 1;
	(void)snprintf(asked.urls.url[0], sizeof(asked.urls.url[0]), "%s", asked.server.url);
	asked.http = http_create();
	assert_non_null(asked.http);
	http_answer_init(&asked.answer);
	const struct retry_policy policy = { .deadline_ms = deadline_ms, .attempt_ms = 2000, .rounds_max = rounds_max };
	int64_t started_ms = wait_now_ms();
	asked.end = retry_send(asked.http, &asked.urls, &request, &policy, &asked.answer);
	asked.elapsed_ms = wait_now_ms() - started_ms;
	scripted_stop(&asked.server);
}

static void done(void)
{
	http_answer_close(&asked.answer);
	http_destroy(asked.http);
}

#define ASK(deadline_ms, rounds_max, ...)                                                               \
	do {                                                                                            \
		static const char *const steps[] = { __VA_ARGS__ };                                     \
		ask(steps, sizeof(steps) / sizeof(steps[0]), deadline_ms, rounds_max);                  \
	} while (0)

static void the_request_is_whole(void **state)
{
	(void)state;
	ASK(2000, 0, OK);
	assert_int_equal(asked.end, RETRY_ANSWERED);
	assert_int_equal(asked.answer.status, 200);
	assert_string_equal(text_borrow(&asked.answer.body), "{\"status\":\"Success\"}\n");
	assert_string_equal(asked.answer.revision, "7");
	assert_string_equal(asked.answer.etag, "\"e\"");
	assert_string_equal(asked.answer.key, "k");
	const char *sent = asked.server.request[0];
	assert_ptr_equal(strstr(sent, "POST /buy HTTP/1.1\r\n"), sent);
	assert_non_null(strstr(sent, "\r\nIdempotency-Key: key-1\r\n"));
	assert_non_null(strstr(sent, "\r\nAuthorization: Bearer secret\r\n"));
	assert_non_null(strstr(sent, "\r\nIf-Match: \"tag\"\r\n"));
	assert_non_null(strstr(sent, "\r\nContent-Type: application/json\r\n"));
	assert_null(strstr(sent, "Expect:"));
	assert_non_null(strstr(sent, "\r\n\r\n{\"id\":1}"));
	done();
}

/* Lost, 502 and busy, then an answer: always the same key. */
static void it_asks_again_with_the_same_key(void **state)
{
	(void)state;
	ASK(5000, 0, NULL, GATEWAY, BUSY, OK);
	assert_int_equal(asked.end, RETRY_ANSWERED);
	assert_int_equal(asked.answer.status, 200);
	assert_int_equal(asked.server.requests, 4);
	for (size_t i = 0; i < 4; i++)
		assert_non_null(strstr(asked.server.request[i], "\r\nIdempotency-Key: key-1\r\n"));
	done();
}

/* Not before the server says, and within the deadline; in the end it is known that nothing was done. */
static void it_waits_as_long_as_it_is_told(void **state)
{
	(void)state;
	ASK(5000, 0, LIMITED, OK);
	assert_int_equal(asked.end, RETRY_ANSWERED);
	assert_int_equal(asked.answer.status, 200);
	assert_int_equal(asked.server.requests, 2);
	assert_true(asked.elapsed_ms >= 1000);
	assert_non_null(strstr(asked.server.request[1], "\r\nIdempotency-Key: key-1\r\n"));
	done();
	ASK(500, 0, LIMITED, OK);
	assert_int_equal(asked.end, RETRY_ANSWERED);
	assert_int_equal(asked.answer.status, 429);
	assert_int_equal(asked.server.requests, 1);
	done();
}

static void a_refusal_is_final(void **state)
{
	(void)state;
	ASK(5000, 0, SOLD_OUT, OK);
	assert_int_equal(asked.end, RETRY_ANSWERED);
	assert_int_equal(asked.answer.status, 404);
	assert_int_equal(asked.server.requests, 1);
	done();
}

static void a_redirect_is_not_followed(void **state)
{
	(void)state;
	ASK(5000, 0, ANSWER("302 Found", "Location: /elsewhere\r\n", ""), OK);
	assert_int_equal(asked.end, RETRY_ANSWERED);
	assert_int_equal(asked.answer.status, 302);
	assert_int_equal(asked.server.requests, 1);
	done();
}

static void unknown_stays_unknown(void **state)
{
	(void)state;
	ASK(600, 0, UNKNOWN);
	assert_int_equal(asked.end, RETRY_UNKNOWN);
	assert_string_equal(asked.answer.reason, "who knows");
	assert_true(asked.server.requests >= 2);
	assert_true(asked.elapsed_ms < 5000);
	done();
	/* One attempt that may have been executed is enough. */
	ASK(600, 0, NULL, BUSY);
	assert_int_equal(asked.end, RETRY_UNKNOWN);
	done();
	ASK(600, 0, GATEWAY);
	assert_int_equal(asked.end, RETRY_UNKNOWN);
	done();
}

static void busy_is_surely_not_done(void **state)
{
	(void)state;
	ASK(600, 0, BUSY);
	assert_int_equal(asked.end, RETRY_ANSWERED);
	assert_int_equal(asked.answer.status, 503);
	assert_true(asked.server.requests >= 2);
	done();
}

static void a_full_disk_is_not_asked_again(void **state)
{
	(void)state;
	ASK(5000, 0, FULL);
	assert_int_equal(asked.end, RETRY_ANSWERED);
	assert_int_equal(asked.server.requests, 1);
	done();
	ASK(700, 0, UNKNOWN, FULL);
	assert_int_equal(asked.end, RETRY_UNKNOWN);
	assert_true(asked.server.requests >= 3);
	done();
}

static void rounds_are_counted(void **state)
{
	(void)state;
	ASK(5000, 3, BUSY);
	assert_int_equal(asked.server.requests, 3);
	done();
}

static void retry_after_is_kept(void **state)
{
	(void)state;
	ASK(5000, 0, ANSWER("503 No", "Retry-After: 1\r\n", "{\"code\":\"busy\",\"status\":\"Failed\"}"), OK);
	assert_int_equal(asked.end, RETRY_ANSWERED);
	assert_true(asked.elapsed_ms >= 1000);
	done();
}

/* A server that does not listen, then one that does. */
static void the_other_server_is_asked(void **state)
{
	static const char *const steps[] = { OK };
	struct http *http = http_create();
	struct http_answer answer;
	struct settings_urls urls = { .url = { "http://127.0.0.1:1" }, .count = 1 };
	const struct retry_policy policy = { .deadline_ms = 2000, .attempt_ms = 1000, .rounds_max = 1 };
	(void)state;
	http_answer_init(&answer);
	assert_int_equal(retry_send(http, &urls, &request, &policy, &answer), RETRY_NOT_DONE);
	assert_int_equal(answer.result, HTTP_NOT_SENT);
	assert_true(answer.reason[0] != '\0');
	scripted_start(&asked.server, steps, 1);
	(void)snprintf(urls.url[1], sizeof(urls.url[1]), "%s", asked.server.url);
	urls.count = 2;
	assert_int_equal(retry_send(http, &urls, &request, &policy, &answer), RETRY_ANSWERED);
	assert_int_equal(answer.status, 200);
	scripted_stop(&asked.server);
	http_answer_close(&answer);
	http_destroy(http);
}

/* A body without end is cut off at the limit. */
static void answers_are_bounded(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
	size_t len = HTTP_ANSWER_MAX_BYTES + 1000;
	char *step = malloc(sizeof(head) + len);
	(void)state;
	assert_non_null(step);
	memset(step, 'x', sizeof(head) + len);
	memcpy(step, head, sizeof(head) - 1);
	step[sizeof(head) + len - 1] = '\0';
	const char *const steps[] = { step };
	ask(steps, 1, 3000, 1);
	assert_int_equal(asked.end, RETRY_UNKNOWN);
	assert_int_equal(asked.answer.result, HTTP_LOST);
	assert_non_null(strstr(asked.answer.reason, "larger than"));
	assert_true(asked.answer.body.len <= HTTP_ANSWER_MAX_BYTES);
	done();
	free(step);
}

static void a_pool_sends_many(void **state)
{
	static const char *const steps[] = { OK };
	enum { JOBS = 3 };
	struct send_job jobs[JOBS];
	struct settings_urls urls = { .count = 1 };
	unsigned taken = 0;
	(void)state;
	scripted_start(&asked.server, steps, 1);
	(void)snprintf(urls.url[0], sizeof(urls.url[0]), "%s", asked.server.url);
	struct send_pool *pool = send_pool_create(JOBS);
	assert_non_null(pool);
	assert_null(send_pool_take(pool));
	for (size_t i = 0; i < JOBS; i++) {
		jobs[i] = (struct send_job){ .request = request, .urls = &urls, .policy = { .deadline_ms = 3000, .attempt_ms = 3000 } };
		http_answer_init(&jobs[i].answer);
		send_pool_submit(pool, &jobs[i]);
	}
	assert_int_equal(send_pool_in_flight(pool), JOBS);
	for (struct send_job *job; (job = send_pool_take(pool)) != NULL; taken++)
		assert_int_equal(job->end, RETRY_ANSWERED);
	assert_int_equal(taken, JOBS);
	send_pool_destroy(pool);
	for (size_t i = 0; i < JOBS; i++)
		http_answer_close(&jobs[i].answer);
	scripted_stop(&asked.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_is_whole), cmocka_unit_test(it_asks_again_with_the_same_key), cmocka_unit_test(it_waits_as_long_as_it_is_told),
		cmocka_unit_test(a_refusal_is_final),
		cmocka_unit_test(a_redirect_is_not_followed), cmocka_unit_test(unknown_stays_unknown), cmocka_unit_test(busy_is_surely_not_done),
		cmocka_unit_test(a_full_disk_is_not_asked_again), cmocka_unit_test(rounds_are_counted), cmocka_unit_test(retry_after_is_kept),
		cmocka_unit_test(the_other_server_is_asked), cmocka_unit_test(answers_are_bounded), cmocka_unit_test(a_pool_sends_many),
	};
	safe_text_init();
	wait_init();
	if (!http_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
