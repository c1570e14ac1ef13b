/*
 * import_chunk: a piece of a catalogue file as one POST /item/import.
 *
 * Items are copied as they stand in the file. A chunk knows where in the file it came from, so that a refusal can be
 * told in the user's terms.
 */
#ifndef PYGMY_CLIENT_IMPORT_CHUNK_H
#define PYGMY_CLIENT_IMPORT_CHUNK_H

#include "client/pygmy/catalogue_reader.h"
#include "client/pygmy/send_pool.h"

#define IMPORT_KEY_MAX_BYTES 96

struct import_chunk {
	struct send_job job;          /* first: a job that comes back is its chunk */
	struct text body;
	char key[IMPORT_KEY_MAX_BYTES];
	uint64_t count;
	uint64_t first_number, last_number;   /* items of the file */
	uint64_t first_line;
	uint64_t bytes;               /* of the file: how far this chunk brings the progress */
	int64_t least_id, greatest_id;
	bool in_flight;
};

void import_chunk_init(struct import_chunk *chunk);
void import_chunk_close(struct import_chunk *chunk);

/* Empties it for the next items. */
void import_chunk_begin(struct import_chunk *chunk);

/* False when the item does not fit any more: the chunk is full (an empty chunk takes any item that the reader gives). */
bool import_chunk_add(struct import_chunk *chunk, const struct catalogue_entry *entry);

/* Closes the JSON and gives it its key, `<import id>-<first item>`. Errors: false without memory. */
bool import_chunk_end(struct import_chunk *chunk, const char *import_id);

/* Whether both may hold the same id: then one must be done before the other is sent, so that the later one in the file wins. */
bool import_chunks_overlap(const struct import_chunk *a, const struct import_chunk *b);

#endif
