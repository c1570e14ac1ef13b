/* fence_writer: acknowledgements that are held back until the frontends were told, or can't lie any more; see fence.h. */
#include "tests/unit/model/fence.h"

static struct wait *new_wait(unsigned replica, uint64_t index, bool repeated)
{
	for (size_t i = 0; i < WAITS_MAX; i++)
		if (!m.waits[i].active) {
			m.waits[i] = (struct wait){ .active = true, .serial = ++m.serial, .replica = replica, .index = index, .repeated = repeated };
			return &m.waits[i];
		}
	return NULL;
}

static void plan_of_wait(enum event_kind kind, const struct wait *wait, int64_t after_ms)
{
	struct event *event = plan(kind, -1, after_ms);
	event->wait = (unsigned)(wait - m.waits);
	event->wait_serial = wait->serial;
}

struct wait *wait_of(const struct event *event)
{
	struct wait *wait = &m.waits[event->wait];
	return wait->active && wait->serial == event->wait_serial ? wait : NULL;
}

static void acknowledge(struct wait *wait)
{
	unsigned item = m.log[wait->index].item;
	if (m.acknowledged[item] < wait->index)
		m.acknowledged[item] = wait->index;
	wait->active = false;
	m.writes++;
}

static bool is_held_back(const struct wait *wait, int f)
{
	if (!wait->target[f] || wait->confirmed[f] || m.now_ms >= wait->lapse_ms[f])
		return false;
	return rule(WAIT_AFTER_FENCE) || !m.log[m.replicas[wait->replica].applied].frontends[f].fenced;
}

void check_wait(struct wait *wait)
{
	for (int f = 0; f < FRONTENDS; f++)
		if (is_held_back(wait, f))
			return;
	acknowledge(wait);
}

/* The writer knows that its entry is committed, and whom it has to wait for. */
void start_wait(struct wait *wait)
{
	const struct replica *replica = &m.replicas[wait->replica];
	const struct registered *list = m.log[rule(LIST_AS_OF_THE_WRITE) ? replica->applied : wait->list_position].frontends;
	wait->listed = true;
	if (wait->repeated && !rule(REPEATED_ANSWERS_PUSH)) {
		acknowledge(wait);
		return;
	}
	for (int f = 0; f < FRONTENDS; f++) {
		int64_t since_ms = list[f].fenced && replica->fence_seen_ms < m.now_ms ? replica->fence_seen_ms : m.now_ms;
		wait->target[f] = list[f].joined;
		wait->was_fenced[f] = list[f].fenced;
		wait->since[f] = list[f].since;
		wait->lapse_ms[f] = since_ms + T_MS;
		if (is_held_back(wait, f))
			plan_of_wait(WAIT_ENDS, wait, wait->lapse_ms[f] - m.now_ms);
	}
	plan_of_wait(TRY, wait, 0);
	plan_of_wait(PATIENCE, wait, PATIENCE_MS);
}

void write_begins(void)
{
	unsigned replica = (unsigned)chance(REPLICAS);
	uint64_t list_position = m.replicas[replica].applied;
	if (is_cut(replica) || append((unsigned)chance(ITEMS)) == NULL)
		return;
	struct wait *wait = new_wait(replica, m.end, false);
	if (wait != NULL)
		wait->list_position = list_position;
	/* A client that lost patience asks again, elsewhere, under the same key. */
	if (chance(3) == 0)
		plan(ASK_AGAIN, -1, delay_ms())->revision = m.end;
}

void ask_again(uint64_t index)
{
	unsigned replica = (unsigned)chance(REPLICAS);
	if (is_cut(replica))
		return;
	struct wait *wait = new_wait(replica, index, true);
	if (wait == NULL)
		return;
	wait->list_position = m.replicas[replica].applied;
	if (m.replicas[replica].applied >= index)
		start_wait(wait);
}

void try_to_push(struct wait *wait)
{
	bool again = false;
	for (int f = 0; f < FRONTENDS && wait->active; f++) {
		if (!is_held_back(wait, f))
			continue;
		again = true;
		if (!is_linked(f, wait->replica) || chance(3) == 0)
			continue;
		struct event *push = plan(PUSH_ARRIVES, f, delay_ms());
		push->wait = (unsigned)(wait - m.waits);
		push->wait_serial = wait->serial;
		push->item = m.log[wait->index].item;
		push->revision = wait->index;
		push->replica = wait->replica;
	}
	if (again && !rule(UNCONFIRMED_IS_WAITED_OUT))
		acknowledge(wait);
	else if (again)
		plan_of_wait(TRY, wait, RETRY_MS);
	else
		check_wait(wait);
}

/* Who has not confirmed by now is fenced, if it is still the one that this writer knows. */
void lose_patience(const struct wait *wait)
{
	for (int f = 0; f < FRONTENDS; f++) {
		const struct registered *now = &m.log[m.end].frontends[f];
		if (!is_held_back(wait, f) || wait->was_fenced[f] || is_cut(wait->replica) || now->fenced || now->since != wait->since[f])
			continue;
		struct entry *entry = append(ITEMS);
		if (entry == NULL)
			return;
		entry->frontends[f].fenced = true;
		entry->frontends[f].since = m.end;
		m.fences++;
	}
}

void confirm_arrives(const struct event *event)
{
	struct wait *wait = wait_of(event);
	if (wait == NULL)
		return;
	wait->confirmed[event->peer] = true;
	check_wait(wait);
}
