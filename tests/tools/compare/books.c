/* books: what was acknowledged and supplied against what the replicas show; see compare.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/compare/compare.h"

#define LINE_MAX_BYTES 512

struct supply {
	int64_t item, supplied, count, sold;
	bool seen;
};

static struct {
	struct ack *acks;
	size_t ack_count, ack_size;
	bool sorted;
	struct supply supplies[SUPPLIES_MAX];
	int supply_count;
} books;

static void add_ack(const char *key, int64_t order, int64_t item, int64_t quantity)
{
	if (books.ack_count == books.ack_size) {
		books.ack_size = books.ack_size == 0 ? 1024 : 2 * books.ack_size;
		books.acks = realloc(books.acks, books.ack_size * sizeof *books.acks);
		if (books.acks == NULL)
			tool_fail("no memory for acknowledgements");
	}
	books.acks[books.ack_count] = (struct ack){ .key = strdup(key), .order = order, .item = item, .quantity = quantity };
	if (books.acks[books.ack_count++].key == NULL)
		tool_fail("no memory for a key");
}

void books_read_acks(const char *path)
{
	char line[LINE_MAX_BYTES], key[LINE_MAX_BYTES], order[32];
	int64_t item, quantity;
	FILE *stream = fopen(path, "re");
	if (stream == NULL)
		tool_fail("cannot read %s", path);
	while (fgets(line, sizeof line, stream) != NULL) {
		if (sscanf(line, "%511s %31s %" SCNd64 " %" SCNd64, key, order, &item, &quantity) != 4)
			tool_fail("%s: not a line of acknowledgements: %s", path, line);
		add_ack(key, strtoll(order, NULL, 10), item, quantity);
	}
	fclose(stream);
	books.sorted = false;
}

void books_add_supply(const char *text)
{
	struct supply *supply = &books.supplies[books.supply_count];
	if (books.supply_count == SUPPLIES_MAX || sscanf(text, "%" SCNd64 "=%" SCNd64, &supply->item, &supply->supplied) != 2)
		tool_fail("--supplied takes item=count, %d times at most, not '%s'", SUPPLIES_MAX, text);
	books.supply_count++;
}

static struct supply *find_supply(int64_t item)
{
	for (int i = 0; i < books.supply_count; i++)
		if (books.supplies[i].item == item)
			return &books.supplies[i];
	return NULL;
}

static int by_order(const void *left, const void *right)
{
	const struct ack *a = left, *b = right;
	return a->order < b->order ? -1 : a->order > b->order;
}

static void sort_acks(void)
{
	if (!books.sorted && books.ack_count > 0)
		qsort(books.acks, books.ack_count, sizeof *books.acks, by_order);
	books.sorted = true;
}

void books_take_item(int64_t item, int64_t count)
{
	struct supply *supply = find_supply(item);
	if (count < 0)
		problem("item %" PRId64 " has a count of %" PRId64, item, count);
	if (supply != NULL) {
		supply->seen = true;
		supply->count = count;
	}
}

void books_take_order(int64_t order, int64_t item, int64_t quantity)
{
	struct supply *supply = find_supply(item);
	sort_acks();
	struct ack *ack = books.ack_count == 0 ? NULL
		: bsearch(&(struct ack){ .order = order }, books.acks, books.ack_count, sizeof *books.acks, by_order);
	if (supply != NULL)
		supply->sold += quantity;
	if (ack == NULL) {
		if (supply != NULL)
			problem("order %" PRId64 " of item %" PRId64 " was never acknowledged", order, item);
		return;
	}
	if (ack->seen)
		problem("order %" PRId64 " is there twice", order);
	ack->seen = true;
	if (ack->item != item || ack->quantity != quantity)
		problem("order %" PRId64 " is for %" PRId64 " of item %" PRId64 ", but %s was for %" PRId64 " of item %" PRId64, order, quantity, item,
			ack->key, ack->quantity, ack->item);
}

void books_check(void)
{
	sort_acks();
	for (size_t i = 0; i < books.ack_count; i++) {
		const struct ack *ack = &books.acks[i];
		if (ack->order != 0 && i > 0 && ack->order == ack[-1].order)
			problem("%s and %s were both answered with order %" PRId64, ack[-1].key, ack->key, ack->order);
		else if (ack->order != 0 && !ack->seen)
			problem("order %" PRId64 " (%s) was acknowledged, but is not there", ack->order, ack->key);
	}
	for (int i = 0; i < books.supply_count; i++) {
		const struct supply *supply = &books.supplies[i];
		if (!supply->seen)
			problem("item %" PRId64 " is not there", supply->item);
		else if (supply->count + supply->sold != supply->supplied)
			problem("item %" PRId64 ": %" PRId64 " supplied, but %" PRId64 " left and %" PRId64 " sold", supply->item, supply->supplied,
				supply->count, supply->sold);
	}
}

size_t books_ack_count(void)
{
	return books.ack_count;
}

const struct ack *books_ack(size_t number)
{
	return &books.acks[number];
}

void books_free(void)
{
	for (size_t i = 0; i < books.ack_count; i++)
		free(books.acks[i].key);
	free(books.acks);
}
