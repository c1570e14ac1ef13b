/*
 * rotation: the states of the nodes, and which one is chosen; see rotation.h for the rules. The list is rotation_list.c's.
 */
#include "nginx/rotation.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "nginx/rotation_memory.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would outlive the process that holds it");
_Static_assert(ROTATION_NODES_MAX <= 32, "tried nodes are bits of a word");
_Static_assert(ROTATION_STATES <= 1 << ROTATION_STATE_BITS, "a state must fit into its bits");

struct rotation *rotation_create(void)
{
	pthread_mutexattr_t attributes;
	struct rotation *rotation = mmap(NULL, sizeof *rotation, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (rotation == MAP_FAILED)
		return NULL;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	int error = pthread_mutex_init(&rotation->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	if (error != 0) {
		munmap(rotation, sizeof *rotation);
		return NULL;
	}
	return rotation;
}

void rotation_destroy(struct rotation *rotation)
{
	munmap(rotation, sizeof *rotation);
}

/* ---- states --------------------------------------------------------------------------------- */

static uint32_t id_of(uint64_t seen)
{
	return (uint32_t)(seen >> (ROTATION_STATE_BITS + ROTATION_TIME_BITS));
}

static enum rotation_state state_of(uint64_t seen)
{
	return (enum rotation_state)(seen >> ROTATION_TIME_BITS & ((1 << ROTATION_STATE_BITS) - 1));
}

static int64_t asked_at(uint64_t seen)
{
	return (int64_t)(seen & ((UINT64_C(1) << ROTATION_TIME_BITS) - 1));
}

enum rotation_state rotation_state(const struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind)
{
	uint64_t seen = atomic_load(&rotation->states[node->slot][kind]);
	return id_of(seen) == node->id ? state_of(seen) : ROTATION_SILENT;
}

bool rotation_judge(struct rotation *rotation, uint32_t slot, uint32_t id, enum rotation_kind kind, enum rotation_state state, int64_t asked_at_ms)
{
	if (slot >= ROTATION_NODES_MAX || kind >= ROTATION_KINDS || state >= ROTATION_STATES)
		return false;
	word *at = &rotation->states[slot][kind];
	uint64_t seen = atomic_load(at);
	do {
		if (id_of(seen) != id || asked_at(seen) > asked_at_ms)
			return false;
	} while (!atomic_compare_exchange_weak(at, &seen, rotation_pack(id, state, asked_at_ms)));
	if (state_of(seen) == ROTATION_IN && state != ROTATION_IN) {
		atomic_store(&rotation->left_at_ms[slot][kind], (uint64_t)asked_at_ms);
		atomic_fetch_add(&rotation->leaves[slot][kind], 1);
	}
	return (state_of(seen) == ROTATION_IN) != (state == ROTATION_IN);
}

bool rotation_is_doubtful(const struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind, int64_t now_ms)
{
	return rotation_state(rotation, node, kind) != ROTATION_IN &&
	       now_ms < (int64_t)atomic_load(&rotation->left_at_ms[node->slot][kind]) + ROTATION_DOUBT_MS;
}

uint64_t rotation_leaves(const struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind)
{
	return atomic_load(&rotation->leaves[node->slot][kind]);
}

static bool claim(word *at, int64_t now_ms, int64_t interval_ms)
{
	uint64_t seen = atomic_load(at);
	if (seen != 0 && now_ms < (int64_t)seen + interval_ms)
		return false;
	return atomic_compare_exchange_strong(at, &seen, (uint64_t)now_ms);
}

bool rotation_claim_probe(struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind, int64_t now_ms, int64_t interval_ms)
{
	return claim(&rotation->probed_at_ms[node->slot][kind], now_ms, interval_ms);
}

bool rotation_claim_name(struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind, int64_t now_ms)
{
	const struct rotation_worker *worker = &node->workers[kind];
	union rotation_address address;
	uint32_t len;
	if (worker->place[0] == '\0' || rotation_read_place(worker->place, &address, &len))
		return false;
	return claim(&rotation->named_at_ms[node->slot][kind], now_ms, worker->address_len == 0 ? ROTATION_NO_NAME_MS : ROTATION_NAME_MS);
}

bool rotation_claim_list(struct rotation *rotation, int64_t now_ms, int64_t interval_ms)
{
	return claim(&rotation->list_asked_at_ms, now_ms, interval_ms);
}

/* ---- the choice ----------------------------------------------------------------------------- */

int rotation_choose(const struct rotation *rotation, const struct rotation_list *list, enum rotation_kind kind, enum rotation_policy policy,
	uint32_t tried, uint32_t turn)
{
	int found[ROTATION_NODES_MAX];
	uint32_t counts[ROTATION_STATES] = { 0 };
	enum rotation_state states[ROTATION_NODES_MAX], wanted = ROTATION_IN;

	for (uint32_t i = 0; i < list->count; i++) {
		const struct rotation_node *node = &list->nodes[i];
		states[i] = ROTATION_STATES;
		if (node->workers[kind].address_len == 0 || (tried & UINT32_C(1) << node->slot) != 0)
			continue;
		states[i] = rotation_state(rotation, node, kind);
		counts[states[i]]++;
	}
	while (wanted < ROTATION_STATES && counts[wanted] == 0)
		wanted++;
	if (wanted == ROTATION_STATES)
		return -1;
	uint32_t count = 0;
	for (uint32_t i = 0; i < list->count; i++)
		if (states[i] == wanted)
			found[count++] = (int)i;
	return found[policy == ROTATION_TURNS ? turn % count : 0];
}

uint32_t rotation_count_in(const struct rotation *rotation, const struct rotation_list *list, enum rotation_kind kind)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < list->count; i++)
		if (list->nodes[i].workers[kind].address_len > 0 && rotation_state(rotation, &list->nodes[i], kind) == ROTATION_IN)
			count++;
	return count;
}
