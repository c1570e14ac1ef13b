/*
 * traffic: what the parts of the tool tests/tools/traffic.c share: the purchases it made, what it saw when, and its loop.
 *
 * One thread; times are microseconds of CLOCK_MONOTONIC.
 */
#ifndef PYGMY_TESTS_TRAFFIC_H
#define PYGMY_TESTS_TRAFFIC_H

#include <jansson.h>
#include <signal.h>
#include <stdio.h>

#include "tests/tools/common/tool.h"

#define TRAFFIC_URLS_MAX 16
#define TRAFFIC_ITEMS_MAX 64
#define TRAFFIC_CONNECTIONS_MAX 1000
#define TRAFFIC_KEY_MAX 64
#define TRAFFIC_NAME_MAX 32

/* ---- what is asked for (traffic.c) -------------------------------------------------------------------- */

struct traffic_terms {
	const char *read_urls[TRAFFIC_URLS_MAX], *buy_urls[TRAFFIC_URLS_MAX], *again_urls[TRAFFIC_URLS_MAX];
	int read_url_count, buy_url_count, again_url_count;
	int64_t items[TRAFFIC_ITEMS_MAX];       /* the first one is the hot one */
	int item_count;
	const char *topic;                      /* percent-encoded */
	int64_t rate;                           /* requests a second; 0: the next one when one is answered */
	int64_t connections, again_connections;
	int64_t seconds, settle_seconds;
	int64_t buy_percent, search_percent, hot_percent, quantity_max;
	int64_t timeout_ms, keepalive, verify, progress;
	uint64_t seed;
	const char *name;                       /* of the run, in its keys */
};

/* 1: no further requests; 2: no waiting for answers either. */
extern volatile sig_atomic_t traffic_stop;

/* ---- purchases (purchases.c) -------------------------------------------------------------------------- */

enum purchase_state { PURCHASE_UNANSWERED, PURCHASE_ANSWERED, PURCHASE_VERIFIED };

struct purchase {
	int64_t item, quantity;
	enum purchase_state state;
	long status;                            /* of the first definite answer, like the rest */
	int64_t order;
	char *body;                             /* owned */
};

/* name is borrowed. */
void purchases_init(const char *name);
void purchases_free(void);
/* Returns the number of the new purchase. */
int64_t purchases_add(int64_t item, int64_t quantity);
int64_t purchases_count(void);
const struct purchase *purchases_get(int64_t number);
void purchases_key(int64_t number, char key[TRAFFIC_KEY_MAX]);
/* A definite answer: the first one is kept, each further one must be the same bytes. */
void purchases_answer(int64_t number, const struct answer *answer);
/* Writes "key order item quantity" lines of the acknowledged ones, and "key - item quantity" lines of the refused. */
void purchases_write(const char *path);
json_t *purchases_report(void);

/* ---- what was seen when (timeline.c) ------------------------------------------------------------------ */

enum traffic_kind { TRAFFIC_READ, TRAFFIC_WRITE, TRAFFIC_KINDS };

/* One request that is over. outcome is "ok", or a refusal or failure by its name; stale_ms is -1 for a fresh answer. */
struct sight {
	enum traffic_kind kind;
	bool failed;
	const char *outcome;
	int64_t began_us, ended_us, stale_ms;
};

void timeline_begin(bool progress);
void timeline_free(void);
void timeline_add(const struct sight *sight);
/* Prints a line for each second that is over. */
void timeline_progress(void);
/* The traffic is over: the time since the last success counts as a stall too. */
void timeline_end(void);
json_t *timeline_report(enum traffic_kind kind);
/* One line per 100 ms. */
void timeline_write(const char *path);

/* ---- the requests (client.c, loop.c, settle.c) ------------------------------------------------------------------ */

struct traffic_client {
	CURL *handle;
	struct answer answer;
	struct curl_slist *headers;
	char url[512];
	bool busy;
	enum traffic_kind kind;
	int64_t purchase;                       /* of a write */
	int64_t began_us;                       /* when it should have begun */
};

void client_open(struct traffic_client *client, const struct traffic_terms *terms, bool keepalive);
void client_close(struct traffic_client *client);
void client_send(CURLM *multi, struct traffic_client *client);
/* Makes the request of a purchase under its key at a base url, and sends it. */
void client_send_purchase(CURLM *multi, struct traffic_client *client, const char *base, int64_t purchase);
/* The next client whose request is over, now not busy; NULL: none. */
struct traffic_client *client_finished(CURLM *multi);
/* Whether a purchase's answer is final: an order, or a refusal for what is in stock. */
bool answer_is_definite(const struct answer *answer);

/* Sends the traffic until it is over. */
void loop_run(const struct traffic_terms *terms, FILE *failures);

/*
 * Asks again for purchases that have no definite answer. settle_begin and settle_end bracket all of it; settle_queue is told of each such
 * purchase, settle_step does what can be done now (and never blocks), settle_finish asks until all are answered and verified.
 */
void settle_begin(const struct traffic_terms *terms);
void settle_queue(int64_t purchase);
void settle_step(void);
void settle_finish(void);
json_t *settle_report(void);
void settle_end(void);

#endif
