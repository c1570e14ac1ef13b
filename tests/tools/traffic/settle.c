/*
 * settle: what a careful customer does after a failure: asks again, under the same key and through the next replica, until there is
 * a definite answer. And what a suspicious one does: asks every answered purchase a second time, which must give the same bytes.
 */
#include <stdlib.h>

#include "tests/tools/traffic/traffic.h"

#define PAUSE_US 250000
#define POLL_MS 5

struct waiting {
	int64_t purchase, tries, due_us;
};

static struct {
	const struct traffic_terms *terms;
	CURLM *multi;
	struct traffic_client *clients;
	int64_t *tries;                         /* of each client's purchase */
	struct waiting *queue;                  /* a ring; the pause is always the same, so that the first falls due first */
	int64_t first, count, size;
	int64_t under_way;
	int64_t next_to_verify;                 /* -1: it is not time yet */
	int64_t asked_again, failed_tries;
	json_t *failures;                       /* how many of each */
} settle;

void settle_begin(const struct traffic_terms *terms)
{
	settle.terms = terms;
	settle.multi = curl_multi_init();
	settle.clients = calloc((size_t)terms->again_connections, sizeof *settle.clients);
	settle.tries = calloc((size_t)terms->again_connections, sizeof *settle.tries);
	settle.next_to_verify = -1;
	settle.failures = json_object();
	if (settle.multi == NULL || settle.clients == NULL || settle.tries == NULL)
		tool_fail("no memory");
	for (int64_t i = 0; i < terms->again_connections; i++)
		client_open(&settle.clients[i], terms, true);
}

void settle_end(void)
{
	for (int64_t i = 0; i < settle.terms->again_connections; i++) {
		if (settle.clients[i].busy)
			curl_multi_remove_handle(settle.multi, settle.clients[i].handle);
		client_close(&settle.clients[i]);
	}
	curl_multi_cleanup(settle.multi);
	json_decref(settle.failures);
	free(settle.clients);
	free(settle.tries);
	free(settle.queue);
}

static void grow(void)
{
	int64_t size = settle.size == 0 ? 256 : 2 * settle.size;
	struct waiting *grown = calloc((size_t)size, sizeof *grown);
	if (grown == NULL)
		tool_fail("no memory for %lld waiting purchases", (long long)size);
	for (int64_t i = 0; i < settle.count; i++)
		grown[i] = settle.queue[(settle.first + i) % settle.size];
	free(settle.queue);
	settle.queue = grown;
	settle.first = 0;
	settle.size = size;
}

static void put(int64_t purchase, int64_t tries)
{
	if (settle.count == settle.size)
		grow();
	settle.queue[(settle.first + settle.count++) % settle.size] = (struct waiting){ purchase, tries, tool_now_us() + PAUSE_US };
}

void settle_queue(int64_t purchase)
{
	put(purchase, 0);
}

/* The next purchase to ask for. False: none now. */
static bool take(struct waiting *waiting)
{
	if (settle.count > 0 && settle.queue[settle.first].due_us <= tool_now_us()) {
		*waiting = settle.queue[settle.first];
		settle.first = (settle.first + 1) % settle.size;
		settle.count--;
		return true;
	}
	while (settle.next_to_verify >= 0 && settle.next_to_verify < purchases_count()) {
		int64_t purchase = settle.next_to_verify++;
		if (purchases_get(purchase)->state == PURCHASE_ANSWERED) {
			*waiting = (struct waiting){ .purchase = purchase };
			return true;
		}
	}
	return false;
}

static void ask(struct traffic_client *client, const struct waiting *waiting)
{
	const struct traffic_terms *terms = settle.terms;
	int64_t url = (waiting->purchase + 1 + waiting->tries) % terms->again_url_count;
	settle.tries[client - settle.clients] = waiting->tries;
	settle.asked_again++;
	settle.under_way++;
	client_send_purchase(settle.multi, client, terms->again_urls[url], waiting->purchase);
}

static void take_answer(struct traffic_client *client)
{
	char outcome[64];
	settle.under_way--;
	if (answer_is_definite(&client->answer)) {
		purchases_answer(client->purchase, &client->answer);
		return;
	}
	settle.failed_tries++;
	answer_outcome(&client->answer, outcome, sizeof outcome);
	tool_count(settle.failures, outcome);
	put(client->purchase, settle.tries[client - settle.clients] + 1);
}

void settle_step(void)
{
	int running;
	struct waiting waiting;
	struct traffic_client *client;
	for (int64_t i = 0; i < settle.terms->again_connections; i++)
		if (!settle.clients[i].busy && take(&waiting))
			ask(&settle.clients[i], &waiting);
	if (settle.under_way == 0)
		return;
	if (curl_multi_perform(settle.multi, &running) != CURLM_OK)
		tool_fail("curl_multi_perform failed");
	while ((client = client_finished(settle.multi)) != NULL)
		take_answer(client);
}

static bool is_busy(void)
{
	return settle.under_way > 0 || settle.count > 0 || (settle.next_to_verify >= 0 && settle.next_to_verify < purchases_count());
}

static void run_until(int64_t deadline_us)
{
	while (is_busy() && tool_now_us() < deadline_us && traffic_stop < 2) {
		settle_step();
		curl_multi_poll(settle.multi, NULL, 0, POLL_MS, NULL);
	}
}

void settle_finish(void)
{
	int64_t deadline_us = tool_now_us() + settle.terms->settle_seconds * 1000000;
	run_until(deadline_us);
	if (settle.terms->verify == 0)
		return;
	settle.next_to_verify = 0;
	run_until(deadline_us);
}

json_t *settle_report(void)
{
	return json_pack("{s:I,s:I,s:O}", "requests", (json_int_t)settle.asked_again, "failed_tries", (json_int_t)settle.failed_tries,
		"failures", settle.failures);
}
