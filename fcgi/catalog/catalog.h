/*
 * catalog: the handlers of the catalog worker. Their rows of the route table, with what they may be called with, are in catalog_routes.c.
 */
#ifndef PYGMY_FCGI_CATALOG_H
#define PYGMY_FCGI_CATALOG_H

#include "fcgi/common/exchange.h"
#include "fcgi/common/worker.h"

/* item_read.c */
void item_get(struct exchange *exchange);         /* GET /item/{id} */
void item_lookup(struct exchange *exchange);      /* GET /lookup?id= */
void item_list(struct exchange *exchange);        /* GET /item[?topic=] */
void item_search(struct exchange *exchange);      /* GET /search?topic= */

/* item_write.c */
void item_create(struct exchange *exchange);      /* POST /item */
void item_update(struct exchange *exchange);      /* PUT /item/{id} */
void item_propagate(struct exchange *exchange);   /* PUT /item/propagate/{id} */
void item_delete(struct exchange *exchange);      /* DELETE /item/{id} */

/* item_import.c */
void item_import(struct exchange *exchange);      /* POST /item/import */

/* coherence_route.c */
void coherence_changes(struct exchange *exchange);   /* GET /coherence/changes, private */
void coherence_nodes(struct exchange *exchange);     /* GET /coherence/nodes, private */

/* snapshot_route.c */
void snapshot_get(struct exchange *exchange);     /* GET /snapshot */

/* item_read.c: one item as a JSON object. */
void item_write_json(const struct item *item, struct writer *out);

/* catalog_routes.c */
extern const struct worker_app catalog_app;

#endif
