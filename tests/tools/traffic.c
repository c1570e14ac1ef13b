/*
 * traffic: what customers do while the store is hurt: purchases, lookups and searches, each request one single try.
 *
 *     traffic --url http://127.0.0.1:8010 --again-url http://127.0.1.2:8013 --again-url http://127.0.1.3:8013 \
 *         --item 1 --item 2 --rate 300 --seconds 20 --acks FILE --timeline FILE
 *
 * --url           base address of reads and purchases; of several, the n-th request goes to the n-th
 * --read-url, --buy-url   the same, of one sort only
 * --again-url     where purchases are asked for again, one after the other; none: the buy-urls
 * --item          what is looked up and bought; the first one is the hot item
 * --topic         what is searched for
 * --rate          requests a second, due by the clock; 0: as many as --connections, the next when one is answered
 * --connections   how many requests can be under way
 * --buy-percent, --search-percent   of all requests; the rest are lookups
 * --hot-percent   of lookups and purchases, that go to the hot item beside its share
 * --quantity-max  of a purchase; random from 1
 * --seconds       how long; SIGTERM or SIGINT ends it earlier, a second signal ends everything
 * --timeout-ms    of one try
 * --keepalive 1   connections are used again; then libcurl may repeat a request on a connection that the server had closed
 * --ca, --cert, --key   certificate that signed those of https addresses; the client's own
 * --settle-seconds   how long it may take, afterwards, until every purchase has a definite answer and was verified
 * --verify 0      leave out to ask for each answered purchase a second time
 * --acks, --timeline, --failures   files: "key order item quantity" lines (order "-": refused), CSV per 100 ms, failed requests
 * --progress 1    a line per second on stderr
 * --seed          of what is random
 * --name          keys are traffic-<name>-<number>; without a name, the seed's. The same keys again are the same purchases.
 *
 * A purchase without a definite answer (an order, or a refusal because of the stock) is asked for again under its key while the
 * traffic goes on, through one replica after the other, until there is one. Afterwards every answered purchase is asked for once more,
 * which must bring the same bytes. Neither counts among the requests of the report: one line of JSON.
 *
 * Code 0: every purchase has a definite answer, and none has two; failed requests do not matter. 1: not so. 2: could not run.
 *
 * The parts: traffic/loop.c the requests, traffic/settle.c asking again, traffic/purchases.c and traffic/timeline.c what is known.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/tools/traffic/traffic.h"

volatile sig_atomic_t traffic_stop;

static struct traffic_terms terms = {
	.rate = 200, .connections = 512, .again_connections = 16, .seconds = 10, .settle_seconds = 60, .buy_percent = 40, .search_percent = 10,
	.hot_percent = 40, .quantity_max = 1, .timeout_ms = 15000, .verify = 1,
};
static const char *urls[TRAFFIC_URLS_MAX], *items[TRAFFIC_ITEMS_MAX], *acks, *timeline, *failures;
static int url_count, item_count, topic_count, name_count, acks_count, timeline_count, failures_count;
static int64_t given_seed;
static char seed_name[24];

static void take_signal(int number)
{
	(void)number;
	traffic_stop = traffic_stop + 1;
}

static void copy_urls(const char **to, int *to_count, const char *const *from, int from_count)
{
	for (int i = 0; i < from_count && *to_count < TRAFFIC_URLS_MAX; i++)
		to[(*to_count)++] = from[i];
}

static void complete_terms(void)
{
	copy_urls(terms.read_urls, &terms.read_url_count, urls, url_count);
	copy_urls(terms.buy_urls, &terms.buy_url_count, urls, url_count);
	if (terms.again_url_count == 0)
		copy_urls(terms.again_urls, &terms.again_url_count, terms.buy_urls, terms.buy_url_count);
	if (terms.buy_url_count == 0)
		terms.buy_percent = 0;
	if (terms.read_url_count == 0)
		terms.buy_percent = 100;
	if (terms.topic == NULL)
		terms.search_percent = 0;
	for (int i = 0; i < item_count; i++) {
		terms.items[i] = strtoll(items[i], NULL, 10);
		if (terms.items[i] <= 0)
			tool_fail("--item takes a number above 0, not '%s'", items[i]);
	}
	terms.item_count = item_count;
	if (item_count == 0 || terms.read_url_count + terms.buy_url_count == 0)
		tool_fail("traffic needs --item and an address");
}

static void read_options(int argc, char **argv)
{
	const struct tool_option options[] = {
		{ .name = "url", .texts = urls, .text_count = &url_count, .text_max = TRAFFIC_URLS_MAX },
		{ .name = "read-url", .texts = terms.read_urls, .text_count = &terms.read_url_count, .text_max = TRAFFIC_URLS_MAX },
		{ .name = "buy-url", .texts = terms.buy_urls, .text_count = &terms.buy_url_count, .text_max = TRAFFIC_URLS_MAX },
		{ .name = "again-url", .texts = terms.again_urls, .text_count = &terms.again_url_count, .text_max = TRAFFIC_URLS_MAX },
		{ .name = "item", .texts = items, .text_count = &item_count, .text_max = TRAFFIC_ITEMS_MAX },
		{ .name = "name", .texts = &terms.name, .text_count = &name_count, .text_max = 1 },
		{ .name = "topic", .texts = &terms.topic, .text_count = &topic_count, .text_max = 1 },
		TOOL_TLS_OPTIONS,
		{ .name = "acks", .texts = &acks, .text_count = &acks_count, .text_max = 1 },
		{ .name = "timeline", .texts = &timeline, .text_count = &timeline_count, .text_max = 1 },
		{ .name = "failures", .texts = &failures, .text_count = &failures_count, .text_max = 1 },
		{ .name = "rate", .number = &terms.rate, .min = 0, .max = 100000 },
		{ .name = "connections", .number = &terms.connections, .min = 1, .max = TRAFFIC_CONNECTIONS_MAX },
		{ .name = "again-connections", .number = &terms.again_connections, .min = 1, .max = TRAFFIC_CONNECTIONS_MAX },
		{ .name = "seconds", .number = &terms.seconds, .min = 0, .max = 86400 },
		{ .name = "settle-seconds", .number = &terms.settle_seconds, .min = 0, .max = 3600 },
		{ .name = "buy-percent", .number = &terms.buy_percent, .min = 0, .max = 100 },
		{ .name = "search-percent", .number = &terms.search_percent, .min = 0, .max = 100 },
		{ .name = "hot-percent", .number = &terms.hot_percent, .min = 0, .max = 100 },
		{ .name = "quantity-max", .number = &terms.quantity_max, .min = 1, .max = 1000000 },
		{ .name = "timeout-ms", .number = &terms.timeout_ms, .min = 1, .max = 600000 },
		{ .name = "keepalive", .number = &terms.keepalive, .min = 0, .max = 1 },
		{ .name = "verify", .number = &terms.verify, .min = 0, .max = 1 },
		{ .name = "progress", .number = &terms.progress, .min = 0, .max = 1 },
		{ .name = "seed", .number = &given_seed, .min = 0, .max = INT64_MAX },
	};
	tool_read_options(argc, argv, options, sizeof options / sizeof options[0]);
	complete_terms();
	terms.seed = tool_seed(given_seed);
	snprintf(seed_name, sizeof seed_name, "%llu", (unsigned long long)terms.seed);
	if (terms.name == NULL)
		terms.name = seed_name;
	if (strlen(terms.name) > TRAFFIC_NAME_MAX || strspn(terms.name, "0123456789abcdefghijklmnopqrstuvwxyz-") != strlen(terms.name))
		tool_fail("--name takes %d small letters, digits and hyphens at most", TRAFFIC_NAME_MAX);
}

/* Returns whether every purchase has one definite answer. */
static bool print_report(void)
{
	json_t *purchases = purchases_report();
	json_t *report = json_pack("{s:O,s:o,s:o,s:o,s:I}", "purchases", purchases, "reads", timeline_report(TRAFFIC_READ),
		"writes", timeline_report(TRAFFIC_WRITE), "again", settle_report(), "seed", (json_int_t)terms.seed);
	if (report == NULL || json_dumpf(report, stdout, JSON_SORT_KEYS | JSON_REAL_PRECISION(6)) != 0)
		tool_fail("cannot print the report");
	putchar('\n');
	int64_t answered = json_integer_value(json_object_get(purchases, "acknowledged"))
		+ json_integer_value(json_object_get(purchases, "refused"));
	bool good = json_integer_value(json_object_get(purchases, "different")) == 0 && answered == purchases_count()
		&& (terms.verify == 0 || json_integer_value(json_object_get(purchases, "verified")) == answered);
	json_decref(purchases);
	json_decref(report);
	return good;
}

int main(int argc, char **argv)
{
	FILE *failure_stream = NULL;
	const struct sigaction action = { .sa_handler = take_signal };
	read_options(argc, argv);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (curl_global_init(CURL_GLOBAL_ALL) != 0)
		tool_fail("libcurl does not start");
	if (failures != NULL && (failure_stream = fopen(failures, "we")) == NULL)
		tool_fail("cannot write %s", failures);
	purchases_init(terms.name);
	settle_begin(&terms);
	loop_run(&terms, failure_stream);
	settle_finish();
	bool good = print_report();
	settle_end();
	if (acks != NULL)
		purchases_write(acks);
	if (timeline != NULL)
		timeline_write(timeline);
	if (failure_stream != NULL)
		fclose(failure_stream);
	purchases_free();
	timeline_free();
	curl_global_cleanup();
	return good ? 0 : 1;
}
