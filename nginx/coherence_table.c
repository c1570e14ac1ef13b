/*
 * coherence_table: words of (era, value) that only rise. See coherence_table.h for the rules and why they hold.
 *
 * The atomics are all sequentially consistent: the cost does not show, and the protocol's argument may then speak
 * of one order of events. The last era is a seal: it has no log, so it never gets a lease.
 */
#include "nginx/coherence_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "db/limits.h"

#define VALUE_BITS 48
#define SEALED_ERA (COHERENCE_ERAS_MAX - 1)
#define PUSH_TRIES_MAX 64

_Static_assert(COHERENCE_ERAS_MAX <= 1 << (64 - VALUE_BITS), "an era must fit beside a value");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would outlive the process that holds it");

typedef _Atomic uint64_t word;

struct coherence_table {
	char nonce[COHERENCE_NONCE_HEX_LEN + 1];
	word era;                             /* 0: nothing is known yet */
	word lease;                           /* value: when the question was sent */
	word floor;
	word position;
	word doubt_ms;                        /* a plain number: a lease counts if its question was sent then or later */
	word claimed_at_ms;
	word joined, joined_at_ms;            /* these are plain numbers */
	word join_at_ms, join_pause_ms;       /* the next one: not before; and how long after the last */
	word pushes, renewals, resets, refused, fences;
	word logs[COHERENCE_ERAS_MAX];        /* log id of each era; 0: not opened */
	word slots[SLOT_COUNT];
};

struct coherence_table *coherence_table_create(void)
{
	uint64_t nonce;
	if (getrandom(&nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
		return NULL;
	struct coherence_table *table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (table == MAP_FAILED)
		return NULL;
	snprintf(table->nonce, sizeof table->nonce, "%016" PRIx64, nonce);
	return table;
}

void coherence_table_destroy(struct coherence_table *table)
{
	munmap(table, sizeof *table);
}

int64_t coherence_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *coherence_table_nonce(const struct coherence_table *table)
{
	return table->nonce;
}

/* ---- words ---------------------------------------------------------------------------------- */

static uint64_t pack(uint32_t era, uint64_t value)
{
	return (uint64_t)era << VALUE_BITS | value;
}

/* Larger means a later era, or the same era and a larger value. */
static void raise_word(word *at, uint32_t era, uint64_t value)
{
	uint64_t wanted = pack(era, value);
	uint64_t seen = atomic_load(at);
	while (seen < wanted && !atomic_compare_exchange_weak(at, &seen, wanted)) {
	}
}

/* False when the word was not set in this era. In era 0 none ever is. */
static bool read_word(const word *at, uint32_t era, uint64_t *value)
{
	uint64_t seen = atomic_load(at);
	if (era == 0 || seen >> VALUE_BITS != era) {
		*value = 0;
		return false;
	}
	*value = seen & COHERENCE_REVISION_MAX;
	return true;
}

static uint32_t current_era(const struct coherence_table *table)
{
	return (uint32_t)atomic_load(&table->era);
}

static void count(word *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int64_t lease_left_ms(const struct coherence_table *table, uint32_t era, int64_t now_ms, int64_t lease_ms)
{
	uint64_t since;
	if (!read_word(&table->lease, era, &since) || since < atomic_load(&table->doubt_ms))
		return 0;
	int64_t left_ms = (int64_t)since + lease_ms - now_ms;
	return left_ms > 0 ? left_ms : 0;
}

void coherence_table_view(const struct coherence_table *table, uint32_t slot, int64_t now_ms, int64_t lease_ms,
	struct coherence_view *view)
{
	uint64_t floor, revision, seen;

	view->era = current_era(table);
	/* The lease before the revisions: whoever renews it raises them first. */
	view->leased = lease_left_ms(table, view->era, now_ms, lease_ms) > 0;
	if (!read_word(&table->floor, view->era, &floor))
		view->leased = false;
	seen = atomic_load(&table->slots[slot]);
	/* A later era has overwritten what this one knew. */
	if (seen >> VALUE_BITS > view->era)
		view->leased = false;
	revision = seen >> VALUE_BITS == view->era ? seen & COHERENCE_REVISION_MAX : 0;
	view->revision = revision > floor ? revision : floor;
}

/* ---- eras ----------------------------------------------------------------------------------- */

/*
 * Opens the era after `era`, for a log. Another process may have opened it for another log, or may have died half
 * way through; either way the era after `era` is the current one, or has passed, when this returns.
 */
static void open_next_era(struct coherence_table *table, uint32_t era, uint64_t log)
{
	uint64_t seen = era;

	if (era >= SEALED_ERA)
		return;
	if (era + 1 < SEALED_ERA) {
		uint64_t none = 0;
		atomic_compare_exchange_strong(&table->logs[era + 1], &none, log);
	}
	atomic_compare_exchange_strong(&table->era, &seen, (uint64_t)era + 1);
}

static uint64_t log_from_text(const char *log_id)
{
	return strtoull(log_id, NULL, 16);
}

static void log_to_text(uint64_t log, char text[LOG_ID_HEX_LEN + 1])
{
	snprintf(text, LOG_ID_HEX_LEN + 1, "%016" PRIx64, log);
}

/* ---- learning ------------------------------------------------------------------------------- */

/* The era is read first: one that opens later gets its lease by a question that is sent later, too. */
static void doubt_if_passed(struct coherence_table *table, uint32_t era, int64_t now_ms)
{
	if (current_era(table) != era)
		raise_word(&table->doubt_ms, 0, (uint64_t)now_ms + 1);
}

void coherence_table_raise(struct coherence_table *table, uint32_t era, uint32_t slot, uint64_t revision, int64_t now_ms)
{
	doubt_if_passed(table, era, now_ms);
	if (era == 0 || era >= SEALED_ERA || slot >= SLOT_COUNT || revision > COHERENCE_REVISION_MAX)
		return;
	raise_word(&table->slots[slot], era, revision);
}

struct slot_raiser {
	struct coherence_table *table;
	uint32_t era;
};

static void raise_slot(void *context, uint32_t slot, uint64_t revision)
{
	struct slot_raiser *raiser = context;
	raise_word(&raiser->table->slots[slot], raiser->era, revision);
}

/* Checks all of the text, and that its numbers fit into words. */
static bool parse(struct slice text, struct changes_head *head, uint64_t *log)
{
	if (!changes_parse(text, head, NULL, NULL) || head->position > COHERENCE_REVISION_MAX)
		return false;
	*log = log_from_text(head->log_id);
	return *log != 0;
}

enum coherence_outcome coherence_table_push(struct coherence_table *table, struct slice text)
{
	struct changes_head head;
	uint64_t log;

	if (!parse(text, &head, &log) || head.kind == CHANGES_DELTA || head.kind == CHANGES_FENCED) {
		count(&table->refused);
		return COHERENCE_REFUSED;
	}
	count(&table->pushes);
	for (int tries = 0; tries < PUSH_TRIES_MAX; tries++) {
		struct slot_raiser raiser = { table, current_era(table) };
		if (raiser.era == SEALED_ERA)
			return COHERENCE_DONE;        /* nothing is served from the cache any more */
		if (raiser.era == 0 || atomic_load(&table->logs[raiser.era]) != log) {
			open_next_era(table, raiser.era, log);
			continue;
		}
		/* Should another era open now: its lease comes from a question asked later than this, so this write is in it. */
		changes_parse(text, &head, raise_slot, &raiser);
		if (head.kind == CHANGES_RESET)
			raise_word(&table->floor, raiser.era, head.position);
		return COHERENCE_DONE;
	}
	return COHERENCE_BUSY;
}

bool coherence_table_claim(struct coherence_table *table, int64_t now_ms, int64_t interval_ms)
{
	uint64_t before = atomic_load(&table->claimed_at_ms);
	if (before != 0 && now_ms - (int64_t)before < interval_ms)
		return false;
	return atomic_compare_exchange_strong(&table->claimed_at_ms, &before, (uint64_t)now_ms);
}

void coherence_table_ask(const struct coherence_table *table, int64_t now_ms, struct coherence_question *question)
{
	question->sent_at_ms = now_ms;
	question->era = current_era(table);
	question->has_position = read_word(&table->position, question->era, &question->since);
	if (!question->has_position)
		question->since = 0;
	question->joined = atomic_load(&table->joined);
	log_to_text(question->has_position ? atomic_load(&table->logs[question->era]) : 0, question->log_id);
}

static void renew(struct coherence_table *table, const struct coherence_question *question, struct slice text,
	enum changes_kind kind, uint64_t position)
{
	struct changes_head head;
	struct slot_raiser raiser = { table, question->era };

	if (kind == CHANGES_RESET)
		raise_word(&table->floor, question->era, position);
	changes_parse(text, &head, raise_slot, &raiser);
	raise_word(&table->position, question->era, position);
	raise_word(&table->lease, question->era, (uint64_t)question->sent_at_ms);
	count(kind == CHANGES_RESET ? &table->resets : &table->renewals);
}

enum coherence_outcome coherence_table_answer(struct coherence_table *table, const struct coherence_question *question,
	struct slice text)
{
	struct changes_head head;
	uint64_t log;
	bool sound = parse(text, &head, &log);

	if (question->era == SEALED_ERA)
		return COHERENCE_SEALED;
	/* A delta can't answer a question without position, nor end before its own beginning. */
	if (!sound || head.kind == CHANGES_PUSH || (head.kind == CHANGES_DELTA
			&& (!question->has_position || head.position < question->since))) {
		count(&table->refused);
		return COHERENCE_REFUSED;
	}
	if (head.kind == CHANGES_FENCED) {
		if (question->joined != atomic_load(&table->joined))
			return COHERENCE_ASK_AGAIN;
		count(&table->fences);
		return COHERENCE_FENCED;
	}
	if (current_era(table) != question->era)
		return COHERENCE_LATE;
	bool other_log = question->era == 0 || atomic_load(&table->logs[question->era]) != log;
	bool went_back = question->has_position && head.position < question->since;
	if (other_log || went_back) {
		open_next_era(table, question->era, log);
		return COHERENCE_ASK_AGAIN;
	}
	renew(table, question, text, head.kind, head.position);
	return COHERENCE_DONE;
}

/* ---- joining -------------------------------------------------------------------------------- */

bool coherence_table_claim_join(struct coherence_table *table, int64_t now_ms)
{
	uint64_t before = atomic_load(&table->join_at_ms);
	return now_ms >= (int64_t)before &&
	       atomic_compare_exchange_strong(&table->join_at_ms, &before, (uint64_t)(now_ms + COHERENCE_JOIN_RETRY_MS));
}

void coherence_table_joined(struct coherence_table *table, int64_t now_ms, uint64_t index)
{
	uint64_t last_ms = atomic_load(&table->joined_at_ms), pause_ms = 2 * atomic_load(&table->join_pause_ms);
	if (pause_ms == 0 || now_ms - (int64_t)last_ms >= COHERENCE_JOIN_CALM_MS)
		pause_ms = COHERENCE_JOIN_PAUSE_MS;
	if (pause_ms > COHERENCE_JOIN_PAUSE_MAX_MS)
		pause_ms = COHERENCE_JOIN_PAUSE_MAX_MS;
	atomic_store(&table->join_pause_ms, pause_ms);
	atomic_store(&table->joined_at_ms, (uint64_t)now_ms);
	atomic_store(&table->join_at_ms, (uint64_t)now_ms + pause_ms);
	atomic_store(&table->joined, index);
}

/* ---- for operators -------------------------------------------------------------------------- */

void coherence_table_status(const struct coherence_table *table, int64_t now_ms, int64_t lease_ms,
	struct coherence_status *status)
{
	status->era = current_era(table);
	status->lease_left_ms = lease_left_ms(table, status->era, now_ms, lease_ms);
	status->leased = status->lease_left_ms > 0;
	read_word(&table->position, status->era, &status->position);
	read_word(&table->floor, status->era, &status->floor);
	status->pushes = atomic_load(&table->pushes);
	status->renewals = atomic_load(&table->renewals);
	status->resets = atomic_load(&table->resets);
	status->refused = atomic_load(&table->refused);
	status->fences = atomic_load(&table->fences);
	status->joined = atomic_load(&table->joined);
	log_to_text(atomic_load(&table->logs[status->era]), status->log_id);
}
