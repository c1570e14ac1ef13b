/* roll: see roll.h. */
#include "db/roll.h"

#include <stdio.h>

const char *roll_event_text(enum roll_event event)
{
	static const char *const texts[] = {
#define X(name, text) text,
		ROLL_EVENTS(X)
#undef X
	};
	return texts[event];
}

void roll_init(struct roll *roll)
{
	memset(roll, 0, sizeof *roll);
}

/* Forgets who is neither up nor configured, when there is no other room. */
static void make_room(struct roll *roll)
{
	int kept = 0;
	for (int i = 0; i < roll->count; i++)
		if (roll->entries[i].live || roll->entries[i].configured)
			roll->entries[kept++] = roll->entries[i];
	roll->count = kept;
}

static struct roll_entry *find_or_add(struct roll *roll, const char *name)
{
	for (int i = 0; i < roll->count; i++)
		if (strcmp(roll->entries[i].name, name) == 0)
			return &roll->entries[i];
	if (roll->count == ROLL_MAX)
		make_room(roll);
	if (roll->count == ROLL_MAX)
		return NULL;
	struct roll_entry *entry = &roll->entries[roll->count++];
	memset(entry, 0, sizeof *entry);
	snprintf(entry->name, sizeof entry->name, "%s", name);
	return entry;
}

static enum roll_event event_of_phase(enum node_phase phase)
{
	switch (phase) {
	case NODE_READY:
		return ROLL_READY;
	case NODE_CATCHING_UP:
		return ROLL_CATCHING_UP;
	case NODE_LOADING_SNAPSHOT:
		return ROLL_LOADING;
	case NODE_IN_DOUBT:
		return ROLL_IN_DOUBT;
	case NODE_DIVERGED:
		return ROLL_DIVERGED;
	default:
		return ROLL_UNFIT;
	}
}

static void take_one(struct roll *roll, const struct member *member, roll_visit visit, void *context)
{
	struct roll_entry *entry = find_or_add(roll, member->name);
	if (entry == NULL)
		return;
	if (!entry->live)
		visit(context, !roll->has_list ? ROLL_PRESENT : entry->was_live ? ROLL_CAME_BACK : ROLL_JOINED, entry->name, member);
	else if (entry->since_ms != member->since_ms)
		visit(context, ROLL_RESTARTED, entry->name, member);
	/* A node passes through STARTING for a moment: of no interest. */
	if (entry->was_live && entry->phase != member->phase && member->phase != NODE_STARTING)
		visit(context, event_of_phase(member->phase), entry->name, member);
	entry->live = entry->was_live = entry->listed = true;
	entry->missed = 0;
	entry->phase = member->phase;
	entry->since_ms = member->since_ms;
}

void roll_take_live(struct roll *roll, const struct member *members, size_t count, bool is_sure, roll_visit visit, void *context)
{
	for (int i = 0; i < roll->count; i++)
		roll->entries[i].listed = false;
	for (size_t i = 0; i < count; i++)
		take_one(roll, &members[i], visit, context);
	for (int i = 0; i < roll->count; i++) {
		struct roll_entry *entry = &roll->entries[i];
		if (!entry->live || entry->listed)
			continue;
		entry->missed = is_sure ? entry->missed + 1 : 0;
		if (entry->missed < ROLL_MISSED)
			continue;
		entry->live = false;
		visit(context, ROLL_LEFT, entry->name, NULL);
	}
	roll->has_list = true;
}

void roll_take_configured(struct roll *roll, const struct configured_member *members, size_t count, roll_visit visit, void *context)
{
	for (int i = 0; i < roll->count; i++)
		roll->entries[i].listed = false;
	for (size_t i = 0; i < count; i++) {
		struct roll_entry *entry = find_or_add(roll, members[i].name);
		if (entry == NULL)
			continue;
		if (!entry->configured && roll->has_configured)
			visit(context, ROLL_ADDED, entry->name, NULL);
		entry->configured = entry->listed = true;
	}
	for (int i = 0; i < roll->count; i++) {
		struct roll_entry *entry = &roll->entries[i];
		if (entry->configured && !entry->listed) {
			entry->configured = false;
			visit(context, ROLL_REMOVED, entry->name, NULL);
		}
	}
	roll->has_configured = true;
}
