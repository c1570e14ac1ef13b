/*
 * rotation_list: the list of nodes, how it is read and how it changes; see rotation.h for the rules.
 */
#include "nginx/rotation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nginx/rotation_memory.h"

#define COPY_TRIES_MAX 8

const size_t rotation_list_bytes = sizeof(struct rotation_list);

/* ---- reading the list ----------------------------------------------------------------------- */

static void load_list(const struct rotation *rotation, struct rotation_list *list)
{
	uint64_t words[ROTATION_LIST_WORDS];
	for (size_t i = 0; i < ROTATION_LIST_WORDS; i++)
		words[i] = atomic_load_explicit(&rotation->list[i], memory_order_relaxed);
	memcpy(list, words, sizeof *list);
}

bool rotation_look(const struct rotation *rotation, struct rotation_list *copy)
{
	struct rotation_list fresh;
	for (int tries = 0; tries < COPY_TRIES_MAX; tries++) {
		uint64_t generation = atomic_load(&rotation->generation);
		if (generation == copy->generation || generation % 2 == 1)
			return false;
		load_list(rotation, &fresh);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load(&rotation->generation) != generation)
			continue;
		fresh.generation = generation;
		*copy = fresh;
		return true;
	}
	return false;
}

static void write_url(const struct rotation_worker *worker, char url[NODE_URL_MAX_BYTES + 1])
{
	int len = snprintf(url, NODE_URL_MAX_BYTES + 1, "http://%s", worker->place);
	if (len < 0 || len > NODE_URL_MAX_BYTES)
		url[0] = '\0';
}

size_t rotation_write(const struct rotation_list *list, char *buf, size_t buf_size)
{
	struct node_list out = { .revision = list->revision, .count = list->count };
	if (list->revision == 0)
		return 0;
	memcpy(out.log_id, list->log_id, sizeof out.log_id);
	for (uint32_t i = 0; i < list->count; i++) {
		memcpy(out.nodes[i].name, list->nodes[i].name, sizeof out.nodes[i].name);
		write_url(&list->nodes[i].workers[ROTATION_CATALOG], out.nodes[i].catalog_url);
		write_url(&list->nodes[i].workers[ROTATION_ORDER], out.nodes[i].order_url);
	}
	return node_list_write(&out, buf, buf_size);
}

bool rotation_read_place(const char *place, union rotation_address *address, uint32_t *address_len)
{
	char host[INET6_ADDRSTRLEN + 1] = "";
	const char *colon = strrchr(place, ':');
	size_t len = colon == NULL ? 0 : (size_t)(colon - place);
	memset(address, 0, sizeof *address);
	if (len == 0 || len > sizeof host - 1)
		return false;
	in_port_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	bool in_brackets = place[0] == '[' && place[len - 1] == ']' && len > 2;
	memcpy(host, in_brackets ? place + 1 : place, in_brackets ? len - 2 : len);
	if (in_brackets && inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = port;
		*address_len = sizeof address->v6;
		return true;
	}
	if (in_brackets || inet_pton(AF_INET, host, &address->v4.sin_addr) != 1)
		return false;
	address->v4.sin_family = AF_INET;
	address->v4.sin_port = port;
	*address_len = sizeof address->v4;
	return true;
}

/* ---- changing the list ---------------------------------------------------------------------- */

static bool take_lock(struct rotation *rotation, int wait_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += wait_ms / 1000;
	int error = wait_ms > 0 ? pthread_mutex_timedlock(&rotation->lock, &until) : pthread_mutex_trylock(&rotation->lock);
	if (error == EOWNERDEAD)
		error = pthread_mutex_consistent(&rotation->lock);
	return error == 0;
}

static bool was_broken_off(const struct rotation *rotation)
{
	return atomic_load(&rotation->generation) % 2 == 1;
}

/* The lock is held. */
static void store_list(struct rotation *rotation, const struct rotation_list *list)
{
	uint64_t words[ROTATION_LIST_WORDS] = { 0 };
	uint64_t generation = atomic_load(&rotation->generation) | 1;
	memcpy(words, list, sizeof *list);
	atomic_store(&rotation->generation, generation);
	for (size_t i = 0; i < ROTATION_LIST_WORDS; i++)
		atomic_store_explicit(&rotation->list[i], words[i], memory_order_release);
	atomic_store(&rotation->generation, generation + 1);
}

static bool is_same_node(const struct rotation_node *a, const struct rotation_node *b)
{
	return strcmp(a->workers[ROTATION_CATALOG].place, b->workers[ROTATION_CATALOG].place) == 0 &&
	       strcmp(a->workers[ROTATION_ORDER].place, b->workers[ROTATION_ORDER].place) == 0 &&
	       (a->name[0] == '\0' || b->name[0] == '\0' || strcmp(a->name, b->name) == 0);
}

static const struct rotation_node *find_node(const struct rotation_list *list, const struct rotation_node *like)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (is_same_node(&list->nodes[i], like))
			return &list->nodes[i];
	return NULL;
}

static void open_slot(struct rotation *rotation, struct rotation_node *node, uint32_t *taken)
{
	uint32_t slot = 0;
	while ((*taken & UINT32_C(1) << slot) != 0)
		slot++;
	*taken |= UINT32_C(1) << slot;
	node->slot = slot;
	node->id = (uint32_t)(atomic_fetch_add(&rotation->next_id, 1) % ((1 << ROTATION_ID_BITS) - 1)) + 1;
	for (int kind = 0; kind < ROTATION_KINDS; kind++) {
		atomic_store(&rotation->states[slot][kind], rotation_pack(node->id, ROTATION_IN, 0));
		atomic_store(&rotation->leaves[slot][kind], 0);
		atomic_store(&rotation->left_at_ms[slot][kind], 0);
		atomic_store(&rotation->probed_at_ms[slot][kind], 0);
		atomic_store(&rotation->named_at_ms[slot][kind], 0);
	}
}

/* Gives the nodes of next the slots that they had in old, and new ones to the others. Returns whether it is another list. */
static bool place_nodes(struct rotation *rotation, const struct rotation_list *old, struct rotation_list *next)
{
	uint32_t taken = 0;
	bool changed = next->count != old->count;
	for (uint32_t i = 0; i < next->count; i++) {
		struct rotation_node *node = &next->nodes[i];
		const struct rotation_node *was = find_node(old, node);
		node->id = 0;
		changed |= was != &old->nodes[i] || strcmp(was->name, node->name) != 0;
		if (was == NULL || (taken & UINT32_C(1) << was->slot) != 0)
			continue;
		node->id = was->id;
		node->slot = was->slot;
		taken |= UINT32_C(1) << was->slot;
		for (int kind = 0; kind < ROTATION_KINDS; kind++)
			if (node->workers[kind].address_len == 0)
				node->workers[kind] = was->workers[kind];
	}
	for (uint32_t i = 0; i < next->count; i++)
		if (next->nodes[i].id == 0)
			open_slot(rotation, &next->nodes[i], &taken);
	return changed;
}

static uint64_t add_to_hash(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	while (*text++ != '\0');
	return hash;
}

static uint64_t hash_seeds(const struct rotation_seed *seeds, uint32_t count)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (uint32_t i = 0; i < count; i++)
		for (int kind = 0; kind < ROTATION_KINDS; kind++)
			hash = add_to_hash(hash, seeds[i].workers[kind].place);
	return hash;
}

uint64_t rotation_seeds_hash(const struct rotation *rotation)
{
	return atomic_load(&rotation->seeds_hash);
}

bool rotation_set_seeds(struct rotation *rotation, const struct rotation_seed *seeds, uint32_t count)
{
	static struct rotation_list old, next;        /* of the master, which is one thread */
	uint64_t hash = hash_seeds(seeds, count);
	if (count == 0 || count > ROTATION_NODES_MAX || !take_lock(rotation, 1000))
		return false;
	if (hash != rotation_seeds_hash(rotation) || was_broken_off(rotation)) {
		memset(&old, 0, sizeof old);
		if (!was_broken_off(rotation))
			load_list(rotation, &old);
		memset(&next, 0, sizeof next);
		next.count = count;
		for (uint32_t i = 0; i < count; i++)
			memcpy(next.nodes[i].workers, seeds[i].workers, sizeof next.nodes[i].workers);
		place_nodes(rotation, &old, &next);
		memcpy(rotation->seeds, seeds, count * sizeof *seeds);
		rotation->seed_count = count;
		store_list(rotation, &next);
		atomic_store(&rotation->seeds_hash, hash);
	}
	pthread_mutex_unlock(&rotation->lock);
	return true;
}

bool rotation_add_seeds(struct rotation *rotation)
{
	struct rotation_list old, next;
	bool changed = false;
	if (!take_lock(rotation, 0))
		return false;
	if (!was_broken_off(rotation)) {
		load_list(rotation, &old);
		next = old;
		for (uint32_t i = 0; i < rotation->seed_count && next.count < ROTATION_NODES_MAX; i++) {
			struct rotation_node node = { .name = "" };
			memcpy(node.workers, rotation->seeds[i].workers, sizeof node.workers);
			if (find_node(&next, &node) == NULL)
				next.nodes[next.count++] = node;
		}
		changed = place_nodes(rotation, &old, &next);
		if (changed)
			store_list(rotation, &next);
	}
	pthread_mutex_unlock(&rotation->lock);
	return changed;
}

/* What stands behind the scheme. */
static void set_place(struct rotation_worker *worker, const char *url)
{
	const char *place = strstr(url, "://");
	snprintf(worker->place, sizeof worker->place, "%s", place == NULL ? url : place + 3);
	if (!rotation_read_place(worker->place, &worker->address, &worker->address_len))
		worker->address_len = 0;
}

static bool is_older(const struct rotation_list *known, const struct node_list *told)
{
	return known->revision > told->revision && strcmp(known->log_id, told->log_id) == 0;
}

enum rotation_outcome rotation_take(struct rotation *rotation, struct slice text)
{
	struct node_list told;
	struct rotation_list old = { .count = 0 }, next = { .count = 0 };
	if (!node_list_parse(text, &told) || told.revision == 0)
		return ROTATION_REFUSED;
	if (!take_lock(rotation, 0))
		return ROTATION_BUSY;
	enum rotation_outcome outcome = ROTATION_SAME;
	if (!was_broken_off(rotation))
		load_list(rotation, &old);
	if (is_older(&old, &told)) {
		outcome = ROTATION_OLD;
	} else {
		next.revision = told.revision;
		next.count = told.count;
		memcpy(next.log_id, told.log_id, sizeof next.log_id);
		for (uint32_t i = 0; i < told.count; i++) {
			memcpy(next.nodes[i].name, told.nodes[i].name, sizeof next.nodes[i].name);
			set_place(&next.nodes[i].workers[ROTATION_CATALOG], told.nodes[i].catalog_url);
			set_place(&next.nodes[i].workers[ROTATION_ORDER], told.nodes[i].order_url);
		}
		outcome = place_nodes(rotation, &old, &next) ? ROTATION_CHANGED : ROTATION_SAME;
		/* That it was told again at a later revision is noted with the next change: workers need not copy for that. */
		if (outcome == ROTATION_CHANGED || old.revision == 0 || strcmp(old.log_id, next.log_id) != 0)
			store_list(rotation, &next);
	}
	pthread_mutex_unlock(&rotation->lock);
	return outcome;
}

bool rotation_resolved(struct rotation *rotation, uint32_t slot, uint32_t id, enum rotation_kind kind, const union rotation_address *address,
	uint32_t address_len)
{
	struct rotation_list list;
	bool found = false;
	if (address_len == 0 || address_len > sizeof *address || kind >= ROTATION_KINDS || !take_lock(rotation, 0))
		return false;
	load_list(rotation, &list);
	for (uint32_t i = 0; i < list.count && !was_broken_off(rotation) && !found; i++) {
		struct rotation_worker *worker = &list.nodes[i].workers[kind];
		if (list.nodes[i].slot != slot || list.nodes[i].id != id)
			continue;
		found = true;
		if (worker->address_len == address_len && memcmp(&worker->address, address, address_len) == 0)
			continue;
		worker->address = *address;
		worker->address_len = address_len;
		store_list(rotation, &list);
	}
	pthread_mutex_unlock(&rotation->lock);
	return found;
}
