/*
 * import: loads a catalogue file into the store.
 *
 * The file is read once, in constant memory, and sent in chunks, two of them in flight. Loading an item again is
 * harmless, so after any trouble the same command can be repeated. With replace the ids of the file are remembered, and items of the
 * store that are not among them are removed when the whole file was loaded, never before.
 */
#ifndef PYGMY_CLIENT_IMPORT_H
#define PYGMY_CLIENT_IMPORT_H

#include "client/pygmy/client.h"
#include "client/pygmy/id_set.h"
#include "client/pygmy/import_chunk.h"
#include "client/pygmy/new_key.h"
#include "client/pygmy/progress.h"

#define IMPORT_TIMEOUT_MS 60000           /* of a chunk with its retries */
#define IMPORT_ATTEMPT_MS 20000
#define IMPORT_IN_FLIGHT 2
#define IMPORT_CHUNKS (IMPORT_IN_FLIGHT + 1)   /* one more is being filled */
#define IMPORT_DELETES_IN_FLIGHT 8        /* single deletes: they share the store's commits */

struct import {
	struct client *client;
	const char *file_name;        /* for messages */
	struct catalogue_reader reader;
	bool replace, check_only;
	char id[NEW_KEY_BYTES];       /* what all keys of this import begin with */
	struct id_set ids;            /* with replace */
	struct send_pool *pool;
	struct import_chunk chunks[IMPORT_CHUNKS];
	struct import_chunk *filling;
	struct progress progress;
	uint64_t sent_offset;         /* of the file */
	uint64_t loaded, loaded_bytes, removed;
	enum outcome outcome;         /* DONE until something went wrong */
};

/* Loads from fd. total_bytes: 0 when not known. What went wrong has been said. */
enum outcome import_load(struct import *import, struct client *client, int fd, uint64_t total_bytes);

/* Frees what import_load made. */
void import_close(struct import *import);

/* Removes what is in the store but not in import->ids. Blocks; ends early when interrupted. */
enum outcome import_remove_others(struct import *import);

/* The policy of its requests. */
struct retry_policy import_policy(const struct client *client);

#endif
