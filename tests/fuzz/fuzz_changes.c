/* changes: a text is refused whole or accepted whole, and what was accepted is written back as the same bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "db/changes.h"
#include "db/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct visited {
	size_t count;
	uint64_t position;
};

static void visit(void *context, uint32_t slot, uint64_t revision)
{
	struct visited *visited = context;
	if (slot >= SLOT_COUNT || revision > visited->position)
		abort();
	visited->count++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	struct changes_head head;
	char written[128];

	bool sound = changes_parse(text, &head, NULL, NULL);
	struct visited visited = { 0, sound ? head.position : 0 };
	if (changes_parse(text, &head, visit, &visited) != sound || (!sound && visited.count > 0))
		abort();
	if (!sound)
		return 0;
	size_t len = changes_write_head(&head, written, sizeof written);
	if (len == 0 || len > size || memcmp(written, data, len) != 0)
		abort();
	return 0;
}
