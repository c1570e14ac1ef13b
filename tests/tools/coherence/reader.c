/* reader: looks things up, searches topics, and compares what it sees with what it must see. Many requests are under way at once. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/coherence/check.h"
#include "tests/tools/coherence/connection.h"

#define SHOWN_VIOLATIONS 5
#define TAG_MAX 80
#define REQUEST_MAX 320
#define RECONNECT_PAUSE_MS 20
#define ABANDONED_MAX_MS 60

/* A request and what its answer must show: read before it is sent. */
struct question {
	int resource, number;         /* the thing of a lookup */
	bool strict, asks_for_change;
	int from[THINGS_MAX];         /* of a lookup only its thing's */
};

struct reader {
	int frontend;
	struct connection connection;
	struct tool_chance chance;
	struct state tagged[THINGS_MAX]; /* what a thing's ETag stands for */
	char tags[THINGS_MAX][TAG_MAX];
	struct question questions[PIPELINE_MAX];
	char requests[PIPELINE_MAX * REQUEST_MAX];
};

/* ---- judging ------------------------------------------------------------------------------------------------ */

static int oldest_allowed(const struct reader *reader, int resource, int number)
{
	int acknowledged = atomic_load(&check.things[number].acknowledged);
	int seen = atomic_load(&check.seen[reader->frontend][resource][number]);
	return acknowledged > seen ? acknowledged : seen;
}

static void note_seen(const struct reader *reader, int resource, int number, int index)
{
	atomic_int *at = &check.seen[reader->frontend][resource][number];
	int seen = atomic_load(at);
	while (seen < index && !atomic_compare_exchange_weak(at, &seen, index))
		continue;
}

static void report(const struct reader *reader, const struct seen_answer *answer, const char *what, int number, int from, const struct state *seen)
{
	if (check_add(violations, 1) >= SHOWN_VIOLATIONS)
		return;
	const struct thing *thing = &check.things[number];
	const struct state *due = &thing->states[from];
	int to = atomic_load(&thing->issued);
	fprintf(stderr, "stale: %s of item %lld at frontend %d (%.*s, position %.*s) shows state %d: exists %d topic %d cost %lld count %lld; "
		"due was %d to %d (%d acknowledged): exists %d topic %d cost %lld count %lld, written at %lld\n", what, (long long)thing->id,
		reader->frontend + 1, (int)answer->cache_status.len, answer->cache_status.ptr, (int)answer->revision.len, answer->revision.ptr,
		history_find(thing, 0, to, seen), seen->exists, seen->topic, (long long)seen->cost, (long long)seen->count, from, to,
		atomic_load(&thing->acknowledged), due->exists, due->topic, (long long)due->cost, (long long)due->count, (long long)due->revision);
}

/* Finds what was seen among the states that may be seen. */
static void judge(const struct reader *reader, const struct question *question, const struct seen_answer *answer, const char *what, int number,
	const struct state *seen)
{
	int from = question->from[number], to = atomic_load(&check.things[number].issued);
	int index = history_find(&check.things[number], from, to, seen);
	if (index < 0)
		report(reader, answer, what, number, from, seen);
	else
		note_seen(reader, question->resource, number, index);
}

static void refuse(const struct seen_answer *answer, const char *what)
{
	if (answer->status >= 500) {
		check_add(read_failures, 1);
		return;
	}
	fprintf(stderr, "unexpected: a %s was answered %d %.*s\n", what, answer->status, (int)answer->body.len, answer->body.ptr);
	check_add(unexpected, 1);
}

/* The number behind `name` in an item's JSON; -1 without one. */
static int64_t number_of(struct text body, const char *name)
{
	const char *at = memmem(body.ptr, body.len, name, strlen(name));
	return at == NULL ? -1 : strtoll(at + strlen(name), NULL, 10);
}

/* An item as a lookup shows it. (Much faster than a parser; what it does not find, it takes for wrong.) */
static bool scan_item(struct text body, struct state *state)
{
	*state = (struct state){ .exists = true, .topic = history_find_topic(body.ptr, body.len), .cost = number_of(body, "\"cost\":"),
		.count = number_of(body, "\"count\":") };
	return state->topic >= 0;
}

static void judge_lookup(struct reader *reader, const struct question *question, const struct seen_answer *answer)
{
	struct state seen = { .exists = false };
	int number = question->number;
	if (answer->status == 304 && question->asks_for_change) {
		check_add(not_modified, 1);
		judge(reader, question, answer, "lookup (304)", number, &reader->tagged[number]);
	} else if (answer->status == 200 && scan_item(answer->body, &seen)) {
		judge(reader, question, answer, "lookup", number, &seen);
		reader->tagged[number] = seen;
		snprintf(reader->tags[number], TAG_MAX, "%.*s", (int)answer->etag.len, answer->etag.len < TAG_MAX ? answer->etag.ptr : "");
	} else if (answer->status == 404) {
		judge(reader, question, answer, "lookup", number, &seen);
	} else {
		refuse(answer, "lookup");
	}
}

static bool read_item(const json_t *item, int topic, struct state *state)
{
	const char *text = json_string_value(json_object_get(item, "topic"));
	char name[64];
	*state = (struct state){ .exists = true, .topic = topic, .cost = json_integer_value(json_object_get(item, "cost")),
		.count = json_integer_value(json_object_get(item, "count")) };
	history_topic(topic, name, sizeof name);
	return text != NULL && strcmp(name, text) == 0;
}

static void judge_search(const struct reader *reader, const struct question *question, const struct seen_answer *answer)
{
	bool listed[THINGS_MAX] = { false };
	struct state seen;
	size_t i;
	json_t *item, *root;
	if (answer->status != 200) {
		refuse(answer, "search");
		return;
	}
	root = json_loadb(answer->body.ptr, answer->body.len, 0, NULL);
	json_array_foreach(json_object_get(root, "item"), i, item) {
		int64_t number = json_integer_value(json_object_get(item, "id")) - check.first_id;
		if (number < 0 || number >= check.thing_count || !read_item(item, question->resource, &seen))
			continue;
		listed[number] = true;
		judge(reader, question, answer, "search", (int)number, &seen);
	}
	json_decref(root);
	for (int number = 0; number < check.thing_count; number++) {
		int from = question->from[number], to = atomic_load(&check.things[number].issued);
		int index = listed[number] ? -1 : history_find_absent(&check.things[number], from, to, question->resource);
		if (listed[number])
			continue;
		if (index < 0)
			report(reader, answer, "search (not listed)", number, from, &(struct state){ .exists = false });
		else
			note_seen(reader, question->resource, number, index);
	}
}

static void take_answer(struct reader *reader, const struct question *question, const struct seen_answer *answer)
{
	check_add(reads, 1);
	if (answer->hit)
		check_add(hits, 1);
	else if (question->strict)
		check_add(strict_reads, 1);
	else if (memmem(answer->cache_status.ptr, answer->cache_status.len, "bypass", 6) != NULL)
		check_add(bypasses, 1);
	else
		check_add(misses, 1);
	check_add(searches, question->resource != LOOKUP);
	if (answer->may_be_stale)
		check_add(said_stale, 1);
	else if (question->resource == LOOKUP)
		judge_lookup(reader, question, answer);
	else
		judge_search(reader, question, answer);
}

/* ---- asking ------------------------------------------------------------------------------------------------- */

static size_t write_request(const struct reader *reader, const struct question *question, char *to)
{
	char path[128], topic[64];
	if (question->resource == LOOKUP) {
		snprintf(path, sizeof path, "/lookup?id=%lld", (long long)check.things[question->number].id);
	} else {
		history_topic(question->resource, topic, sizeof topic);
		snprintf(path, sizeof path, "/search?topic=%s", topic);
	}
	int len = snprintf(to, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: pygmy\r\n%s%s%s%s\r\n", path,
		question->strict ? "X-Pygmy-Consistency: strict\r\n" : "", question->asks_for_change ? "If-None-Match: " : "",
		question->asks_for_change ? reader->tags[question->number] : "", question->asks_for_change ? "\r\n" : "");
	if (len < 0 || len >= REQUEST_MAX)
		tool_fail("a request is too long");
	return (size_t)len;
}

/* Some ask past the cache: what they saw of the newest state, the cache must show too. */
static void choose(struct reader *reader, struct question *question)
{
	struct tool_chance *chance = &reader->chance;
	question->strict = tool_random_below(chance, 100) < check.strict_percent;
	question->asks_for_change = false;
	if (tool_random_below(chance, 100) < check.search_percent) {
		question->resource = (int)tool_random_below(chance, TOPICS);
		for (int i = 0; i < check.thing_count; i++)
			question->from[i] = oldest_allowed(reader, question->resource, i);
		return;
	}
	question->resource = LOOKUP;
	question->number = (int)tool_random_below(chance, check.thing_count);
	question->asks_for_change = reader->tags[question->number][0] != '\0' && tool_random_below(chance, 8) == 0;
	question->from[question->number] = oldest_allowed(reader, LOOKUP, question->number);
}

/* So many requests at once, then their answers. */
static void ask(struct reader *reader, int count)
{
	size_t len = 0;
	struct seen_answer answer;
	for (int i = 0; i < count; i++) {
		choose(reader, &reader->questions[i]);
		len += write_request(reader, &reader->questions[i], reader->requests + len);
	}
	if (!connection_send(&reader->connection, reader->requests, len)) {
		check_add(read_failures, count);
		return;
	}
	if (tool_random_below(&reader->chance, 1000) < check.abandon_permille) {
		tool_sleep_ms(tool_random_below(&reader->chance, ABANDONED_MAX_MS + 1));
		check_add(reads_abandoned, count);
		connection_close(&reader->connection);
		return;
	}
	for (int i = 0; i < count; i++) {
		if (!connection_take(&reader->connection, &answer)) {
			check_add(read_failures, count - i);
			return;
		}
		take_answer(reader, &reader->questions[i], &answer);
		if (answer.closes) {
			connection_close(&reader->connection);
			return;
		}
	}
}

static struct reader *create(int frontend)
{
	struct reader *reader = calloc(1, sizeof *reader);
	if (reader == NULL)
		tool_fail("no memory for a reader");
	reader->frontend = frontend;
	reader->connection.fd = -1;
	return reader;
}

static void destroy(struct reader *reader)
{
	connection_free(&reader->connection);
	free(reader);
}

static bool is_connected(struct reader *reader)
{
	return reader->connection.fd >= 0 || connection_open(&reader->connection, check.frontends[reader->frontend], REQUEST_TIMEOUT_MS);
}

void *reader_run(void *context)
{
	struct reader *reader = create((int)(intptr_t)context % check.frontend_count);
	reader->chance.state = check_seed_of_thread();
	while (!check_is_over()) {
		if (is_connected(reader))
			ask(reader, (int)(1 + tool_random_below(&reader->chance, 2 * check.pipeline - 1)));
		else
			tool_sleep_ms(RECONNECT_PAUSE_MS);
	}
	destroy(reader);
	return NULL;
}

void reader_check_last(struct thing *thing, int frontend)
{
	struct reader *reader = create(frontend);
	struct question *question = &reader->questions[0];
	struct seen_answer answer;
	*question = (struct question){ .resource = LOOKUP, .number = (int)(thing - check.things) };
	question->from[question->number] = oldest_allowed(reader, LOOKUP, question->number);
	size_t len = write_request(reader, question, reader->requests);
	int64_t failures = check_get(read_failures);
	if (is_connected(reader) && connection_send(&reader->connection, reader->requests, len) && connection_take(&reader->connection, &answer))
		take_answer(reader, question, &answer);
	else
		check_add(read_failures, 1);
	if (check_get(read_failures) != failures) {
		fprintf(stderr, "unexpected: item %lld cannot be read when all is quiet\n", (long long)thing->id);
		check_add(unexpected, 1);
	}
	destroy(reader);
}
