/*
 * compare: what the parts of the tool tests/tools/compare.c share: the replicas, the acknowledged purchases, and what is wrong.
 */
#ifndef PYGMY_TESTS_COMPARE_H
#define PYGMY_TESTS_COMPARE_H

#include <jansson.h>

#include "tests/tools/common/tool.h"

#define NODES_MAX 16
#define SUPPLIES_MAX 64
#define ACKS_MAX 64
#define CHAIN_HEX_LEN 64
#define COMPARE_NAME_MAX 32
#define COMPARE_URL_MAX 256

/* What is wrong, as a sentence; only the first ones are kept. */
void problem(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- what must be there (books.c) --------------------------------------------------------------------- */

/* Reads "key order item quantity" lines, order "-" for a refused purchase. */
void books_read_acks(const char *path);
/* "item=count": the item was given so many, and all its orders stand in the acks. */
void books_add_supply(const char *text);
/* One item or order of the store, as all replicas show it. */
void books_take_item(int64_t item, int64_t count);
void books_take_order(int64_t order, int64_t item, int64_t quantity);
/* All was taken: the sums. */
void books_check(void);
void books_free(void);

struct ack {
	char *key;                              /* owned */
	int64_t order, item, quantity;          /* order 0: refused */
	bool seen;
};
size_t books_ack_count(void);
const struct ack *books_ack(size_t number);

/* ---- the replicas over HTTP (replicas.c) -------------------------------------------------------------- */

struct replicas_summary {
	int64_t index, items, orders;
	char chain[CHAIN_HEX_LEN + 1];
};

/* "name=catalog-url,order-url" */
void replicas_add(const char *text);
int replicas_count(void);
/* Waits until all are ready at one index. False: they were not until deadline_us, which has been told as a problem. */
bool replicas_await(int64_t deadline_us, struct replicas_summary *summary);
/* Compares all pages of items and orders, and gives them to the books. */
void replicas_compare(int64_t deadline_us, struct replicas_summary *summary);
void replicas_close(void);

/* ---- the database files (files.c) --------------------------------------------------------------------- */

void files_add(const char *path);
/* Checks each file, compares them with each other at one index, and looks the acks up in each. */
void files_compare(int64_t deadline_us);

#endif
