/* frontends: see frontends.h. */
#include "db/frontends.h"

#include <stdlib.h>

#include "db/reader.h"

struct frontends {
	struct reader_pool *readers;
	struct node_state *state;
};

enum pygmy_error frontends_create(const char *db_path, struct node_state *state, struct frontends **out)
{
	struct frontends *frontends = calloc(1, sizeof *frontends);
	*out = NULL;
	if (frontends == NULL)
		return PYGMY_OUT_OF_MEMORY;
	frontends->state = state;
	enum pygmy_error error = reader_pool_create(db_path, FRONTENDS_LOOKS_MAX, &frontends->readers);
	if (error != PYGMY_OK) {
		free(frontends);
		return error;
	}
	*out = frontends;
	return PYGMY_OK;
}

void frontends_destroy(struct frontends *frontends)
{
	if (frontends == NULL)
		return;
	reader_pool_destroy(frontends->readers);
	free(frontends);
}

enum pygmy_error frontends_read(struct reader *reader, struct node_state *state, struct frontend_list *out)
{
	uint64_t fence = 0;
	enum pygmy_error error = reader_frontends(reader, out->items, &out->count);
	if (error != PYGMY_OK)
		return error;
	out->position = reader_revision(reader);
	for (size_t i = 0; i < out->count; i++)
		if (out->items[i].fenced && out->items[i].since > fence)
			fence = out->items[i].since;
	out->fence_seen_ms = fence > 0 ? node_state_see_fence(state, fence) : 0;
	return PYGMY_OK;
}

bool frontends_look(struct frontends *frontends, struct frontend_list *out)
{
	struct reader *reader;
	if (reader_pool_begin(frontends->readers, 0, &reader) != PYGMY_OK)
		return false;
	enum pygmy_error error = frontends_read(reader, frontends->state, out);
	reader_end(reader);
	return error == PYGMY_OK;
}
