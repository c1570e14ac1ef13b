/*
 * order: the handlers of the order worker. Their rows of the route table are in order_routes.c.
 */
#ifndef PYGMY_FCGI_ORDER_H
#define PYGMY_FCGI_ORDER_H

#include "fcgi/common/exchange.h"
#include "fcgi/common/worker.h"

/* buy.c */
void buy(struct exchange *exchange);              /* GET, POST /buy and /buy/{id} */
void order_add(struct exchange *exchange);        /* PUT /update */

/* orders.c */
void order_get(struct exchange *exchange);        /* GET /orders/{id} */
void order_list(struct exchange *exchange);       /* GET /orders */

/* order_routes.c */
extern const struct worker_app order_app;

#endif
