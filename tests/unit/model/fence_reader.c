/* fence_reader: reads at frontends, fills of their caches, and what they must show; see fence.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/slot.h"
#include "tests/unit/model/fence.h"

static uint32_t era_of(const struct frontend *frontend)
{
	struct coherence_status status;
	coherence_table_status(frontend->table, m.now_ms, T_MS, &status);
	return status.era;
}

static void read_ends(const struct event *read, uint64_t shows)
{
	struct frontend *frontend = &m.frontends[read->frontend];
	m.reads++;
	if (shows < read->must_show || shows < read->must_not_go_below)
		m.violations++;
	if (frontend->seen[read->item] < shows)
		frontend->seen[read->item] = shows;
}

/* By slot and revision alone: a place must not depend on the table's random nonce, or seeds would repeat nothing. */
static unsigned cache_place(const char *key)
{
	return slot_of_resource((struct slice){ key, strcspn(key, "#/") }) % CACHE_SIZE;
}

void read_begins(int f)
{
	struct frontend *frontend = &m.frontends[f];
	unsigned item = (unsigned)chance(ITEMS);
	char args[16];
	struct slice slice = { args, (size_t)snprintf(args, sizeof args, "id=%u", item + 1) };
	struct event *read = plan(FILL_READS, -1, delay_ms());
	read->frontend = f;
	read->start = frontend->start;
	read->item = item;
	read->era = era_of(frontend);
	read->replica = (unsigned)chance(REPLICAS);
	read->must_show = m.acknowledged[item];
	read->must_not_go_below = frontend->seen[item];
	int64_t lease_ms = rule(READS_T_BOUND) ? T_MS : INT64_C(1) << 40;
	size_t len = cache_key_write(frontend->table, CACHE_ROUTE_LOOKUP, slice, m.now_ms, lease_ms, read->text);
	read->cached = len > 0;
	if (len == 0)
		len = cache_key_write_tag(frontend->table, CACHE_ROUTE_LOOKUP, slice, read->text);
	read->text[len] = '\0';
	if (!read->cached)
		return;
	read->revision = strtoull(strchr(read->text, '@') + 1, NULL, 10);
	unsigned place = cache_place(read->text);
	if (strcmp(frontend->cache[place].key, read->text) == 0) {
		m.hits++;
		read_ends(read, frontend->cache[place].shows);
		m.event_count--;
	}
}

/* A replica answers: as of the log's end when it is asked for the newest, else it may lag, but never behind what it is asked for. */
void fill_reads(const struct event *read)
{
	const struct replica *replica = &m.replicas[read->replica];
	if (!is_linked(read->frontend, read->replica) || (!read->cached && is_cut(read->replica) && rule(UNCACHED_IS_STRICT)))
		return;
	uint64_t position = read->cached || !rule(UNCACHED_IS_STRICT) ? replica->applied : m.end;
	if (read->cached && read->revision > position && rule(FILLS_ASK_FOR_THE_REVISION))
		return;                               /* behind: 503 */
	struct event *end = plan(FILL_ENDS, read->frontend, delay_ms());
	int64_t due_ms = end->due_ms;
	*end = *read;
	end->kind = FILL_ENDS;
	end->due_ms = due_ms;
	end->shows = changed_at(read->item, position);
}

void fill_ends(const struct event *read)
{
	struct frontend *frontend = &m.frontends[read->frontend];
	char changed[24];
	if (read->start != frontend->start)
		return;                               /* it is gone, and so is its client */
	snprintf(changed, sizeof changed, "%" PRIu64, read->shows);
	bool is_late = read->era != era_of(frontend);
	if (rule(is_late ? LATE_ANSWERS_MAKE_DOUBT : ANSWERS_RAISE_THE_SLOT))
		(void)cache_key_raise(frontend->table, slice_of(read->text), slice_of(changed), m.now_ms);
	if (read->cached) {
		unsigned place = cache_place(read->text);
		memcpy(frontend->cache[place].key, read->text, CACHE_KEY_MAX_BYTES);
		frontend->cache[place].shows = read->shows;
	}
	read_ends(read, read->shows);
}
