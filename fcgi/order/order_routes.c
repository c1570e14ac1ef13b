/*
 * order_routes: the table of the order worker: purchases and the orders that they make.
 */
#include "fcgi/order/order.h"

static const char *const ID_AND_QUANTITY[] = { "id", "quantity", NULL };
static const char *const QUANTITY[] = { "quantity", NULL };
static const char *const PAGE[] = { "after", "before", "limit", NULL };

static const struct route routes[] = {
	{ .method = METHOD_POST, .pattern = "/buy", .handler = buy, .parameters = ID_AND_QUANTITY, .body_max_bytes = BODY_MAX_BYTES,
		.needs_replica = true },
	{ .method = METHOD_GET, .without_head = true, .pattern = "/buy", .handler = buy, .parameters = ID_AND_QUANTITY,
		.needs_replica = true },
	{ .method = METHOD_POST, .pattern = "/buy/{id}", .handler = buy, .parameters = QUANTITY, .body_max_bytes = BODY_MAX_BYTES,
		.needs_replica = true },
	{ .method = METHOD_GET, .without_head = true, .pattern = "/buy/{id}", .handler = buy, .parameters = QUANTITY,
		.needs_replica = true },
	{ .method = METHOD_GET, .pattern = "/orders", .handler = order_list, .parameters = PAGE, .needs_replica = true },
	{ .method = METHOD_GET, .pattern = "/orders/{id}", .handler = order_get, .needs_replica = true },
	{ .method = METHOD_PUT, .pattern = "/update", .handler = order_add, .role = AUTH_PEER, .body_max_bytes = BODY_MAX_BYTES,
		.body_required = true, .needs_replica = true },
};

const struct worker_app order_app = {
	.kind = "order",
	.routes = routes,
	.route_count = sizeof routes / sizeof routes[0],
	.logs_transactions = true,
};
