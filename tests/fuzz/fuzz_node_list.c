/* node_list: what is accepted is written back as the same bytes; and the rotation takes it in whatever it says. */
#include <stdint.h>
#include <stdlib.h>

#include "nginx/rotation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rotation *rotation;
	static struct rotation_list list;
	static struct node_list parsed;
	static char written[NODE_LIST_TEXT_MAX_BYTES + 1];
	struct slice text = { (const char *)data, size };

	if (rotation == NULL)
		rotation = rotation_create();
	if (rotation == NULL)
		abort();
	bool sound = node_list_parse(text, &parsed);
	if (sound && (node_list_write(&parsed, written, sizeof written) != size || memcmp(written, data, size) != 0))
		abort();
	enum rotation_outcome outcome = rotation_take(rotation, text);
	if (!sound && outcome != ROTATION_REFUSED)
		abort();
	rotation_look(rotation, &list);
	for (uint32_t i = 0; i < list.count; i++)
		if (list.nodes[i].id == 0 || list.nodes[i].slot >= ROTATION_NODES_MAX || rotation_state(rotation, &list.nodes[i], ROTATION_ORDER) != ROTATION_IN)
			abort();
	return 0;
}
