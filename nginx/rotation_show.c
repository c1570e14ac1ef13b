/* rotation_show: see rotation_show.h. Names and places have no characters that JSON would want escaped (db/node_name.c; the seeds' nginx/render.sh). */
#include "nginx/rotation_show.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const STATES[ROTATION_STATES] = { "in", "unready", "silent" };
static const char *const KINDS[ROTATION_KINDS] = { "catalog", "order" };

const char *rotation_state_name(enum rotation_state state)
{
	return STATES[state];
}

const char *rotation_kind_name(enum rotation_kind kind)
{
	return KINDS[kind];
}

/* At most size bytes fit; what does not is a mistake of ROTATION_SHOW_MAX_BYTES, and is left out. */
static size_t put_node(const struct rotation *rotation, const struct rotation_node *node, char *text, size_t size)
{
	const char *catalog = STATES[rotation_state(rotation, node, ROTATION_CATALOG)];
	const char *order = STATES[rotation_state(rotation, node, ROTATION_ORDER)];
	int len = snprintf(text, size, "{\"catalog\":\"%s\",\"catalog_place\":\"%s\",\"name\":\"%s\",\"order\":\"%s\",\"order_place\":\"%s\"}", catalog,
		node->workers[ROTATION_CATALOG].place, node->name, order, node->workers[ROTATION_ORDER].place);
	return len < 0 || (size_t)len >= size ? 0 : (size_t)len;
}

size_t rotation_show(const struct rotation *rotation, const struct rotation_list *list, char text[ROTATION_SHOW_MAX_BYTES + 1])
{
	const size_t size = ROTATION_SHOW_MAX_BYTES + 1;
	size_t used = (size_t)snprintf(text, size, "{\"message\":{},\"nodes\":[");
	for (uint32_t i = 0; i < list->count; i++) {
		if (i > 0)
			text[used++] = ',';
		used += put_node(rotation, &list->nodes[i], text + used, size - used);
	}
	return used + (size_t)snprintf(text + used, size - used, "],\"revision\":%" PRIu64 ",\"status\":\"Success\",\"validation_code\":200}\n",
		list->revision);
}
