/* load_plan: see plan.h. */
#include "client/load/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[LOAD_OPERATIONS] = { "search", "lookup", "buy", "first_read", "next_read" };

const char *load_operation_name(enum load_operation operation)
{
	return NAMES[operation];
}

/* ---- files ------------------------------------------------------------------------------------ */

/* Calls take for each line that is not empty, without its end. False when that does, or the file can't be read. */
static bool read_lines(const char *path, bool (*take)(struct load_plan *, char *), struct load_plan *plan, char *why, size_t why_size)
{
	FILE *stream = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool good = stream != NULL;
	if (stream == NULL)
		snprintf(why, why_size, "cannot read %s: %s", path, strerror(errno));
	while (good && getline(&line, &size, stream) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		good = line[0] == '\0' || take(plan, line);
		if (!good)
			snprintf(why, why_size, "%s has a line that cannot be used: %.100s", path, line);
	}
	free(line);
	if (stream != NULL)
		fclose(stream);
	return good;
}

/* Room for one more in an array that doubles. */
static bool make_room(void **array, size_t count, size_t size)
{
	if (count >= LOAD_PLAN_LINES_MAX)
		return false;
	if ((count & (count - 1)) != 0)
		return true;
	void *grown = realloc(*array, (count == 0 ? 1 : 2 * count) * size);
	if (grown != NULL)
		*array = grown;
	return grown != NULL;
}

static bool take_item(struct load_plan *plan, char *line)
{
	char *end;
	long long id = strtoll(line, &end, 10);
	void *items = plan->items;
	if (*end != '\0' || id < 1 || !make_room(&items, plan->item_count, sizeof *plan->items))
		return false;
	plan->items = items;
	plan->items[plan->item_count++] = id;
	return true;
}

static bool take_topic(struct load_plan *plan, char *line)
{
	void *topics = plan->topics;
	if (strlen(line) > LOAD_TOPIC_MAX_BYTES || !make_room(&topics, plan->topic_count, sizeof *plan->topics))
		return false;
	plan->topics = topics;
	snprintf(plan->topics[plan->topic_count++], sizeof *plan->topics, "%s", line);
	return true;
}

bool load_plan_open(struct load_plan *plan, const char *items_file, const char *topics_file, double exponent, uint64_t seed, char *why,
	size_t why_size)
{
	char first[] = "1";
	memset(plan, 0, sizeof *plan);
	plan->chance.state = seed;
	if (items_file != NULL && !read_lines(items_file, take_item, plan, why, why_size))
		return false;
	if (topics_file != NULL && !read_lines(topics_file, take_topic, plan, why, why_size))
		return false;
	snprintf(why, why_size, "no memory for the items and topics");
	return (plan->item_count > 0 || take_item(plan, first)) && zipf_init(&plan->item_ranks, plan->item_count, exponent)
	       && (plan->topic_count == 0 || zipf_init(&plan->topic_ranks, plan->topic_count, exponent));
}

void load_plan_close(struct load_plan *plan)
{
	free(plan->items);
	free(plan->topics);
	zipf_close(&plan->item_ranks);
	zipf_close(&plan->topic_ranks);
}

/* ---- choosing --------------------------------------------------------------------------------- */

static enum load_operation draw(struct load_plan *plan)
{
	size_t sum = 0;
	for (int i = 0; i <= LOAD_BUY; i++)
		sum += plan->weights[i];
	size_t wanted = chance_below(&plan->chance, sum);
	int operation = 0;
	while (wanted >= plan->weights[operation])
		wanted -= plan->weights[operation++];
	return (enum load_operation)operation;
}

void load_plan_next(struct load_plan *plan, struct load_job *job)
{
	if (plan->after_write && (job->operation == LOAD_BUY || job->operation == LOAD_FIRST_READ)) {
		job->operation = job->operation == LOAD_BUY ? LOAD_FIRST_READ : LOAD_NEXT_READ;
		return;
	}
	job->operation = plan->after_write ? LOAD_BUY : draw(plan);
	if (job->operation == LOAD_SEARCH)
		job->item_index = zipf_rank(&plan->topic_ranks, &plan->chance);
	else
		job->item_index = zipf_rank(&plan->item_ranks, &plan->chance);
	if (job->operation == LOAD_BUY)
		job->purchase = plan->purchases++;
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* %XX for all but letters, digits and -._~ : the one form that the frontend's cache knows a topic by. */
static void encode(const char *text, char *out)
{
	static const char DIGITS[] = "0123456789ABCDEF";
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;
		if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || strchr("-._~", byte)) {
			*out++ = (char)byte;
			continue;
		}
		*out++ = '%';
		*out++ = DIGITS[byte >> 4];
		*out++ = DIGITS[byte & 15];
	}
	*out = '\0';
}

size_t load_plan_write(const struct load_plan *plan, const struct load_job *job, const struct load_target *target,
	char request[LOAD_REQUEST_MAX])
{
	char what[3 * LOAD_TOPIC_MAX_BYTES + 1], key[64] = "";
	const char *extra = plan->strict ? "X-Pygmy-Consistency: strict\r\n" : "";
	const char *line = "GET %s/lookup?id=%s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n";
	if (job->operation == LOAD_SEARCH) {
		encode(plan->topics[job->item_index], what);
		line = "GET %s/search?topic=%s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n";
	} else {
		snprintf(what, sizeof what, "%" PRId64, plan->items[job->item_index]);
	}
	if (job->operation == LOAD_BUY) {
		line = "POST %s/buy?id=%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n%s%s\r\n";
		extra = "";
		if (plan->keys != NULL)
			snprintf(key, sizeof key, "Idempotency-Key: %.32s-%" PRIu64 "\r\n", plan->keys, job->purchase);
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	int len = snprintf(request, LOAD_REQUEST_MAX, line, target->prefix, what, target->host, extra, key);
#pragma GCC diagnostic pop
	return len < 0 || len >= LOAD_REQUEST_MAX ? 0 : (size_t)len;
}
