/* fence_frontend: what frontends learn: pushes, leases and joins; see fence.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

#include "db/slot.h"
#include "tests/unit/model/fence.h"

void push_arrives(const struct event *push)
{
	char text[128];
	int len = snprintf(text, sizeof text, "pygmy-changes 1 %016" PRIx64 " push %" PRIu64 "\n%" PRIu64 " %" PRIu32 "\n", UINT64_C(0x5eed),
		push->revision, push->revision, slot_of_item((int64_t)push->item + 1));
	if (push->start != m.frontends[push->frontend].start)
		return;                               /* the connection is broken */
	assert_int_equal(coherence_table_push(m.frontends[push->frontend].table, (struct slice){ text, (size_t)len }), COHERENCE_DONE);
	if (!is_linked(push->frontend, push->replica) || chance(5) == 0)
		return;
	struct event *confirm = plan(CONFIRM_ARRIVES, -1, delay_ms());
	confirm->wait = push->wait;
	confirm->wait_serial = push->wait_serial;
	confirm->peer = (unsigned)push->frontend;
}

/* ---- leases and joins --------------------------------------------------------------------------------- */

static void join(int f)
{
	if (!coherence_table_claim_join(m.frontends[f].table, m.now_ms))
		return;
	struct event *event = plan(JOIN_ARRIVES, -1, delay_ms());
	event->replica = (unsigned)chance(REPLICAS);
	event->peer = (unsigned)f;
	event->start = m.frontends[f].start;
}

void join_arrives(const struct event *event)
{
	int f = (int)event->peer;
	if (is_cut(event->replica) || !is_linked(f, event->replica))
		return;
	bool returns = m.log[m.end].frontends[f].fenced;
	struct entry *entry = append(ITEMS);
	if (entry == NULL)
		return;
	entry->frontends[f] = (struct registered){ .joined = true, .since = m.end };
	m.returns += returns;
	struct event *answer = plan(JOINED_ARRIVES, f, delay_ms());
	answer->start = event->start;
	answer->revision = m.end;
}

void ask(int f)
{
	struct coherence_question question;
	coherence_table_ask(m.frontends[f].table, m.now_ms, &question);
	if (question.joined == 0) {
		join(f);
		return;
	}
	struct event *event = plan(ANSWER_MADE, -1, delay_ms());
	event->replica = (unsigned)chance(REPLICAS);
	event->peer = (unsigned)f;
	event->start = m.frontends[f].start;
	event->question = question;
}

void answer_is_made(const struct event *asked)
{
	const struct coherence_question *question = &asked->question;
	int f = (int)asked->peer;
	bool strict = rule(LEASES_ARE_STRICT);
	if ((strict && is_cut(asked->replica)) || !is_linked(f, asked->replica))
		return;
	uint64_t position = strict ? m.end : m.replicas[asked->replica].applied;
	const struct registered *registered = &m.log[position].frontends[f];
	bool counts = registered->joined && !registered->fenced && registered->since == question->joined;
	bool known = question->has_position && question->since <= position && position - question->since <= RING;
	const char *kind = !counts && rule(FENCED_GET_NO_LEASE) ? "fenced" : known ? "delta" : "reset";
	struct event *answer = plan(ANSWER_ARRIVES, f, delay_ms());
	answer->start = asked->start;
	answer->question = *question;
	/* Without a floor: as if nothing had ever changed. */
	uint64_t said = kind[0] == 'r' && !rule(FIRST_LEASE_SETS_FLOOR) ? (question->has_position ? question->since : 1) : position;
	size_t len = (size_t)snprintf(answer->text, sizeof answer->text, "pygmy-changes 1 %016" PRIx64 " %s %" PRIu64 "\n", UINT64_C(0x5eed), kind, said);
	for (uint64_t i = question->since + 1; kind[0] == 'd' && i <= position; i++)
		if (m.log[i].item < ITEMS)
			len += (size_t)snprintf(answer->text + len, sizeof answer->text - len, "%" PRIu64 " %" PRIu32 "\n", i,
				slot_of_item((int64_t)m.log[i].item + 1));
	assert_true(len < sizeof answer->text);
}

void answer_arrives(const struct event *answer)
{
	int f = answer->frontend;
	if (answer->start != m.frontends[f].start)
		return;
	struct coherence_question question = answer->question;
	if (!rule(LEASE_COUNTS_FROM_SENDING))
		question.sent_at_ms = m.now_ms;
	enum coherence_outcome outcome = coherence_table_answer(m.frontends[f].table, &question, slice_of(answer->text));
	if (outcome == COHERENCE_ASK_AGAIN)
		ask(f);
	else if (outcome == COHERENCE_FENCED)
		join(f);
}

void joined_arrives(const struct event *answer)
{
	int f = answer->frontend;
	if (answer->start != m.frontends[f].start)
		return;
	coherence_table_joined(m.frontends[f].table, m.now_ms, answer->revision);
	ask(f);
}
