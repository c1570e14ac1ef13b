/* reader: looks things up, searches topics, and compares what it sees with what it must see. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/tools/coherence/check.h"

#define SHOWN_VIOLATIONS 5

/* Resources that show a thing: the lists of the topics, and its own. */
#define LOOKUP TOPICS
#define RESOURCES (TOPICS + 1)

struct reader {
	CURL *handle;
	const char *frontend;
	struct answer answer;
	struct tool_chance chance;
	/*
	 * The state of each thing that this reader saw last, in each resource: a search may show a write that is not acknowledged yet,
	 * and a lookup behind it not, since they are cached each for itself.
	 */
	int seen[RESOURCES][THINGS_MAX];
	struct state tagged[THINGS_MAX]; /* what a thing's ETag stands for */
	char tags[THINGS_MAX][ANSWER_HEADER_MAX];
};

/* What must be seen: read before the request is sent, and after its answer is there. */
struct window {
	int from[THINGS_MAX], to[THINGS_MAX];
};

static void open_window(const struct reader *reader, int resource, struct window *window)
{
	for (int i = 0; i < check.thing_count; i++) {
		int acknowledged = atomic_load(&check.things[i].acknowledged);
		int seen = reader->seen[resource][i];
		window->from[i] = acknowledged > seen ? acknowledged : seen;
	}
}

static void close_window(struct window *window)
{
	for (int i = 0; i < check.thing_count; i++)
		window->to[i] = atomic_load(&check.things[i].issued);
}

static void report(const struct reader *reader, const char *what, int number, const struct window *window, const struct state *seen)
{
	if (atomic_fetch_add(&check.violations, 1) >= SHOWN_VIOLATIONS)
		return;
	const struct thing *thing = &check.things[number];
	const struct state *due = &thing->states[window->from[number]];
	int last = history_find(thing, 0, window->from[number], seen);
	fprintf(stderr, "stale: %s of item %lld (%s, position %s) shows state %d: exists %d topic %d cost %lld count %lld; "
		"due was %d to %d: exists %d topic %d cost %lld count %lld, written at %lld\n", what, (long long)thing->id,
		reader->answer.cache_status, reader->answer.revision, last, seen->exists, seen->topic, (long long)seen->cost,
		(long long)seen->count, window->from[number], window->to[number], due->exists, due->topic, (long long)due->cost,
		(long long)due->count, (long long)due->revision);
}

/* Finds what was seen among the states that may be seen. */
static void judge(struct reader *reader, int resource, const char *what, int number, const struct window *window, const struct state *seen)
{
	int index = history_find(&check.things[number], window->from[number], window->to[number], seen);
	if (index < 0)
		report(reader, what, number, window, seen);
	else
		reader->seen[resource][number] = index;
}

static bool read_state(const json_t *item, struct state *state)
{
	const char *topic = json_string_value(json_object_get(item, "topic"));
	char name[64];
	*state = (struct state){ .exists = true, .topic = -1, .cost = json_integer_value(json_object_get(item, "cost")),
		.count = json_integer_value(json_object_get(item, "count")) };
	for (int i = 0; topic != NULL && i < TOPICS; i++) {
		history_topic(i, name, sizeof name);
		if (strcmp(name, topic) == 0)
			state->topic = i;
	}
	return state->topic >= 0;
}

/* Some ask past the cache: what they saw of the newest state, the cache must show too. */
static void get(struct reader *reader, const char *url, const char *tag)
{
	struct curl_slist *headers = tag[0] != '\0' ? tool_header(NULL, "If-None-Match: %s", tag) : NULL;
	if (tool_random_below(&reader->chance, 10) == 0)
		headers = tool_header(headers, "X-Pygmy-Consistency: strict");
	answer_clear(&reader->answer);
	curl_easy_setopt(reader->handle, CURLOPT_URL, url);
	curl_easy_setopt(reader->handle, CURLOPT_HTTPHEADER, headers);
	answer_finish(&reader->answer, reader->handle, curl_easy_perform(reader->handle));
	curl_slist_free_all(headers);
	atomic_fetch_add(&check.reads, 1);
	if (strstr(reader->answer.cache_status, "; hit") != NULL)
		atomic_fetch_add(&check.hits, 1);
}

static void refuse(const struct reader *reader, const char *url)
{
	if (answer_is_failure(&reader->answer)) {
		atomic_fetch_add(&check.read_failures, 1);
		return;
	}
	fprintf(stderr, "unexpected: %s was answered %ld %s", url, reader->answer.status, reader->answer.body);
	atomic_fetch_add(&check.unexpected, 1);
}

static void judge_lookup(struct reader *reader, int number, const struct window *window, const char *url)
{
	struct state seen = { .exists = false };
	json_t *root = json_loadb(reader->answer.body, reader->answer.body_len, 0, NULL);
	if (reader->answer.status == 200 && read_state(json_array_get(json_object_get(root, "item"), 0), &seen)) {
		judge(reader, LOOKUP, "lookup", number, window, &seen);
		reader->tagged[number] = seen;
		memcpy(reader->tags[number], reader->answer.etag, sizeof reader->answer.etag);
	} else if (reader->answer.status == 404) {
		judge(reader, LOOKUP, "lookup", number, window, &seen);
	} else {
		refuse(reader, url);
	}
	json_decref(root);
}

static void look_up(struct reader *reader, int number)
{
	char url[512];
	struct window window;
	bool ask_for_change = reader->tags[number][0] != '\0' && tool_random_below(&reader->chance, 4) == 0;
	snprintf(url, sizeof url, "%s/lookup?id=%lld", reader->frontend, (long long)check.things[number].id);
	open_window(reader, LOOKUP, &window);
	get(reader, url, ask_for_change ? reader->tags[number] : "");
	close_window(&window);
	if (reader->answer.result == CURLE_OK && reader->answer.status == 304 && ask_for_change) {
		atomic_fetch_add(&check.not_modified, 1);
		judge(reader, LOOKUP, "lookup (304)", number, &window, &reader->tagged[number]);
	} else if (reader->answer.stale_ms[0] != '\0') {
		atomic_fetch_add(&check.said_stale, 1);
	} else if (reader->answer.result == CURLE_OK && reader->answer.body_len > 0) {
		judge_lookup(reader, number, &window, url);
	} else {
		refuse(reader, url);
	}
}

static void judge_search(struct reader *reader, int topic, const struct window *window)
{
	bool listed[THINGS_MAX] = { false };
	struct state seen;
	size_t i;
	json_t *item, *root = json_loadb(reader->answer.body, reader->answer.body_len, 0, NULL);
	json_array_foreach(json_object_get(root, "item"), i, item) {
		int64_t number = json_integer_value(json_object_get(item, "id")) - check.first_id;
		if (number < 0 || number >= check.thing_count || !read_state(item, &seen) || seen.topic != topic)
			continue;
		listed[number] = true;
		judge(reader, topic, "search", (int)number, window, &seen);
	}
	for (int number = 0; number < check.thing_count; number++) {
		if (listed[number])
			continue;
		int index = history_find_absent(&check.things[number], window->from[number], window->to[number], topic);
		if (index < 0)
			report(reader, "search (not listed)", number, window, &(struct state){ .exists = false });
		else
			reader->seen[topic][number] = index;
	}
	json_decref(root);
}

static void search(struct reader *reader, int topic)
{
	char url[512], name[64];
	struct window window;
	history_topic(topic, name, sizeof name);
	snprintf(url, sizeof url, "%s/search?topic=%s", reader->frontend, name);
	open_window(reader, topic, &window);
	get(reader, url, "");
	close_window(&window);
	atomic_fetch_add(&check.searches, 1);
	if (reader->answer.stale_ms[0] != '\0')
		atomic_fetch_add(&check.said_stale, 1);
	else if (reader->answer.result == CURLE_OK && reader->answer.status == 200)
		judge_search(reader, topic, &window);
	else
		refuse(reader, url);
}

void *reader_run(void *context)
{
	struct reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL)
		tool_fail("no memory for a reader");
	reader->frontend = check.frontends[(int)(intptr_t)context % check.frontend_count];
	reader->chance.state = check_seed_of_thread();
	reader->handle = tool_handle(&reader->answer, REQUEST_TIMEOUT_MS);
	while (!check_is_over()) {
		if (tool_random_below(&reader->chance, 5) == 0)
			search(reader, (int)tool_random_below(&reader->chance, TOPICS));
		else
			look_up(reader, (int)tool_random_below(&reader->chance, check.thing_count));
	}
	curl_easy_cleanup(reader->handle);
	answer_free(&reader->answer);
	free(reader);
	return NULL;
}

void reader_check_last(struct thing *thing, int frontend)
{
	struct reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL)
		tool_fail("no memory for a reader");
	reader->frontend = check.frontends[frontend];
	reader->handle = tool_handle(&reader->answer, REQUEST_TIMEOUT_MS);
	int64_t failures = atomic_load(&check.read_failures);
	look_up(reader, (int)(thing - check.things));
	if (atomic_load(&check.read_failures) != failures) {
		fprintf(stderr, "unexpected: item %lld cannot be read when all is quiet\n", (long long)thing->id);
		atomic_fetch_add(&check.unexpected, 1);
	}
	curl_easy_cleanup(reader->handle);
	answer_free(&reader->answer);
	free(reader);
}
