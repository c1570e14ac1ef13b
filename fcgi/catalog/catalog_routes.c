/*
 * catalog_routes: the table of the catalog worker: search, lookup and the items, for readers, administrators and other replicas.
 */
#include "fcgi/catalog/catalog.h"

static const char *const ID[] = { "id", NULL };
static const char *const PAGE_OF_TOPIC[] = { "topic", "after", "limit", NULL };
static const char *const CHANGES[] = { "since", "log", "frontend", "joined", NULL };

static const struct route routes[] = {
	{ .method = METHOD_GET, .pattern = "/lookup", .handler = item_lookup, .parameters = ID, .needs_replica = true, .is_quick = true },
	{ .method = METHOD_GET, .pattern = "/search", .handler = item_search, .parameters = PAGE_OF_TOPIC, .needs_replica = true,
		.is_quick = true },
	{ .method = METHOD_GET, .pattern = "/item/{id}", .handler = item_get, .needs_replica = true, .is_quick = true },
	{ .method = METHOD_GET, .pattern = "/item", .handler = item_list, .parameters = PAGE_OF_TOPIC, .needs_replica = true,
		.is_quick = true },
	{ .method = METHOD_POST, .pattern = "/item", .handler = item_create, .role = AUTH_ADMIN, .body_max_bytes = BODY_MAX_BYTES,
		.body_required = true, .needs_replica = true },
	{ .method = METHOD_PUT, .pattern = "/item/{id}", .handler = item_update, .role = AUTH_ADMIN, .body_max_bytes = BODY_MAX_BYTES,
		.body_required = true, .needs_replica = true },
	{ .method = METHOD_DELETE, .pattern = "/item/{id}", .handler = item_delete, .role = AUTH_ADMIN, .needs_replica = true },
	{ .method = METHOD_PUT, .pattern = "/item/propagate/{id}", .handler = item_propagate, .role = AUTH_PEER,
		.body_max_bytes = BODY_MAX_BYTES, .body_required = true, .needs_replica = true },
	{ .method = METHOD_POST, .pattern = "/item/import", .handler = item_import, .role = AUTH_ADMIN,
		.body_max_bytes = IMPORT_BODY_MAX_BYTES, .body_required = true, .needs_replica = true },
	{ .method = METHOD_GET, .without_head = true, .pattern = "/snapshot", .handler = snapshot_get, .role = AUTH_ADMIN_OR_PEER,
		.needs_replica = true },
	{ .method = METHOD_GET, .pattern = "/coherence/changes", .handler = coherence_changes, .parameters = CHANGES, .is_private = true,
		.needs_replica = true },
	{ .method = METHOD_GET, .pattern = "/coherence/nodes", .handler = coherence_nodes, .is_private = true, .needs_replica = true },
};

const struct worker_app catalog_app = {
	.kind = "catalog",
	.routes = routes,
	.route_count = sizeof routes / sizeof routes[0],
	.loads_catalogue = true,
	.makes_snapshots = true,
	.is_mostly_quick = true,
};
