/*
 * storm: many purchases at once, each under a key of its own, and a count of how they were answered (one line of JSON).
 *
 *     storm --url http://127.0.0.1:8010/buy --item 1 --requests 1000 --connections 1000
 *
 * --url       where to buy; of several, the n-th request goes to the n-th, and a repeated one to the next
 * --item, --quantity   what
 * --requests  how many keys (or fewer, when --seconds are over)
 * --connections   how many requests are under way at a time; all of them start in the same moment
 * --copies    each key is sent so many times, to one url after the other, without waiting
 * --patience-ms   how long a request that got no answer, or a 5xx, is sent again under its key; 0: never
 * --acks      a file for "key order-id" lines of acknowledged purchases
 * --keyless 1 no key is sent; nginx makes one for each
 * --seed      keys are storm-<seed>-<number>: the same seed is the same requests
 *
 * `failed_tries` are answers that a client would not want to see; `lost` are requests that never got another one.
 * `different` are keys whose answers were not the same bytes.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/tools/common/tool.h"

#define URLS_MAX 8
#define CONNECTIONS_MAX 2000
#define REQUESTS_MAX 10000000
#define TRY_TIMEOUT_MS 30000
#define RETRY_PAUSE_US 20000

static const char *urls[URLS_MAX], *acks_path;
static int url_count, acks_count;
static int64_t item = 1, quantity = 1, requests = 100, connections = 10, copies = 1, patience_ms, seconds = 60, keyless, given_seed;

struct client {
	CURL *handle;
	struct answer answer;
	struct curl_slist *headers;
	int64_t request;              /* number of the transfer: key * copies + copy; -1: has nothing to do */
	int tries;
	int64_t began_us, retry_us;   /* retry_us: 0 while a transfer runs */
};

static struct {
	uint64_t seed;
	int64_t next, started_us;
	int64_t acknowledged, refused, lost, different, slowest_us;
	json_t *outcomes, *failed_tries;
	char **answers;               /* the first answer to each key, when there are copies */
	FILE *acks;
} storm;

static void send_request(CURLM *multi, struct client *client)
{
	char url[512];
	int64_t key = client->request / copies;
	snprintf(url, sizeof url, "%s?id=%lld&quantity=%lld", urls[(client->request + client->tries) % url_count], (long long)item,
		(long long)quantity);
	curl_slist_free_all(client->headers);
	client->headers = keyless ? NULL : tool_header(NULL, "Idempotency-Key: storm-%llu-%lld", (unsigned long long)storm.seed,
		(long long)key);
	answer_clear(&client->answer);
	curl_easy_setopt(client->handle, CURLOPT_URL, url);
	curl_easy_setopt(client->handle, CURLOPT_HTTPHEADER, client->headers);
	curl_easy_setopt(client->handle, CURLOPT_POSTFIELDS, "");
	client->retry_us = 0;
	curl_multi_add_handle(multi, client->handle);
}

static void take_next(CURLM *multi, struct client *client)
{
	client->request = -1;
	if (storm.next == requests * copies || tool_now_us() - storm.started_us > seconds * 1000000)
		return;
	client->request = storm.next++;
	client->tries = 0;
	client->began_us = tool_now_us();
	send_request(multi, client);
}

/* All answers to one key must be the same bytes. */
static void compare_copies(int64_t key, const char *body)
{
	if (copies == 1)
		return;
	if (storm.answers[key] == NULL)
		storm.answers[key] = strdup(body);
	else if (strcmp(storm.answers[key], body) != 0)
		storm.different++;
}

static void take_answer(struct client *client, const char *outcome)
{
	int64_t key = client->request / copies, took_us = tool_now_us() - client->began_us;
	storm.slowest_us = took_us > storm.slowest_us ? took_us : storm.slowest_us;
	tool_count(storm.outcomes, outcome);
	compare_copies(key, client->answer.body != NULL ? client->answer.body : "");
	if (client->answer.status != 200) {
		storm.refused++;
		return;
	}
	storm.acknowledged++;
	if (storm.acks != NULL)
		fprintf(storm.acks, "storm-%llu-%lld %lld\n", (unsigned long long)storm.seed, (long long)key,
			(long long)answer_order_id(&client->answer));
}

/* Returns whether the client is done with its request. */
static bool finish_try(struct client *client)
{
	char outcome[64];
	answer_outcome(&client->answer, outcome, sizeof outcome);
	if (!answer_is_failure(&client->answer)) {
		take_answer(client, outcome);
		return true;
	}
	tool_count(storm.failed_tries, outcome);
	if (tool_now_us() - client->began_us < patience_ms * 1000) {
		client->tries++;
		client->retry_us = tool_now_us() + RETRY_PAUSE_US;
		return false;
	}
	storm.lost++;
	return true;
}

static void collect_answers(CURLM *multi)
{
	int left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(multi, &left)) != NULL) {
		struct client *client;
		CURLcode result = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&client);
		answer_finish(&client->answer, client->handle, result);
		curl_multi_remove_handle(multi, client->handle);
		if (finish_try(client))
			take_next(multi, client);
	}
}

/* Returns how many clients still have something to do. */
static int64_t retry_due(CURLM *multi, struct client *clients)
{
	int64_t busy = 0, now_us = tool_now_us();
	for (int64_t i = 0; i < connections; i++) {
		if (clients[i].request >= 0)
			busy++;
		if (clients[i].request >= 0 && clients[i].retry_us != 0 && clients[i].retry_us <= now_us)
			send_request(multi, &clients[i]);
	}
	return busy;
}

static void blow(CURLM *multi, struct client *clients)
{
	int running;
	storm.started_us = tool_now_us();
	for (int64_t i = 0; i < connections; i++)
		take_next(multi, &clients[i]);
	while (retry_due(multi, clients) > 0) {
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			tool_fail("curl_multi_perform failed");
		collect_answers(multi);
		curl_multi_poll(multi, NULL, 0, RETRY_PAUSE_US / 1000 / 2, NULL);
	}
}

static void print_report(void)
{
	json_t *report = json_pack("{s:I,s:o,s:I,s:o,s:I,s:I,s:I,s:I,s:I}", "acknowledged", (json_int_t)storm.acknowledged,
		"outcomes", storm.outcomes, "refused", (json_int_t)storm.refused, "failed_tries", storm.failed_tries,
		"lost", (json_int_t)storm.lost, "different", (json_int_t)storm.different, "sent", (json_int_t)storm.next,
		"slowest_ms", (json_int_t)(storm.slowest_us / 1000), "seed", (json_int_t)storm.seed);
	if (report == NULL || json_dumpf(report, stdout, JSON_SORT_KEYS) != 0)
		tool_fail("cannot print the report");
	putchar('\n');
	json_decref(report);
}

static void read_options(int argc, char **argv)
{
	const struct tool_option options[] = {
		{ .name = "url", .texts = urls, .text_count = &url_count, .text_max = URLS_MAX },
		{ .name = "acks", .texts = &acks_path, .text_count = &acks_count, .text_max = 1 },
		{ .name = "item", .number = &item, .min = 1, .max = INT64_MAX },
		{ .name = "quantity", .number = &quantity, .min = 1, .max = INT64_MAX },
		{ .name = "requests", .number = &requests, .min = 1, .max = REQUESTS_MAX },
		{ .name = "connections", .number = &connections, .min = 1, .max = CONNECTIONS_MAX },
		{ .name = "copies", .number = &copies, .min = 1, .max = 8 },
		{ .name = "patience-ms", .number = &patience_ms, .min = 0, .max = 600000 },
		{ .name = "seconds", .number = &seconds, .min = 1, .max = 600 },
		{ .name = "keyless", .number = &keyless, .min = 0, .max = 1 },
		{ .name = "seed", .number = &given_seed, .min = 0, .max = INT64_MAX },
	};
	tool_read_options(argc, argv, options, sizeof options / sizeof options[0]);
	if (url_count == 0)
		tool_fail("storm needs --url");
}

static void prepare(void)
{
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	storm.seed = tool_seed(given_seed);
	storm.outcomes = json_object();
	storm.failed_tries = json_object();
	storm.answers = calloc((size_t)requests, sizeof *storm.answers);
	if (acks_path != NULL && (storm.acks = fopen(acks_path, "we")) == NULL)
		tool_fail("cannot write %s", acks_path);
	if (storm.answers == NULL || curl_global_init(CURL_GLOBAL_ALL) != 0)
		tool_fail("cannot start");
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	prepare();
	CURLM *multi = curl_multi_init();
	struct client *clients = calloc((size_t)connections, sizeof *clients);
	if (multi == NULL || clients == NULL)
		tool_fail("no memory");
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)connections);
	for (int64_t i = 0; i < connections; i++) {
		clients[i].handle = tool_handle(&clients[i].answer, TRY_TIMEOUT_MS);
		curl_easy_setopt(clients[i].handle, CURLOPT_PRIVATE, &clients[i]);
	}
	blow(multi, clients);
	for (int64_t i = 0; i < connections; i++) {
		curl_easy_cleanup(clients[i].handle);
		curl_slist_free_all(clients[i].headers);
		answer_free(&clients[i].answer);
	}
	curl_multi_cleanup(multi);
	curl_global_cleanup();
	print_report();
	for (int64_t i = 0; i < requests; i++)
		free(storm.answers[i]);
	free(storm.answers);
	free(clients);
	return storm.acks != NULL && fclose(storm.acks) != 0 ? 2 : 0;
}
