/* writer: changes things, one after the other, and keeps what became of them. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/tools/coherence/check.h"

#define FIRST_COUNT 100000
#define WRITE_PATIENCE_US 20000000
#define RETRY_PAUSE_MS 20
#define IMPATIENT_MAX_MS 200

enum method { POST, PUT, DELETE };

struct write {
	enum method method;
	const char *const *bases;     /* any of them will do */
	int base_count;
	char path[128];
	char body[512];               /* empty: none */
	bool admin;
	struct state after;
};

struct writer {
	int number;
	CURL *handle;
	struct answer answer;
	struct tool_chance chance;
	int64_t sent;                 /* writes so far: the request keys' numbers */
	struct state now[THINGS_MAX]; /* the last known state of each thing */
};

static void make_import(struct write *write, const struct thing *thing)
{
	char topic[64];
	history_topic(write->after.topic, topic, sizeof topic);
	write->method = POST;
	snprintf(write->path, sizeof write->path, "/item/import");
	snprintf(write->body, sizeof write->body,
		"{\"items\":[{\"id\":%lld,\"title\":\"Thing %lld\",\"topic\":\"%s\",\"cost\":%lld,\"count\":%lld}]}", (long long)thing->id,
		(long long)thing->id, topic, (long long)write->after.cost, (long long)write->after.count);
}

static void make_purchase(struct write *write, const struct thing *thing, struct tool_chance *chance)
{
	bool direct = tool_random_below(chance, 2) == 0;
	write->method = POST;
	write->admin = false;
	write->after.count--;
	write->bases = direct ? check.orders : check.frontends;
	write->base_count = direct ? check.order_count : check.frontend_count;
	snprintf(write->path, sizeof write->path, direct ? "/buy/%lld" : "/buy?id=%lld", (long long)thing->id);
}

static void make_change(struct write *write, const struct thing *thing, bool of_cost)
{
	write->method = PUT;
	snprintf(write->path, sizeof write->path, "/item/%lld", (long long)thing->id);
	if (of_cost) {
		write->after.cost++;
		snprintf(write->body, sizeof write->body, "{\"cost\":%lld}", (long long)write->after.cost);
	} else {
		write->after.count--;
		snprintf(write->body, sizeof write->body, "{\"delta\":-1}");
	}
}

/* Every state of a thing is another one than all before it, but for the absent ones. */
static void make_write(struct writer *writer, const struct thing *thing, struct write *write)
{
	const struct state *now = &writer->now[thing - check.things];
	int64_t choice = tool_random_below(&writer->chance, 40);
	*write = (struct write){ .bases = check.catalogs, .base_count = check.catalog_count, .admin = true, .after = *now };
	if (!now->exists) {
		write->after = (struct state){ .exists = true, .topic = now->topic, .cost = now->cost + 1, .count = FIRST_COUNT };
		make_import(write, thing);
	} else if (choice == 0) {
		write->after.cost++;
		write->after.topic = (now->topic + 1) % TOPICS;
		make_import(write, thing);
	} else if (choice == 1) {
		write->after.exists = false;
		write->method = DELETE;
		snprintf(write->path, sizeof write->path, "/item/%lld", (long long)thing->id);
	} else if (choice < 24) {
		make_purchase(write, thing, &writer->chance);
	} else {
		make_change(write, thing, choice < 34);
	}
}

static void try_once(struct writer *writer, const struct write *write, int64_t base, struct curl_slist *headers, int64_t timeout_ms)
{
	char url[512];
	snprintf(url, sizeof url, "%s%s", write->bases[base % write->base_count], write->path);
	answer_clear(&writer->answer);
	curl_easy_setopt(writer->handle, CURLOPT_URL, url);
	curl_easy_setopt(writer->handle, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(writer->handle, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(writer->handle, CURLOPT_CUSTOMREQUEST, write->method == PUT ? "PUT" : write->method == DELETE ? "DELETE" : "POST");
	if (write->body[0] != '\0') {
		curl_easy_setopt(writer->handle, CURLOPT_POSTFIELDS, write->body);
		curl_easy_setopt(writer->handle, CURLOPT_POSTFIELDSIZE, -1L);
	} else {
		curl_easy_setopt(writer->handle, CURLOPT_HTTPGET, 1L);
	}
	answer_finish(&writer->answer, writer->handle, curl_easy_perform(writer->handle));
}

/* Who loses patience soon asks again while the first answer is held back: what repeats an acknowledgement is one. */
static int64_t first_timeout_ms(struct writer *writer)
{
	if (tool_random_below(&writer->chance, 100) >= check.impatient_percent)
		return REQUEST_TIMEOUT_MS;
	check_add(writes_impatient, 1);
	return 1 + tool_random_below(&writer->chance, IMPATIENT_MAX_MS);
}

/* Sends a write until it is answered. Returns false when it never was. */
static bool send_write(struct writer *writer, const struct write *write)
{
	int64_t deadline_us = tool_now_us() + WRITE_PATIENCE_US, base = tool_random_below(&writer->chance, CHECK_NODES_MAX);
	struct curl_slist *headers = tool_header(NULL, "Idempotency-Key: coherence-%llu-%d-%lld", (unsigned long long)check.seed,
		writer->number, (long long)writer->sent++);
	if (write->admin)
		headers = tool_header(headers, "Authorization: Bearer %s", check.token);
	if (write->body[0] != '\0')
		headers = tool_header(headers, "Content-Type: application/json");
	try_once(writer, write, base, headers, first_timeout_ms(writer));
	while (answer_is_failure(&writer->answer) && tool_now_us() < deadline_us) {
		check_add(write_retries, 1);
		tool_sleep_ms(RETRY_PAUSE_MS);
		try_once(writer, write, ++base, headers, REQUEST_TIMEOUT_MS);
	}
	curl_slist_free_all(headers);
	return !answer_is_failure(&writer->answer);
}

static void change(struct writer *writer, struct thing *thing)
{
	struct write write;
	make_write(writer, thing, &write);
	int index = history_issue(thing, &write.after);
	if (index < 0)
		return;
	if (!send_write(writer, &write)) {
		check_add(writes_given_up, 1);
		thing->given_up = true;
	} else if (writer->answer.status != 200 && writer->answer.status != 201) {
		fprintf(stderr, "unexpected: %s was answered %ld %s", write.path, writer->answer.status, writer->answer.body);
		check_add(unexpected, 1);
		thing->given_up = true;
	} else {
		thing->states[index].revision = strtoll(writer->answer.revision, NULL, 10);
		history_acknowledge(thing, index);
		writer->now[thing - check.things] = write.after;
		check_add(writes, 1);
	}
}

void *writer_run(void *context)
{
	struct writer writer = { .number = (int)(intptr_t)context, .chance = { check_seed_of_thread() } };
	int owned = (check.thing_count - writer.number + check.writer_count - 1) / check.writer_count;
	for (int i = 0; i < check.thing_count; i++)
		writer.now[i].topic = i % TOPICS;
	writer.handle = tool_handle(&writer.answer, REQUEST_TIMEOUT_MS);
	while (!check_is_over() && owned > 0) {
		struct thing *thing = &check.things[writer.number + check.writer_count * tool_random_below(&writer.chance, owned)];
		if (!thing->given_up)
			change(&writer, thing);
		if (check.rest_ms > 0)
			tool_sleep_ms(tool_random_below(&writer.chance, check.rest_ms + 1));
	}
	curl_easy_cleanup(writer.handle);
	answer_free(&writer.answer);
	return NULL;
}
