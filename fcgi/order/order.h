/*
 * order: the handlers of the order worker. Their rows of the route table are in main.c.
 */
#ifndef PYGMY_FCGI_ORDER_H
#define PYGMY_FCGI_ORDER_H

#include "fcgi/common/exchange.h"

/* buy.c */
void buy(struct exchange *exchange);              /* GET, POST /buy and /buy/{id} */
void order_add(struct exchange *exchange);        /* PUT /update */

/* orders.c */
void order_get(struct exchange *exchange);        /* GET /orders/{id} */
void order_list(struct exchange *exchange);       /* GET /orders */

#endif
