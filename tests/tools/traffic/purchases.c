/* purchases: every purchase that was sent, with its first definite answer; see traffic.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/traffic/traffic.h"

static struct {
	struct purchase *list;                  /* purchase n has the key traffic-<name>-n */
	int64_t count, size;
	int64_t different;
	const char *name;
} purchases;

void purchases_init(const char *name)
{
	purchases.name = name;
}

void purchases_free(void)
{
	for (int64_t i = 0; i < purchases.count; i++)
		free(purchases.list[i].body);
	free(purchases.list);
}

int64_t purchases_add(int64_t item, int64_t quantity)
{
	if (purchases.count == purchases.size) {
		purchases.size = purchases.size == 0 ? 1024 : 2 * purchases.size;
		struct purchase *grown = realloc(purchases.list, (size_t)purchases.size * sizeof *grown);
		if (grown == NULL)
			tool_fail("no memory for %lld purchases", (long long)purchases.size);
		purchases.list = grown;
	}
	purchases.list[purchases.count] = (struct purchase){ .item = item, .quantity = quantity };
	return purchases.count++;
}

int64_t purchases_count(void)
{
	return purchases.count;
}

const struct purchase *purchases_get(int64_t number)
{
	return &purchases.list[number];
}

void purchases_key(int64_t number, char key[TRAFFIC_KEY_MAX])
{
	snprintf(key, TRAFFIC_KEY_MAX, "traffic-%s-%" PRId64, purchases.name, number);
}

static void tell_difference(int64_t number, const struct purchase *purchase, const struct answer *answer)
{
	char key[TRAFFIC_KEY_MAX];
	purchases_key(number, key);
	purchases.different++;
	fprintf(stderr, "traffic: %s was answered with %ld %s then with %ld %s\n", key, purchase->status, purchase->body, answer->status,
		answer->body != NULL ? answer->body : "");
}

void purchases_answer(int64_t number, const struct answer *answer)
{
	struct purchase *purchase = &purchases.list[number];
	const char *body = answer->body != NULL ? answer->body : "";
	if (purchase->state != PURCHASE_UNANSWERED) {
		if (purchase->status != answer->status || strcmp(purchase->body, body) != 0)
			tell_difference(number, purchase, answer);
		purchase->state = PURCHASE_VERIFIED;
		return;
	}
	purchase->state = PURCHASE_ANSWERED;
	purchase->status = answer->status;
	purchase->order = answer->status == 200 ? answer_order_id(answer) : 0;
	purchase->body = strdup(body);
	if (purchase->body == NULL)
		tool_fail("no memory for an answer");
}

void purchases_write(const char *path)
{
	char key[TRAFFIC_KEY_MAX];
	FILE *stream = fopen(path, "we");
	if (stream == NULL)
		tool_fail("cannot write %s", path);
	for (int64_t i = 0; i < purchases.count; i++) {
		const struct purchase *purchase = &purchases.list[i];
		if (purchase->state == PURCHASE_UNANSWERED)
			continue;
		purchases_key(i, key);
		if (purchase->status == 200)
			fprintf(stream, "%s %" PRId64 " %" PRId64 " %" PRId64 "\n", key, purchase->order, purchase->item, purchase->quantity);
		else
			fprintf(stream, "%s - %" PRId64 " %" PRId64 "\n", key, purchase->item, purchase->quantity);
	}
	if (fclose(stream) != 0)
		tool_fail("cannot write %s", path);
}

json_t *purchases_report(void)
{
	json_int_t acknowledged = 0, refused = 0, unanswered = 0, verified = 0;
	for (int64_t i = 0; i < purchases.count; i++) {
		const struct purchase *purchase = &purchases.list[i];
		unanswered += purchase->state == PURCHASE_UNANSWERED;
		verified += purchase->state == PURCHASE_VERIFIED;
		acknowledged += purchase->state != PURCHASE_UNANSWERED && purchase->status == 200;
		refused += purchase->state != PURCHASE_UNANSWERED && purchase->status != 200;
	}
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "keys", (json_int_t)purchases.count, "acknowledged", acknowledged, "refused", refused,
		"unanswered", unanswered, "verified", verified, "different", (json_int_t)purchases.different);
}
