/* sequencer: see sequencer.h. */
#include "db/sequencer.h"

/* While no log is known, the only one that can be taken on is one that continues what is applied. */
static uint64_t base_of(const struct sequencer *sequencer)
{
	return sequencer->cluster_id == 0 ? sequencer->applied_index : sequencer->base_index;
}

/* What holds of every value of a key, whatever came before. */
static bool is_possible(const struct etcd_position *position)
{
	uint64_t puts = position->version - 1;
	return position->cluster_id != 0 && position->create_revision != 0 && position->version != 0 &&
	       position->mod_revision >= position->create_revision && position->mod_revision - position->create_revision >= puts &&
	       (puts > 0 || position->mod_revision == position->create_revision);
}

/* Each value has a revision of its own, in the order of the versions. */
static bool agrees_with_applied(const struct sequencer *sequencer, const struct etcd_position *position, uint64_t index)
{
	uint64_t applied = sequencer->applied_index, mod_revision = sequencer->mod_revision;
	if (mod_revision == 0)
		return true;
	if (index > applied)
		return position->mod_revision > mod_revision && position->mod_revision - mod_revision >= index - applied;
	if (index == applied)
		return position->mod_revision == mod_revision;
	return position->mod_revision < mod_revision && mod_revision - position->mod_revision >= applied - index;
}

uint64_t sequencer_index(const struct sequencer *sequencer, const struct etcd_position *position)
{
	return base_of(sequencer) + position->version;
}

enum sequence sequencer_judge(const struct sequencer *sequencer, const struct etcd_position *position)
{
	uint64_t index = sequencer_index(sequencer, position);
	if (!is_possible(position) || index < position->version)
		return SEQUENCE_IMPOSSIBLE;
	if (sequencer->cluster_id == 0)
		return position->version == 1 ? SEQUENCE_NEXT : SEQUENCE_GAP;
	if (position->cluster_id != sequencer->cluster_id || position->create_revision != sequencer->create_revision)
		return SEQUENCE_OTHER_LOG;
	if (!agrees_with_applied(sequencer, position, index))
		return SEQUENCE_IMPOSSIBLE;
	if (index <= sequencer->applied_index)
		return SEQUENCE_KNOWN;
	return index == sequencer->applied_index + 1 ? SEQUENCE_NEXT : SEQUENCE_GAP;
}

void sequencer_advance(struct sequencer *sequencer, const struct etcd_position *position)
{
	if (sequencer->cluster_id == 0) {
		sequencer->base_index = sequencer->applied_index;
		sequencer->cluster_id = position->cluster_id;
		sequencer->create_revision = position->create_revision;
	}
	sequencer->applied_index = sequencer_index(sequencer, position);
	sequencer->mod_revision = position->mod_revision;
}
