/*
 * client_table: how many connections each client has open, for one thread: an open-addressing table of a fixed size.
 *
 * It has room for as many clients as there may be connections in all, so it is never full. Nothing allocates but create.
 */
#ifndef PYGMY_NGINX_CLIENT_TABLE_H
#define PYGMY_NGINX_CLIENT_TABLE_H

#include <stdint.h>

struct client_table;

/* For at most connections_max connections at a time. NULL without memory. */
struct client_table *client_table_create(uint32_t connections_max);
void client_table_destroy(struct client_table *table);

/* How many connections the client has. */
uint32_t client_table_count(const struct client_table *table, uint64_t key);

/* One more; one less. More than connections_max in all are not counted, and what was not counted must not be given back. */
void client_table_add(struct client_table *table, uint64_t key);
void client_table_remove(struct client_table *table, uint64_t key);

#endif
