/* fencer: see fencer.h. */
#include "db/fencer.h"

#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db/diagnostics.h"
#include "db/limits.h"
#include "db/monotonic.h"

#define STACK_BYTES ((size_t)512 * 1024)
#define NAME_HASH_BYTES 16            /* BLAKE2b's smallest */

struct request {
	char name[NODE_NAME_MAX_BYTES + 1];
	uint64_t since;
	int64_t asked_ms;
	int64_t not_before_ms;
};

struct fencer {
	pthread_mutex_t mutex;
	pthread_cond_t wake;          /* CLOCK_MONOTONIC */
	struct request requests[FRONTENDS_MAX];
	size_t count;
	bool stopping;
	pthread_t thread;
	struct frontends *frontends;
	fencer_propose propose;
	void *context;
	struct replica_stats *stats;
};

/* ---- requests, with the mutex ------------------------------------------------------------------------- */

static void drop(struct fencer *fencer, size_t i)
{
	fencer->requests[i] = fencer->requests[--fencer->count];
}

static void drop_request(struct fencer *fencer, const struct request *request)
{
	for (size_t i = 0; i < fencer->count; i++)
		if (fencer->requests[i].since == request->since && strcmp(fencer->requests[i].name, request->name) == 0) {
			drop(fencer, i);
			return;
		}
}

/* The request that is due, or NULL with the time at which to look again (0: when there is a new one). */
static struct request *find_due(struct fencer *fencer, int64_t *again_ms)
{
	int64_t now_ms = monotonic_ms();
	*again_ms = 0;
	for (size_t i = fencer->count; i-- > 0;) {
		struct request *request = &fencer->requests[i];
		if (now_ms - request->asked_ms >= FENCER_WANTED_MS)
			drop(fencer, i);
		else if (request->not_before_ms <= now_ms)
			return request;
		else if (*again_ms == 0 || request->not_before_ms < *again_ms)
			*again_ms = request->not_before_ms;
	}
	return NULL;
}

/* Waits for a request that is due. False: it is time to end. */
static bool take_due(struct fencer *fencer, struct request *out)
{
	struct request *due = NULL;
	pthread_mutex_lock(&fencer->mutex);
	while (!fencer->stopping && due == NULL) {
		int64_t again_ms;
		due = find_due(fencer, &again_ms);
		struct timespec until = { again_ms / 1000, (long)(again_ms % 1000) * 1000000 };
		if (due == NULL && again_ms == 0)
			pthread_cond_wait(&fencer->wake, &fencer->mutex);
		else if (due == NULL)
			pthread_cond_timedwait(&fencer->wake, &fencer->mutex, &until);
	}
	if (due != NULL) {
		due->not_before_ms = monotonic_ms() + FENCER_PAUSE_MS;
		*out = *due;
	}
	bool goes_on = !fencer->stopping;
	pthread_mutex_unlock(&fencer->mutex);
	return goes_on;
}

void fencer_ask(struct fencer *fencer, const char *name, uint64_t since)
{
	size_t i = 0;
	pthread_mutex_lock(&fencer->mutex);
	while (i < fencer->count && strcmp(fencer->requests[i].name, name) != 0)
		i++;
	if (i < FRONTENDS_MAX) {
		struct request *request = &fencer->requests[i];
		if (i == fencer->count || request->since != since) {
			*request = (struct request){ .since = since };
			snprintf(request->name, sizeof request->name, "%s", name);
			fencer->count += i == fencer->count;
			pthread_cond_signal(&fencer->wake);
		}
		request->asked_ms = monotonic_ms();
	}
	pthread_mutex_unlock(&fencer->mutex);
}

/* ---- fencing ------------------------------------------------------------------------------------------ */

/* Whether a fence would still take effect. When that can't be seen, a try tells. */
static bool is_wanted(struct fencer *fencer, const struct request *request)
{
	struct frontend_list list;
	if (!frontends_look(fencer->frontends, &list))
		return true;
	for (size_t i = 0; i < list.count; i++)
		if (strcmp(list.items[i].name, request->name) == 0)
			return !list.items[i].fenced && list.items[i].since == request->since;
	return false;
}

/* One key for all who want this fence; in the form of nginx's, so that its record is not kept for ever. */
void fencer_make_command(const char *name, uint64_t since, char *key, struct command *out)
{
	unsigned char hash[NAME_HASH_BYTES];
	char hex[2 * NAME_HASH_BYTES + 1];
	crypto_generichash(hash, sizeof hash, (const unsigned char *)name, strlen(name), NULL, 0);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	snprintf(key, SCOPED_KEY_MAX_BYTES + 1, "fence/0/%" PRIu64 ".000-%s", since, hex);
	*out = (struct command){ .type = COMMAND_FRONTEND_FENCE, .request_key = slice_of(key), .time_ms = wallclock_ms() };
	out->frontend_fence = (struct frontend_fence_command){ slice_of(name), since };
}

/* False: it is to be tried again. */
static bool fence(struct fencer *fencer, const struct request *request)
{
	char key[SCOPED_KEY_MAX_BYTES + 1];
	struct command command;
	struct result result;
	if (!is_wanted(fencer, request))
		return true;
	fencer_make_command(request->name, request->since, key, &command);
	enum pygmy_error error = fencer->propose(fencer->context, &command, monotonic_ms() + FENCER_PROPOSE_MS, &result);
	if (error != PYGMY_OK) {
		diagnose_warning("frontend %s could not be fenced yet: %s", request->name, error_code(error));
		return false;
	}
	if (result.error == PYGMY_OK && !result.repeated) {
		atomic_fetch_add(&fencer->stats->fences, 1);
		diagnose_warning("frontend %s is fenced as of index %" PRIu64 ": it did not confirm what it was told", request->name, result.revision);
	}
	/* Now this node has seen it, and its time begins. */
	(void)is_wanted(fencer, request);
	return true;
}

static void *run(void *context)
{
	struct fencer *fencer = context;
	struct request request;
	while (take_due(fencer, &request)) {
		bool done = fence(fencer, &request);
		pthread_mutex_lock(&fencer->mutex);
		if (done)
			drop_request(fencer, &request);
		pthread_mutex_unlock(&fencer->mutex);
	}
	return NULL;
}

/* ---- the thread --------------------------------------------------------------------------------------- */

static void init_lock(struct fencer *fencer)
{
	pthread_condattr_t attributes;
	pthread_mutex_init(&fencer->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&fencer->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void release(struct fencer *fencer)
{
	pthread_cond_destroy(&fencer->wake);
	pthread_mutex_destroy(&fencer->mutex);
	free(fencer);
}

enum pygmy_error fencer_create(struct frontends *frontends, fencer_propose propose, void *context, struct replica_stats *stats, struct fencer **out)
{
	struct fencer *fencer = calloc(1, sizeof *fencer);
	pthread_attr_t attributes;
	*out = NULL;
	if (fencer == NULL)
		return PYGMY_OUT_OF_MEMORY;
	init_lock(fencer);
	fencer->frontends = frontends;
	fencer->propose = propose;
	fencer->context = context;
	fencer->stats = stats;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	int rc = pthread_create(&fencer->thread, &attributes, run, fencer);
	pthread_attr_destroy(&attributes);
	if (rc != 0) {
		release(fencer);
		return PYGMY_OUT_OF_MEMORY;
	}
	*out = fencer;
	return PYGMY_OK;
}

void fencer_destroy(struct fencer *fencer)
{
	if (fencer == NULL)
		return;
	pthread_mutex_lock(&fencer->mutex);
	fencer->stopping = true;
	pthread_cond_signal(&fencer->wake);
	pthread_mutex_unlock(&fencer->mutex);
	pthread_join(fencer->thread, NULL);
	release(fencer);
}
