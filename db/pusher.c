/* pusher: see pusher.h. libcurl's errors are handled here and go no further than a counter and the log. */
#include "db/pusher.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>

#include "db/changes.h"
#include "db/diagnostics.h"
#include "db/monotonic.h"
#include "db/push_target.h"
#include "db/push_text.h"

#define HEDGE_FIRST_MS 50             /* a push that is not confirmed after so long is sent again beside the first try, */
#define HEDGE_MS 25                   /* and again, */
#define HEDGE_LATE_MS 100             /* less often when patience is over */
#define RETRY_PAUSE_MS 20             /* when nothing is under way, since it was refused */
#define LEASE_MARGIN_MS 10            /* clocks are read at two places */
#define HTTP_NO_CONTENT 204

/* A batch that waits for its push; on the stack of the thread that waits. */
struct push_wait {
	const struct result *results;
	size_t count;
	int64_t committed_ms;
	bool done;
	struct push_wait *next;
};

struct pusher {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct push_wait *first, **last;      /* batches that are not in the current push */
	bool pushing;
	char log_id[LOG_ID_HEX_LEN + 1];
	struct push_text *text;               /* the rest belongs to whoever pushes */
	CURLM *multi;
	struct push_headers headers;
	const struct tls_files *tls;
	struct frontends *registered;         /* these three: in a cluster */
	struct fencer *fencer;
	struct frontend_list list;
	struct push_target *targets[FRONTENDS_MAX];
	size_t target_count;
	int64_t least_ms;                     /* the push that is under way ends not before; monotonic */
	int lease_ms;
	struct replica_stats *stats;
};

/* ---- set-up ----------------------------------------------------------------------------------------- */

static enum pygmy_error add_target(struct pusher *pusher, struct slice url)
{
	if (pusher->target_count == FRONTENDS_MAX) {
		diagnose_error("there are more than %d frontends", FRONTENDS_MAX);
		return PYGMY_INTERNAL;
	}
	struct push_target *target = malloc(sizeof *target);
	if (target == NULL)
		return PYGMY_OUT_OF_MEMORY;
	enum pygmy_error error = push_target_init(target, url, &pusher->headers, pusher->tls);
	if (error != PYGMY_OK) {
		free(target);
		return error;
	}
	pusher->targets[pusher->target_count++] = target;
	return PYGMY_OK;
}

static void drop_target(struct pusher *pusher, size_t i)
{
	push_target_close(pusher->targets[i]);
	free(pusher->targets[i]);
	pusher->targets[i] = pusher->targets[--pusher->target_count];
}

static enum pygmy_error add_targets(struct pusher *pusher, const char *urls)
{
	enum pygmy_error error = PYGMY_OK;
	while (error == PYGMY_OK && *urls != '\0') {
		size_t len = strcspn(urls, " ");
		if (len > 0)
			error = add_target(pusher, (struct slice){ urls, len });
		urls += len + (urls[len] == ' ' ? 1 : 0);
	}
	return error;
}

enum pygmy_error pusher_create(const struct pusher_options *options, struct replica_stats *stats, struct pusher **out)
{
	struct pusher *pusher = calloc(1, sizeof *pusher);
	*out = NULL;
	if (pusher == NULL)
		return PYGMY_OUT_OF_MEMORY;
	pthread_mutex_init(&pusher->mutex, NULL);
	pthread_cond_init(&pusher->changed, NULL);
	pusher->last = &pusher->first;
	pusher->lease_ms = options->lease_ms;
	pusher->registered = options->registered;
	pusher->fencer = options->fencer;
	pusher->tls = options->tls;
	pusher->stats = stats;
	memcpy(pusher->log_id, options->log_id, LOG_ID_HEX_LEN);
	pusher->text = push_text_create(options->log_id);
	pusher->multi = curl_multi_init();
	enum pygmy_error error = PYGMY_OUT_OF_MEMORY;
	if (pusher->text != NULL && pusher->multi != NULL && push_headers_init(&pusher->headers, options->peer_token))
		error = options->registered == NULL ? add_targets(pusher, options->frontends) : PYGMY_OK;
	if (error != PYGMY_OK) {
		pusher_destroy(pusher);
		return error;
	}
	*out = pusher;
	return PYGMY_OK;
}

void pusher_destroy(struct pusher *pusher)
{
	if (pusher == NULL)
		return;
	while (pusher->target_count > 0)
		drop_target(pusher, 0);
	if (pusher->multi != NULL)
		curl_multi_cleanup(pusher->multi);
	push_headers_close(&pusher->headers);
	push_text_destroy(pusher->text);
	pthread_cond_destroy(&pusher->changed);
	pthread_mutex_destroy(&pusher->mutex);
	free(pusher);
}

/* ---- whom to tell ------------------------------------------------------------------------------------- */

static bool is_registered(const struct frontend_list *list, const struct push_target *target)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].url, target->url) == 0 && strcmp(list->items[i].name, target->registered.name) == 0)
			return true;
	return false;
}

static struct push_target *find_target(struct pusher *pusher, const struct registered_frontend *frontend)
{
	for (size_t i = 0; i < pusher->target_count; i++)
		if (strcmp(pusher->targets[i]->url, frontend->url) == 0 && strcmp(pusher->targets[i]->registered.name, frontend->name) == 0)
			return pusher->targets[i];
	return add_target(pusher, slice_of(frontend->url)) == PYGMY_OK ? pusher->targets[pusher->target_count - 1] : NULL;
}

/*
 * Those that the log registers at position or later. Who is fenced is still waited for until the leases of before the fence have lapsed.
 * When they are not known, or one has no target, their leases are waited out, whoever they are: by then any lease includes the change.
 */
static void choose_targets(struct pusher *pusher, uint64_t position, int64_t committed_ms)
{
	struct frontend_list *list = &pusher->list;
	int64_t lease_ms = pusher->lease_ms + LEASE_MARGIN_MS;
	pusher->least_ms = 0;
	for (size_t i = 0; i < pusher->target_count; i++)
		pusher->targets[i]->lapse_ms = committed_ms + lease_ms;
	if (pusher->registered == NULL)
		return;
	if (!frontends_look(pusher->registered, list) || list->position < position) {
		pusher->least_ms = committed_ms + lease_ms;
		return;
	}
	for (size_t i = pusher->target_count; i-- > 0;)
		if (!is_registered(list, pusher->targets[i]))
			drop_target(pusher, i);
	for (size_t i = 0; i < list->count; i++) {
		const struct registered_frontend *frontend = &list->items[i];
		struct push_target *target = find_target(pusher, frontend);
		int64_t since_ms = frontend->fenced && list->fence_seen_ms < committed_ms ? list->fence_seen_ms : committed_ms;
		if (target != NULL) {
			target->registered = *frontend;
			target->lapse_ms = since_ms + lease_ms;
		} else {
			pusher->least_ms = since_ms + lease_ms > pusher->least_ms ? since_ms + lease_ms : pusher->least_ms;
			if (!frontend->fenced)
				fencer_ask(pusher->fencer, frontend->name, frontend->since);
		}
	}
}

/* ---- one push to all frontends ------------------------------------------------------------------------ */

static void note_answer(struct pusher *pusher, const CURLMsg *message)
{
	struct push_target *target = NULL;
	long status = 0;
	CURLcode code = message->data.result;
	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&target);
	curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
	push_target_end(target, pusher->multi, message->easy_handle);
	if (code == CURLE_OK && status == HTTP_NO_CONTENT) {
		if (target->silent)
			diagnose_info("frontend %s confirms pushes again", target->url);
		target->confirmed = true;
		target->silent = false;
		push_target_stop(target, pusher->multi);
		return;
	}
	atomic_fetch_add(&pusher->stats->push_failures, 1);
	if (!target->silent)
		diagnose_warning("frontend %s did not confirm a push: %s, status %ld", target->url, curl_easy_strerror(code), status);
	target->silent = true;
	int64_t soon_ms = monotonic_ms() + RETRY_PAUSE_MS;
	if (!push_target_is_busy(target) && soon_ms < target->again_ms)
		target->again_ms = soon_ms;
}

static bool is_waited_for(const struct push_target *target)
{
	return !target->confirmed && monotonic_ms() < target->lapse_ms;
}

/* Those who count are told at least once, whatever the time. */
static void start_first(struct pusher *pusher, struct slice text)
{
	for (size_t i = 0; i < pusher->target_count; i++) {
		struct push_target *target = pusher->targets[i];
		target->confirmed = false;
		target->again_ms = monotonic_ms() + HEDGE_FIRST_MS;
		if (is_waited_for(target) || !target->registered.fenced)
			push_target_start(target, pusher->multi, text);
	}
}

/* Begins the tries that are due. Returns when the next one is (monotonic), or end_ms. */
static int64_t start_due(struct pusher *pusher, struct slice text, int64_t began_ms, int64_t end_ms)
{
	int64_t now_ms = monotonic_ms(), pause_ms = now_ms - began_ms < PUSH_PATIENCE_MS ? HEDGE_MS : HEDGE_LATE_MS;
	for (size_t i = 0; i < pusher->target_count; i++) {
		struct push_target *target = pusher->targets[i];
		if (!is_waited_for(target))
			continue;
		if (target->again_ms <= now_ms) {
			push_target_start(target, pusher->multi, text);
			target->again_ms = now_ms + pause_ms;
		}
		end_ms = target->again_ms < end_ms ? target->again_ms : end_ms;
	}
	return end_ms;
}

/* Sends and receives until until_ms, or something has ended. */
static void exchange(struct pusher *pusher, int64_t until_ms)
{
	int running = 0, left;
	int64_t wait_ms = until_ms - monotonic_ms();
	curl_multi_perform(pusher->multi, &running);
	CURLMsg *message = curl_multi_info_read(pusher->multi, &left);
	if (message == NULL && wait_ms > 0) {
		curl_multi_poll(pusher->multi, NULL, 0, (int)wait_ms, NULL);
		curl_multi_perform(pusher->multi, &running);
		message = curl_multi_info_read(pusher->multi, &left);
	}
	for (; message != NULL; message = curl_multi_info_read(pusher->multi, &left))
		if (message->msg == CURLMSG_DONE)
			note_answer(pusher, message);
}

/* The time until which somebody has to be waited for; 0: nobody. Who is silent too long is to be fenced. */
static int64_t find_end(struct pusher *pusher, int64_t began_ms, bool *lapsed)
{
	int64_t end_ms = pusher->least_ms, now_ms = monotonic_ms();
	*lapsed = false;
	for (size_t i = 0; i < pusher->target_count; i++) {
		struct push_target *target = pusher->targets[i];
		if (target->confirmed)
			continue;
		if (pusher->fencer != NULL && now_ms - began_ms >= PUSH_PATIENCE_MS && !target->registered.fenced)
			fencer_ask(pusher->fencer, target->registered.name, target->registered.since);
		*lapsed = *lapsed || !target->registered.fenced;
		end_ms = target->lapse_ms > end_ms ? target->lapse_ms : end_ms;
		/* The first try may take its time, also behind the end. */
		if (push_target_is_busy(target) && now_ms < began_ms + PUSH_TRY_MS && end_ms < began_ms + PUSH_TRY_MS)
			end_ms = began_ms + PUSH_TRY_MS;
	}
	return end_ms;
}

static void push_until_told(struct pusher *pusher, struct slice text)
{
	int64_t began_us = monotonic_us(), began_ms = began_us / 1000, end_ms;
	bool lapsed;
	start_first(pusher, text);
	while ((end_ms = find_end(pusher, began_ms, &lapsed)) > monotonic_ms())
		exchange(pusher, start_due(pusher, text, began_ms, end_ms));
	for (size_t i = 0; i < pusher->target_count; i++)
		push_target_stop(pusher->targets[i], pusher->multi);
	atomic_fetch_add(&pusher->stats->push_lapses, lapsed ? 1 : 0);
	atomic_fetch_add(&pusher->stats->pushes, 1);
	histogram_observe(&pusher->stats->push_seconds, (double)(monotonic_us() - began_us) / 1e6);
}

/* ---- waiting together ------------------------------------------------------------------------------- */

/* With the mutex held: takes all waiting batches, pushes them without it, and marks them. */
static void push_waiting(struct pusher *pusher)
{
	struct push_wait *taken = pusher->first;
	int64_t committed_ms = 0;
	pusher->first = NULL;
	pusher->last = &pusher->first;
	pusher->pushing = true;
	push_text_set_log(pusher->text, pusher->log_id);
	pthread_mutex_unlock(&pusher->mutex);
	push_text_clear(pusher->text);
	for (struct push_wait *wait = taken; wait != NULL; wait = wait->next) {
		for (size_t i = 0; i < wait->count; i++)
			push_text_add(pusher->text, &wait->results[i]);
		committed_ms = wait->committed_ms > committed_ms ? wait->committed_ms : committed_ms;
	}
	if (!push_text_is_empty(pusher->text)) {
		choose_targets(pusher, push_text_position(pusher->text), committed_ms);
		push_until_told(pusher, push_text_render(pusher->text));
	}
	pthread_mutex_lock(&pusher->mutex);
	pusher->pushing = false;
	for (struct push_wait *wait = taken, *next; wait != NULL; wait = next) {
		next = wait->next;
		wait->done = true;
	}
	pthread_cond_broadcast(&pusher->changed);
}

void pusher_set_log(struct pusher *pusher, const char *log_id)
{
	pthread_mutex_lock(&pusher->mutex);
	memcpy(pusher->log_id, log_id, LOG_ID_HEX_LEN);
	pthread_mutex_unlock(&pusher->mutex);
}

void pusher_confirm(struct pusher *pusher, const struct result *results, size_t count, int64_t committed_ms)
{
	struct push_wait wait = { .results = results, .count = count, .committed_ms = committed_ms };
	if (pusher->registered == NULL && pusher->target_count == 0)
		return;
	pthread_mutex_lock(&pusher->mutex);
	*pusher->last = &wait;
	pusher->last = &wait.next;
	while (!wait.done) {
		if (pusher->pushing)
			pthread_cond_wait(&pusher->changed, &pusher->mutex);
		else
			push_waiting(pusher);
	}
	pthread_mutex_unlock(&pusher->mutex);
}
