/* history: the states that things were given, in order. One thread appends; all read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/coherence/check.h"

_Static_assert(TOPICS <= 10, "a topic is one digit");
static char topic_json[64];           /* as it stands in an item, up to its digit */
static size_t topic_json_len;

void history_init(void)
{
	topic_json_len = (size_t)snprintf(topic_json, sizeof topic_json, "\"topic\":\"coherence-%llu-", (unsigned long long)check.seed);
	check.first_id = FIRST_ITEM_ID + (int64_t)(check.seed % SEEDS) * THINGS_MAX;
	for (int i = 0; i < check.thing_count; i++) {
		struct thing *thing = &check.things[i];
		thing->id = check.first_id + i;
		thing->states = calloc(STATES_MAX, sizeof *thing->states);
		if (thing->states == NULL)
			tool_fail("no memory for states");
		/* State 0: not there yet, which is known to everybody. */
	}
}

void history_free(void)
{
	for (int i = 0; i < check.thing_count; i++)
		free(check.things[i].states);
}

void history_topic(int topic, char *name, size_t size)
{
	snprintf(name, size, "coherence-%llu-%d", (unsigned long long)check.seed, topic);
}

int history_find_topic(const char *json, size_t len)
{
	const char *at = memmem(json, len, topic_json, topic_json_len);
	if (at == NULL || at + topic_json_len + 2 > json + len || at[topic_json_len + 1] != '"')
		return -1;
	int topic = at[topic_json_len] - '0';
	return topic >= 0 && topic < TOPICS ? topic : -1;
}

int history_issue(struct thing *thing, const struct state *state)
{
	int index = atomic_load(&thing->issued) + 1;
	if (index >= STATES_MAX)
		return -1;
	thing->states[index] = *state;
	atomic_store(&thing->issued, index);
	return index;
}

void history_acknowledge(struct thing *thing, int index)
{
	atomic_store(&thing->acknowledged, index);
}

static bool is_same(const struct state *a, const struct state *b)
{
	if (!a->exists || !b->exists)
		return a->exists == b->exists;
	return a->topic == b->topic && a->cost == b->cost && a->count == b->count;
}

int history_find(const struct thing *thing, int from, int to, const struct state *seen)
{
	for (int i = from; i <= to; i++)
		if (is_same(&thing->states[i], seen))
			return i;
	return -1;
}

int history_find_absent(const struct thing *thing, int from, int to, int topic)
{
	for (int i = from; i <= to; i++)
		if (!thing->states[i].exists || thing->states[i].topic != topic)
			return i;
	return -1;
}
