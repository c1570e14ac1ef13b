/*
 * node_list: the text in which a node tells frontends who the nodes of the cluster are.
 *
 *     pygmy-nodes 1 <log id: 16 lowercase hex digits> <revision>\n
 *     <name> <URL of its catalog worker> <URL of its order worker>\n      1 to MEMBERS_MAX lines, names ascending
 *
 * The list is that of the log's members at the revision. Names and URLs are as node_name_is_valid and node_url_is_valid say; numbers are
 * decimal without leading zeros. A text is at most NODE_LIST_TEXT_MAX_BYTES long; anything else is refused whole.
 */
#ifndef PYGMY_DB_NODE_LIST_H
#define PYGMY_DB_NODE_LIST_H

#include <stdint.h>

#include "db/changes.h"
#include "db/cluster.h"
#include "db/slice.h"

#define NODE_LIST_TEXT_MAX_BYTES (64 + MEMBERS_MAX * (NODE_NAME_MAX_BYTES + 2 * NODE_URL_MAX_BYTES + 3))

struct node_list_entry {
	char name[NODE_NAME_MAX_BYTES + 1];
	char catalog_url[NODE_URL_MAX_BYTES + 1];
	char order_url[NODE_URL_MAX_BYTES + 1];
};

struct node_list {
	char log_id[LOG_ID_HEX_LEN + 1];
	uint64_t revision;
	uint32_t count;
	struct node_list_entry nodes[MEMBERS_MAX];
};

/* Writes the text; returns its length, 0 when buf_size is too small (NODE_LIST_TEXT_MAX_BYTES + 1 always suffices) or the list is not valid. */
size_t node_list_write(const struct node_list *list, char *buf, size_t buf_size);

/* False: not such a text; *out is not to be used then. No allocation, any thread. */
bool node_list_parse(struct slice text, struct node_list *out);

#endif
