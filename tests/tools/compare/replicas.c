/* replicas: all replicas over HTTP, page by page in lock step, byte for byte; see compare.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/compare/compare.h"

#define TRY_TIMEOUT_MS 5000
#define PAUSE_MS 50

struct position {
	int64_t index;
	bool ready;
	char chain[CHAIN_HEX_LEN + 1];
	char failure[160];                      /* "": none */
};

struct node {
	char name[COMPARE_NAME_MAX], catalog[COMPARE_URL_MAX], order[COMPARE_URL_MAX];
	CURL *handle;
	struct answer answer;
	struct position position;
};

static struct node nodes[NODES_MAX];
static int node_count;

void replicas_add(const char *text)
{
	struct node *node = &nodes[node_count];
	if (node_count == NODES_MAX || sscanf(text, "%31[^=]=%255[^,],%255s", node->name, node->catalog, node->order) != 3)
		tool_fail("--node takes name=catalog-url,order-url, %d times at most, not '%s'", NODES_MAX, text);
	node->handle = tool_handle(&node->answer, TRY_TIMEOUT_MS);
	node_count++;
}

int replicas_count(void)
{
	return node_count;
}

void replicas_close(void)
{
	for (int i = 0; i < node_count; i++) {
		curl_easy_cleanup(nodes[i].handle);
		answer_free(&nodes[i].answer);
	}
}

/* Asks a node for a path; its answer must show at least that position. */
static bool ask(struct node *node, const char *base, const char *path, int64_t min_index)
{
	char url[COMPARE_URL_MAX + 128];
	struct curl_slist *headers = tool_header(NULL, "X-Pygmy-Min-Revision: %" PRId64, min_index);
	snprintf(url, sizeof url, "%s%s", base, path);
	answer_clear(&node->answer);
	curl_easy_setopt(node->handle, CURLOPT_URL, url);
	curl_easy_setopt(node->handle, CURLOPT_HTTPHEADER, headers);
	answer_finish(&node->answer, node->handle, curl_easy_perform(node->handle));
	curl_easy_setopt(node->handle, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return node->answer.result == CURLE_OK && node->answer.status == 200;
}

static void read_status(struct node *node, json_t *worker)
{
	struct position *position = &node->position;
	const char *chain = json_string_value(json_object_get(worker, "chain"));
	position->ready = json_is_true(json_object_get(worker, "ready"));
	position->index = json_integer_value(json_object_get(worker, "revision"));
	if (!position->ready || chain == NULL || strlen(chain) != CHAIN_HEX_LEN)
		snprintf(position->failure, sizeof position->failure, "is not ready");
	else
		memcpy(position->chain, chain, CHAIN_HEX_LEN + 1);
}

static void ask_position(struct node *node)
{
	char outcome[64];
	json_t *root = NULL;
	node->position = (struct position){ .index = -1 };
	if (ask(node, node->catalog, "/status", 0) && node->answer.body != NULL)
		root = json_loads(node->answer.body, 0, NULL);
	if (root != NULL) {
		read_status(node, json_object_get(root, "worker"));
	} else {
		answer_outcome(&node->answer, outcome, sizeof outcome);
		snprintf(node->position.failure, sizeof node->position.failure, "does not answer %s/status (%s)", node->catalog, outcome);
	}
	json_decref(root);
	/* The order worker stands behind the same replica. */
	if (node->position.failure[0] == '\0' && !ask(node, node->order, "/readyz", 0))
		snprintf(node->position.failure, sizeof node->position.failure, "does not answer %s/readyz", node->order);
}

/* Asks all; whether they are ready and at one index. */
static bool ask_positions(void)
{
	bool same = true;
	for (int i = 0; i < node_count; i++) {
		ask_position(&nodes[i]);
		same = same && nodes[i].position.failure[0] == '\0' && nodes[i].position.index == nodes[0].position.index;
	}
	return same;
}

static void tell_positions(void)
{
	for (int i = 0; i < node_count; i++) {
		const struct position *position = &nodes[i].position;
		if (position->failure[0] != '\0')
			problem("replica %s %s", nodes[i].name, position->failure);
		else
			problem("replica %s is at index %" PRId64, nodes[i].name, position->index);
	}
}

bool replicas_await(int64_t deadline_us, struct replicas_summary *summary)
{
	while (!ask_positions()) {
		if (tool_now_us() > deadline_us) {
			tell_positions();
			return false;
		}
		tool_sleep_ms(PAUSE_MS);
	}
	summary->index = nodes[0].position.index;
	memcpy(summary->chain, nodes[0].position.chain, sizeof summary->chain);
	for (int i = 1; i < node_count; i++)
		if (strcmp(nodes[i].position.chain, nodes[0].position.chain) != 0)
			problem("at index %" PRId64 " replica %s has the chain hash %.16s and %s has %.16s", summary->index, nodes[0].name,
				nodes[0].position.chain, nodes[i].name, nodes[i].position.chain);
	return true;
}

static bool has_answered_like_first(const struct node *node)
{
	return node->answer.body_len == nodes[0].answer.body_len
		&& memcmp(node->answer.body, nodes[0].answer.body, node->answer.body_len) == 0;
}

/* Asks all replicas for a page until they give the same bytes; a page that others change meanwhile is asked for again. */
static bool ask_page(bool of_orders, const char *path, int64_t index, int64_t deadline_us)
{
	for (;;) {
		int failed = -1, different = -1;
		for (int i = 0; i < node_count; i++) {
			if (!ask(&nodes[i], of_orders ? nodes[i].order : nodes[i].catalog, path, index))
				failed = i;
			else if (failed < 0 && !has_answered_like_first(&nodes[i]))
				different = i;
		}
		if (failed < 0 && different < 0)
			return true;
		if (tool_now_us() > deadline_us) {
			if (failed >= 0)
				problem("replica %s does not answer %s (status %ld)", nodes[failed].name, path, nodes[failed].answer.status);
			else
				problem("replicas %s and %s answer %s differently: %.300s AND %.300s", nodes[0].name, nodes[different].name, path,
					nodes[0].answer.body, nodes[different].answer.body);
			return false;
		}
		tool_sleep_ms(PAUSE_MS);
	}
}

static int64_t member_of(const json_t *row, const char *name)
{
	return json_integer_value(json_object_get(row, name));
}

static int64_t take_rows(bool of_orders, const json_t *rows)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row) {
		if (of_orders)
			books_take_order(member_of(row, "id"), member_of(row, "item_id"), member_of(row, "quantity"));
		else
			books_take_item(member_of(row, "id"), member_of(row, "count"));
	}
	return (int64_t)json_array_size(rows);
}

/* Returns how many rows there are. */
static int64_t compare_pages(bool of_orders, int64_t index, int64_t deadline_us)
{
	char path[128];
	int64_t after = 0, count = 0;
	do {
		snprintf(path, sizeof path, "%s?after=%" PRId64 "&limit=1000", of_orders ? "/orders" : "/item", after);
		if (!ask_page(of_orders, path, index, deadline_us))
			return count;
		json_t *root = json_loads(nodes[0].answer.body, 0, NULL);
		count += take_rows(of_orders, json_object_get(root, of_orders ? "order" : "item"));
		after = member_of(root, "next");
		json_decref(root);
	} while (after > 0);
	return count;
}

void replicas_compare(int64_t deadline_us, struct replicas_summary *summary)
{
	summary->items = compare_pages(false, summary->index, deadline_us);
	summary->orders = compare_pages(true, summary->index, deadline_us);
}
