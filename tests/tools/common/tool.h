/*
 * tool: what the load generators and checkers of the system tests share: their command line, time, chance, and answers.
 *
 * A tool is single use: what it cannot do (no memory, a bad option) ends it with a message and code 2.
 */
#ifndef PYGMY_TESTS_TOOL_H
#define PYGMY_TESTS_TOOL_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_BODY_MAX (8 * 1024 * 1024)
#define ANSWER_HEADER_MAX 128

_Noreturn void tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `--name value`, into one of the two; text values may repeat up to the room that is there. */
struct tool_option {
	const char *name;             /* without the hyphens */
	int64_t *number;
	int64_t min, max;
	const char **texts;           /* borrowed from argv */
	int *text_count;
	int text_max;
};

/* Reads the whole command line; an option that is not in the list ends the program. */
void tool_read_options(int argc, char **argv, const struct tool_option *options, size_t option_count);

int64_t tool_now_us(void);        /* CLOCK_MONOTONIC */
void tool_sleep_ms(int64_t ms);

/* A stream of numbers that follows from its seed (splitmix64). */
struct tool_chance {
	uint64_t state;
};
uint64_t tool_random(struct tool_chance *chance);
/* 0 to below bound, which is above 0. */
int64_t tool_random_below(struct tool_chance *chance, int64_t bound);

/* The seed that was given, or (0) one from the clock. */
uint64_t tool_seed(int64_t given);

/* Counts one more of that name in a JSON object. */
void tool_count(json_t *counters, const char *name);

/* One answer, filled by libcurl; used again for the next one. */
struct answer {
	CURLcode result;
	long status;
	char *body;                   /* NUL-terminated; owned */
	size_t body_len, body_size;
	char cache_status[ANSWER_HEADER_MAX];
	char etag[ANSWER_HEADER_MAX];
	char revision[ANSWER_HEADER_MAX];        /* X-Pygmy-Revision */
	char stale_ms[ANSWER_HEADER_MAX];        /* X-Pygmy-Stale-Ms */
};

void answer_attach(struct answer *answer, CURL *handle);
void answer_clear(struct answer *answer);
/* After the transfer: keeps its result and status. */
void answer_finish(struct answer *answer, CURL *handle, CURLcode result);
void answer_free(struct answer *answer);
/* Whether the request should be sent again: no answer, or one that says that it failed for the moment. */
bool answer_is_failure(const struct answer *answer);
/* The answer's `code`, "ok" for a success, or what else it was ("curl 52", "status 502"). */
void answer_outcome(const struct answer *answer, char *text, size_t size);
/* The order's id of a purchase, 0 without one. */
int64_t answer_order_id(const struct answer *answer);

/* For https addresses, by --ca, --cert and --key; NULL: not given. Set before the first handle. */
extern struct tool_tls {
	const char *ca, *cert, *key;
} tool_tls;
/* Their options, for the list that tool_read_options takes. */
#define TOOL_TLS_OPTIONS \
	{ .name = "ca", .texts = &tool_tls.ca, .text_count = &(int){ 0 }, .text_max = 1 }, \
	{ .name = "cert", .texts = &tool_tls.cert, .text_count = &(int){ 0 }, .text_max = 1 }, \
	{ .name = "key", .texts = &tool_tls.key, .text_count = &(int){ 0 }, .text_max = 1 }

/* A handle with what all requests have in common: no proxy, no signals, a limit of time, answers into answer. */
CURL *tool_handle(struct answer *answer, long timeout_ms);
struct curl_slist *tool_header(struct curl_slist *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
