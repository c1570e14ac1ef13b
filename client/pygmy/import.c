/*
 * import: the reading thread fills chunks; the pool's threads send them.
 */
#include "client/pygmy/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/pygmy/wait.h"

struct retry_policy import_policy(const struct client *client)
{
	struct retry_policy policy = client_policy(client, true);
	if (client->settings.timeout_ms == 0)
		policy.deadline_ms = IMPORT_TIMEOUT_MS;
	policy.attempt_ms = IMPORT_ATTEMPT_MS;
	policy.on_retry = NULL;
	return policy;
}

/* Which part of the file a chunk is. */
static void tell_where(const struct import *import, const struct import_chunk *chunk)
{
	(void)fprintf(stderr, "  It was about items %" PRIu64 " to %" PRIu64 " of %s (from line %" PRIu64 " on).\n", chunk->first_number,
		      chunk->last_number, import->file_name, chunk->first_line);
}

/* Takes note of a chunk that came back. */
static void settle(struct import *import, struct import_chunk *chunk)
{
	const struct send_job *job = &chunk->job;
	chunk->in_flight = false;
	if (job->end == RETRY_ANSWERED && job->answer.status >= 200 && job->answer.status < 300) {
		import->loaded += chunk->count;
		import->loaded_bytes += chunk->bytes;
		progress_update(&import->progress, import->loaded, import->loaded_bytes, wait_now_ms());
		return;
	}
	if (import->outcome != OUTCOME_DONE)
		return;
	progress_wipe(&import->progress);
	if (job->end != RETRY_ANSWERED && wait_is_interrupted()) {
		import->outcome = OUTCOME_INTERRUPTED;
		return;
	}
	/* No key: there is nothing to ask again but the import itself. */
	import->outcome = client_explain(import->client, job->end, &job->answer, NULL, NULL);
	if (import->outcome == OUTCOME_UNAVAILABLE && job->end == RETRY_UNKNOWN)
		import->outcome = OUTCOME_UNKNOWN;
	tell_where(import, chunk);
}

static bool take_one(struct import *import)
{
	struct send_job *job = send_pool_take(import->pool);
	if (job == NULL)
		return false;
	settle(import, (struct import_chunk *)job);
	return true;
}

static bool overlaps_in_flight(const struct import *import, const struct import_chunk *chunk)
{
	for (size_t i = 0; i < IMPORT_CHUNKS; i++) {
		if (import->chunks[i].in_flight && import_chunks_overlap(chunk, &import->chunks[i]))
			return true;
	}
	return false;
}

/* Sends what is being filled, and gets an empty chunk to fill. */
static void send_chunk(struct import *import, uint64_t end_offset)
{
	struct import_chunk *chunk = import->filling;
	chunk->bytes = end_offset - import->sent_offset;
	import->sent_offset = end_offset;
	while (import->outcome == OUTCOME_DONE &&
	       (send_pool_in_flight(import->pool) == IMPORT_IN_FLIGHT || overlaps_in_flight(import, chunk)) && take_one(import))
		continue;
	if (import->outcome != OUTCOME_DONE)
		return;
	if (!import_chunk_end(chunk, import->id)) {
		import->outcome = client_fail(import->client, OUTCOME_LOCAL, "out_of_memory", "out of memory");
		return;
	}
	chunk->job.request = (struct http_request){ .method = "POST", .path = "/item/import", .body = text_borrow(&chunk->body),
						    .body_len = chunk->body.len, .token = import->client->token.value, .key = chunk->key };
	chunk->job.urls = &import->client->settings.catalog;
	chunk->job.policy = import_policy(import->client);
	chunk->in_flight = true;
	send_pool_submit(import->pool, &chunk->job);
	import->filling = &import->chunks[0];
	while (import->filling->in_flight)
		import->filling++;
	import_chunk_begin(import->filling);
}

static void take_entry(struct import *import, const struct catalogue_entry *entry, uint64_t *offset)
{
	if (import->replace && !id_set_add(&import->ids, entry->id)) {
		import->outcome = client_fail(import->client, OUTCOME_LOCAL, "file", "%s: too many ids to remember for --replace", import->file_name);
		return;
	}
	if (import->check_only) {
		import->loaded++;
		import->loaded_bytes = entry->end_offset;
		if (import->loaded % 1024 == 0)
			progress_update(&import->progress, import->loaded, import->loaded_bytes, wait_now_ms());
	} else if (!import_chunk_add(import->filling, entry)) {
		send_chunk(import, *offset);
		if (import->outcome == OUTCOME_DONE)
			(void)import_chunk_add(import->filling, entry);
	}
	*offset = entry->end_offset;
}

static void read_file(struct import *import)
{
	struct catalogue_entry entry;
	enum catalogue_read read = CATALOGUE_READ_ITEM;
	uint64_t offset = 0;
	while (import->outcome == OUTCOME_DONE && (read = catalogue_reader_next(&import->reader, &entry)) == CATALOGUE_READ_ITEM) {
		take_entry(import, &entry, &offset);
		if (wait_is_interrupted())
			import->outcome = OUTCOME_INTERRUPTED;
	}
	if (import->outcome == OUTCOME_DONE && !import->check_only && read == CATALOGUE_READ_END && import->filling->count > 0)
		send_chunk(import, offset);
	while (import->pool != NULL && take_one(import))
		continue;
	progress_wipe(&import->progress);
	if (import->outcome == OUTCOME_DONE && read != CATALOGUE_READ_END)
		import->outcome = client_fail(import->client, OUTCOME_LOCAL, "file", "%s: %s", import->file_name, import->reader.error);
}

enum outcome import_load(struct import *import, struct client *client, int fd, uint64_t total_bytes)
{
	import->client = client;
	id_set_init(&import->ids);
	for (size_t i = 0; i < IMPORT_CHUNKS; i++)
		import_chunk_init(&import->chunks[i]);
	import->filling = &import->chunks[0];
	import_chunk_begin(import->filling);
	progress_init(&import->progress, stderr, isatty(STDERR_FILENO) == 1, client->quiet, import->check_only ? "checked" : "loaded", total_bytes,
		      wait_now_ms());
	import->outcome = OUTCOME_DONE;
	if (!import->check_only)
		import->pool = send_pool_create(IMPORT_IN_FLIGHT);
	if (!catalogue_reader_init(&import->reader, fd) || (!import->check_only && import->pool == NULL) || !new_key_make(import->id))
		import->outcome = client_fail(client, OUTCOME_LOCAL, "out_of_memory", "out of memory");
	else
		read_file(import);
	return import->outcome;
}

void import_close(struct import *import)
{
	send_pool_destroy(import->pool);
	import->pool = NULL;
	for (size_t i = 0; i < IMPORT_CHUNKS; i++)
		import_chunk_close(&import->chunks[i]);
	catalogue_reader_close(&import->reader);
	id_set_close(&import->ids);
}
