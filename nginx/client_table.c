/*
 * client_table: see client_table.h.
 *
 * Linear probing in a table that is at most half full; what is removed closes the gap it leaves (Knuth, volume 3, algorithm 6.4 R), so that
 * there are no marks of deleted clients to collect.
 */
#include "nginx/client_table.h"

#include <stdlib.h>

struct client {
	uint64_t key;
	uint32_t connections;         /* 0: the place is free */
};

struct client_table {
	uint32_t mask;
	uint32_t used, used_max;
	struct client clients[];
};

struct client_table *client_table_create(uint32_t connections_max)
{
	uint32_t size = 2;
	while (size < UINT32_MAX / 4 && size < 2 * connections_max)
		size *= 2;
	struct client_table *table = calloc(1, sizeof *table + size * sizeof table->clients[0]);
	if (table != NULL) {
		table->mask = size - 1;
		table->used_max = size / 2;
	}
	return table;
}

void client_table_destroy(struct client_table *table)
{
	free(table);
}

/* The finalizer of MurmurHash3: addresses of one net differ in few bits. */
static uint32_t home_of(const struct client_table *table, uint64_t key)
{
	key ^= key >> 33;
	key *= UINT64_C(0xff51afd7ed558ccd);
	key ^= key >> 33;
	key *= UINT64_C(0xc4ceb9fe1a85ec53);
	key ^= key >> 33;
	return (uint32_t)key & table->mask;
}

/* Where the client is, or the free place where it would be. */
static uint32_t find(const struct client_table *table, uint64_t key)
{
	uint32_t at = home_of(table, key);
	while (table->clients[at].connections != 0 && table->clients[at].key != key)
		at = (at + 1) & table->mask;
	return at;
}

uint32_t client_table_count(const struct client_table *table, uint64_t key)
{
	return table->clients[find(table, key)].connections;
}

void client_table_add(struct client_table *table, uint64_t key)
{
	struct client *client = &table->clients[find(table, key)];
	if (client->connections == 0) {
		if (table->used == table->used_max)
			return;
		table->used++;
		client->key = key;
	}
	client->connections++;
}

static void close_gap(struct client_table *table, uint32_t gap)
{
	for (uint32_t at = (gap + 1) & table->mask; table->clients[at].connections != 0; at = (at + 1) & table->mask) {
		uint32_t from_home = (at - home_of(table, table->clients[at].key)) & table->mask;
		if (from_home < ((at - gap) & table->mask))
			continue;
		table->clients[gap] = table->clients[at];
		table->clients[at].connections = 0;
		gap = at;
	}
}

void client_table_remove(struct client_table *table, uint64_t key)
{
	uint32_t at = find(table, key);
	if (table->clients[at].connections == 0 || --table->clients[at].connections > 0)
		return;
	table->used--;
	close_gap(table, at);
}
