/*
 * import_remove: the end of `pygmy import --replace`: removes what the file does not have.
 *
 * The store's items are paged through in id order while others are deleted; a page starts behind the last id of the one before, so
 * nothing is skipped. Deletes are single commands, several in flight. Each has a key of its own, so a repeated one is harmless.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "client/pygmy/envelope.h"
#include "client/pygmy/import.h"
#include "client/pygmy/wait.h"
#include "db/limits.h"

struct deletion {
	struct send_job job;          /* first */
	char path[48];
	char key[IMPORT_KEY_MAX_BYTES];
	bool in_flight;
};

struct removal {
	struct import *import;
	struct send_pool *pool;
	struct deletion deletions[IMPORT_DELETES_IN_FLIGHT];
	struct progress progress;
	uint64_t scanned;
};

/* An item that is gone already is as good as removed. */
static bool take_one(struct removal *removal)
{
	struct import *import = removal->import;
	struct deletion *deletion = (struct deletion *)send_pool_take(removal->pool);
	if (deletion == NULL)
		return false;
	const struct send_job *job = &deletion->job;
	deletion->in_flight = false;
	bool answered = job->end == RETRY_ANSWERED;
	if (answered && (job->answer.status == 200 || job->answer.status == 404)) {
		import->removed += job->answer.status == 200 ? 1 : 0;
	} else if (import->outcome == OUTCOME_DONE) {
		progress_wipe(&removal->progress);
		import->outcome = !answered && wait_is_interrupted() ? OUTCOME_INTERRUPTED :
				  client_explain(import->client, job->end, &job->answer, NULL, NULL);
	}
	return true;
}

static void remove_item(struct removal *removal, int64_t id)
{
	struct import *import = removal->import;
	if (send_pool_in_flight(removal->pool) == IMPORT_DELETES_IN_FLIGHT)
		(void)take_one(removal);
	struct deletion *deletion = removal->deletions;
	while (deletion->in_flight)
		deletion++;
	(void)snprintf(deletion->path, sizeof(deletion->path), "/item/%" PRId64, id);
	(void)snprintf(deletion->key, sizeof(deletion->key), "%s-d%" PRId64, import->id, id);
	deletion->job.request = (struct http_request){ .method = "DELETE", .path = deletion->path, .token = import->client->token.value,
						       .key = deletion->key };
	deletion->job.urls = &import->client->settings.catalog;
	deletion->job.policy = import_policy(import->client);
	deletion->in_flight = true;
	send_pool_submit(removal->pool, &deletion->job);
}

/* Removes what a page has and the file does not; *after moves to its last id. False: this was the last page. */
static bool remove_from_page(struct removal *removal, const json_t *envelope, int64_t *after)
{
	struct import *import = removal->import;
	const json_t *items = envelope_list(envelope, "item");
	size_t count = json_array_size(items);
	for (size_t i = 0; i < count && import->outcome == OUTCOME_DONE; i++) {
		int64_t id = json_integer_value(json_object_get(json_array_get(items, i), "id"));
		if (id <= *after)
			return false;
		*after = id;
		if (!id_set_has(&import->ids, id))
			remove_item(removal, id);
		removal->scanned++;
		if (wait_is_interrupted())
			import->outcome = OUTCOME_INTERRUPTED;
	}
	progress_update(&removal->progress, removal->scanned, 0, wait_now_ms());
	return envelope_next(envelope) > 0;
}

static void scan(struct removal *removal)
{
	struct import *import = removal->import;
	int64_t after = 0;
	bool more = true;
	while (more && import->outcome == OUTCOME_DONE) {
		char path[80];
		struct reply reply;
		(void)snprintf(path, sizeof(path), "/item?limit=%d&after=%" PRId64, PAGE_MAX, after);
		const struct ask ask = { .urls = &import->client->settings.catalog, .request = { .method = "GET", .path = path } };
		enum outcome outcome = client_ask(import->client, &ask, &reply);
		if (outcome == OUTCOME_DONE)
			more = remove_from_page(removal, reply.envelope, &after);
		else if (import->outcome == OUTCOME_DONE)
			import->outcome = outcome;   /* client_ask has said why */
		reply_close(&reply);
	}
	while (take_one(removal))
		continue;
}

enum outcome import_remove_others(struct import *import)
{
	struct removal removal = { .import = import, .pool = send_pool_create(IMPORT_DELETES_IN_FLIGHT) };
	if (removal.pool == NULL)
		return client_fail(import->client, OUTCOME_LOCAL, "out_of_memory", "out of memory");
	for (size_t i = 0; i < IMPORT_DELETES_IN_FLIGHT; i++)
		http_answer_init(&removal.deletions[i].job.answer);
	progress_init(&removal.progress, stderr, isatty(STDERR_FILENO) == 1, import->client->quiet, "compared", 0, wait_now_ms());
	scan(&removal);
	progress_wipe(&removal.progress);
	send_pool_destroy(removal.pool);
	for (size_t i = 0; i < IMPORT_DELETES_IN_FLIGHT; i++)
		http_answer_close(&removal.deletions[i].job.answer);
	return import->outcome;
}
