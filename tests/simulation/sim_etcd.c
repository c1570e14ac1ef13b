/* sim_etcd: a model of etcd's log key: dense versions, revisions that others use too, compaction. It never loses what it took. */
#include "tests/simulation/sim.h"

#include <stdlib.h>
#include <string.h>

void etcd_init(struct sim *sim)
{
	sim->etcd.cluster_id = (uint64_t)sim_random(sim, 1, INT64_MAX);
	sim->etcd.create_revision = (uint64_t)sim_random(sim, 2, 50);
	sim->etcd.revision = sim->etcd.create_revision - 1;
	sim->etcd.compact_revision = 0;
	sim->etcd.count = 0;
}

uint64_t etcd_append(struct sim *sim, struct slice bytes)
{
	struct sim_etcd *etcd = &sim->etcd;
	if (etcd->count == VALUES_MAX) {
		sim_violation(sim, "the log grows without end");
		return etcd_end(sim);
	}
	etcd->revision += etcd->count == 0 ? 1 : (uint64_t)sim_random(sim, 1, 3);
	struct etcd_value *value = &etcd->values[etcd->count++];
	value->position = (struct etcd_position){ .cluster_id = etcd->cluster_id,
						  .header_revision = etcd->revision,
						  .create_revision = etcd->create_revision,
						  .mod_revision = etcd->revision,
						  .version = etcd->count };
	value->bytes = bytes;
	return etcd_end(sim);
}

uint64_t etcd_end(const struct sim *sim)
{
	return sim->base_index + sim->etcd.count;
}

size_t etcd_first_since(const struct sim *sim, uint64_t revision)
{
	size_t first = sim->etcd.count;
	while (first > 0 && sim->etcd.values[first - 1].position.mod_revision >= revision)
		first--;
	return first;
}

const struct etcd_value *etcd_value_at(const struct sim *sim, uint64_t revision)
{
	const struct sim_etcd *etcd = &sim->etcd;
	if (revision != 0 && revision < etcd->compact_revision)
		return NULL;
	size_t behind = revision == 0 ? etcd->count : etcd_first_since(sim, revision + 1);
	return behind == 0 ? NULL : &etcd->values[behind - 1];
}

void etcd_compact_to(struct sim *sim, uint64_t index)
{
	struct sim_etcd *etcd = &sim->etcd;
	if (index <= sim->base_index || index > etcd_end(sim))
		return;
	uint64_t revision = etcd->values[index - sim->base_index - 1].position.mod_revision;
	if (revision > etcd->compact_revision)
		etcd->compact_revision = revision;
}

struct slice etcd_entry(struct sim *sim, const struct command *commands, size_t count)
{
	struct slice parts[BATCH_MAX_COMMANDS];
	size_t len = 0;
	for (size_t i = 0; i < count; i++) {
		parts[i] = command_encode(&commands[i], &sim->arena);
		len += parts[i].len;
	}
	char *entry = arena_take(&sim->arena, ENTRY_HEAD_BYTES + len), *at = entry + ENTRY_HEAD_BYTES;
	if (entry == NULL)
		abort();
	for (size_t i = 0; i < count; i++) {
		memcpy(at, parts[i].ptr, parts[i].len);
		at += parts[i].len;
	}
	entry_seal((struct slice){ entry + ENTRY_HEAD_BYTES, len }, entry);
	return (struct slice){ entry, ENTRY_HEAD_BYTES + len };
}
