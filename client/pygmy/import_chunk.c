/*
 * import_chunk: {"items":[...]} within the limits of one request.
 */
#include "client/pygmy/import_chunk.h"

#include <inttypes.h>
#include <stdio.h>

#include "db/limits.h"

#define CHUNK_OPEN "{\"items\":["
#define CHUNK_CLOSE "]}"

void import_chunk_init(struct import_chunk *chunk)
{
	*chunk = (struct import_chunk){ .body = TEXT_INIT(IMPORT_BODY_MAX_BYTES) };
	http_answer_init(&chunk->job.answer);
}

void import_chunk_close(struct import_chunk *chunk)
{
	http_answer_close(&chunk->job.answer);
	text_close(&chunk->body);
}

void import_chunk_begin(struct import_chunk *chunk)
{
	text_clear(&chunk->body);
	(void)text_append_string(&chunk->body, CHUNK_OPEN);
	chunk->count = 0;
	chunk->bytes = 0;
}

bool import_chunk_add(struct import_chunk *chunk, const struct catalogue_entry *entry)
{
	size_t room = chunk->body.max_len - chunk->body.len;
	if (chunk->count == IMPORT_ITEMS_MAX || entry->json_len + 1 + sizeof(CHUNK_CLOSE) > room)
		return false;
	if (chunk->count == 0) {
		chunk->first_number = entry->number;
		chunk->first_line = entry->line;
		chunk->least_id = chunk->greatest_id = entry->id;
	} else {
		(void)text_append(&chunk->body, ",", 1);
	}
	(void)text_append(&chunk->body, entry->json, entry->json_len);
	chunk->least_id = entry->id < chunk->least_id ? entry->id : chunk->least_id;
	chunk->greatest_id = entry->id > chunk->greatest_id ? entry->id : chunk->greatest_id;
	chunk->last_number = entry->number;
	chunk->count++;
	return true;
}

bool import_chunk_end(struct import_chunk *chunk, const char *import_id)
{
	int len = snprintf(chunk->key, sizeof(chunk->key), "%s-%" PRIu64, import_id, chunk->first_number);
	return text_append_string(&chunk->body, CHUNK_CLOSE) && len > 0 && (size_t)len < sizeof(chunk->key);
}

bool import_chunks_overlap(const struct import_chunk *a, const struct import_chunk *b)
{
	return a->least_id <= b->greatest_id && b->least_id <= a->greatest_id;
}
