/*
 * loop: the traffic itself: each request is one try. With a rate, requests fall due by the clock, whether earlier ones were
 * answered or not, and a request's time counts from when it fell due; those for which no connection is free wait.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/traffic/traffic.h"

#define POLL_MS 5

static struct {
	const struct traffic_terms *terms;
	FILE *failures;
	CURLM *multi;
	struct traffic_client *clients;
	struct tool_chance chance;
	int64_t began_us, sent, under_way;
} loop;

static const char *take_url(const char *const *urls, int count)
{
	return urls[loop.sent % count];
}

static int64_t take_item(void)
{
	const struct traffic_terms *terms = loop.terms;
	if (tool_random_below(&loop.chance, 100) < terms->hot_percent)
		return terms->items[0];
	return terms->items[tool_random_below(&loop.chance, terms->item_count)];
}

static void send_read(struct traffic_client *client, bool is_search)
{
	const char *base = take_url(loop.terms->read_urls, loop.terms->read_url_count);
	if (is_search)
		snprintf(client->url, sizeof client->url, "%s/search?topic=%s", base, loop.terms->topic);
	else
		snprintf(client->url, sizeof client->url, "%s/lookup?id=%" PRId64, base, take_item());
	curl_slist_free_all(client->headers);
	client->headers = NULL;
	client->kind = TRAFFIC_READ;
	client_send(loop.multi, client);
}

static void send_next(struct traffic_client *client, int64_t due_us)
{
	const struct traffic_terms *terms = loop.terms;
	int64_t dice = tool_random_below(&loop.chance, 100);
	client->began_us = due_us;
	if (dice < terms->buy_percent) {
		int64_t quantity = 1 + tool_random_below(&loop.chance, terms->quantity_max);
		client_send_purchase(loop.multi, client, take_url(terms->buy_urls, terms->buy_url_count), purchases_add(take_item(), quantity));
	} else {
		send_read(client, dice < terms->buy_percent + terms->search_percent);
	}
	loop.sent++;
	loop.under_way++;
}

/* When the next request falls due; now, without a rate. */
static int64_t due_us(void)
{
	return loop.terms->rate == 0 ? tool_now_us() : loop.began_us + loop.sent * 1000000 / loop.terms->rate;
}

static void send_due(void)
{
	for (int64_t i = 0; i < loop.terms->connections; i++) {
		int64_t due = due_us();
		if (due > tool_now_us())
			return;
		if (!loop.clients[i].busy)
			send_next(&loop.clients[i], due);
	}
}

static void log_failure(const struct traffic_client *client, const char *outcome, int64_t now_us)
{
	char key[TRAFFIC_KEY_MAX] = "-";
	if (loop.failures == NULL)
		return;
	if (client->kind == TRAFFIC_WRITE)
		purchases_key(client->purchase, key);
	fprintf(loop.failures, "%.3f s after %" PRId64 " ms: %s: %s (%s)\n", (double)(now_us - loop.began_us) / 1e6,
		(now_us - client->began_us) / 1000, client->url, outcome, key);
	fflush(loop.failures);
}

static void take_answer(struct traffic_client *client)
{
	char outcome[64];
	bool is_write = client->kind == TRAFFIC_WRITE;
	bool good = is_write ? answer_is_definite(&client->answer) : client->answer.result == CURLE_OK && client->answer.status == 200;
	const char *stale_ms = client->answer.stale_ms;
	answer_outcome(&client->answer, outcome, sizeof outcome);
	struct sight sight = { .kind = client->kind, .failed = !good, .outcome = outcome, .began_us = client->began_us,
		.ended_us = tool_now_us(), .stale_ms = stale_ms[0] == '\0' ? -1 : strtoll(stale_ms, NULL, 10) };
	timeline_add(&sight);
	loop.under_way--;
	if (!good)
		log_failure(client, outcome, sight.ended_us);
	if (is_write && good)
		purchases_answer(client->purchase, &client->answer);
	else if (is_write)
		settle_queue(client->purchase);
}

static bool is_over(void)
{
	return traffic_stop > 0 || tool_now_us() - loop.began_us >= loop.terms->seconds * 1000000;
}

static void turn(void)
{
	int running;
	struct traffic_client *client;
	if (!is_over())
		send_due();
	if (curl_multi_perform(loop.multi, &running) != CURLM_OK)
		tool_fail("curl_multi_perform failed");
	while ((client = client_finished(loop.multi)) != NULL)
		take_answer(client);
	settle_step();
	timeline_progress();
	/* (With a rate the next request may fall due before the next answer.) */
	int64_t wait_ms = loop.terms->rate == 0 ? POLL_MS : (due_us() - tool_now_us()) / 1000;
	curl_multi_poll(loop.multi, NULL, 0, (int)(wait_ms < 0 ? 1 : wait_ms > POLL_MS ? POLL_MS : wait_ms), NULL);
}

void loop_run(const struct traffic_terms *terms, FILE *failures)
{
	loop.terms = terms;
	loop.failures = failures;
	loop.chance.state = terms->seed;
	loop.multi = curl_multi_init();
	loop.clients = calloc((size_t)terms->connections, sizeof *loop.clients);
	if (loop.multi == NULL || loop.clients == NULL)
		tool_fail("no memory");
	curl_multi_setopt(loop.multi, CURLMOPT_MAXCONNECTS, (long)terms->connections);
	for (int64_t i = 0; i < terms->connections; i++)
		client_open(&loop.clients[i], terms, terms->keepalive != 0);
	timeline_begin(terms->progress != 0);
	loop.began_us = tool_now_us();
	while (!is_over())
		turn();
	timeline_end();
	while (loop.under_way > 0 && traffic_stop < 2)
		turn();
	for (int64_t i = 0; i < terms->connections; i++) {
		if (loop.clients[i].busy)
			curl_multi_remove_handle(loop.multi, loop.clients[i].handle);
		client_close(&loop.clients[i]);
	}
	curl_multi_cleanup(loop.multi);
	free(loop.clients);
}
