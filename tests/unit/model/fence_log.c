/* fence_log: the log, and replicas that lag and are cut off from it; see fence.h. */
#include "tests/unit/model/fence.h"

struct entry *append(unsigned item)
{
	if (m.end + 1 >= ENTRIES_MAX)
		return NULL;
	m.log[m.end + 1] = m.log[m.end];
	m.log[++m.end].item = item;
	return &m.log[m.end];
}

uint64_t changed_at(unsigned item, uint64_t position)
{
	while (position > 0 && m.log[position].item != item)
		position--;
	return position;
}

void apply(unsigned r)
{
	struct replica *replica = &m.replicas[r];
	plan(APPLY, -1, 5 + (int64_t)chance(30))->replica = r;
	if (is_cut(r) || replica->applied == m.end || chance(4) == 0)
		return;
	uint64_t to = chance(3) == 0 ? replica->applied + 1 + chance(m.end - replica->applied) : m.end;
	for (; replica->applied < to; replica->applied++)
		for (int f = 0; f < FRONTENDS; f++)
			if (m.log[replica->applied + 1].frontends[f].fenced && m.log[replica->applied + 1].frontends[f].since == replica->applied + 1)
				replica->fence_seen_ms = m.now_ms;
	for (size_t i = 0; i < WAITS_MAX; i++) {
		struct wait *wait = &m.waits[i];
		if (!wait->active || wait->replica != r)
			continue;
		if (!wait->listed && wait->index <= replica->applied)
			start_wait(wait);
		else if (wait->listed)
			check_wait(wait);
	}
}
