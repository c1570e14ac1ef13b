/*
 * sequencer: which of the values that arrive is the next one of the log. Pure.
 *
 * etcd's version of the log key is a dense index 1, 2, 3 ...; an entry's index in the store is base_index + version (base_index is 0
 * but for a log that continues a restored backup). What a watch delivers may be lost, repeated, reordered or of another log.
 */
#ifndef PYGMY_DB_SEQUENCER_H
#define PYGMY_DB_SEQUENCER_H

#include "db/etcd.h"

struct sequencer {
	uint64_t cluster_id;          /* 0: the database belongs to no log; only one that continues what is applied can be next */
	uint64_t create_revision;
	uint64_t base_index;
	uint64_t applied_index;
	uint64_t mod_revision;        /* of the last applied entry, 0 for none */
};

enum sequence {
	SEQUENCE_NEXT,
	SEQUENCE_KNOWN,               /* applied already */
	SEQUENCE_GAP,                 /* values in between are missing: read them by walking back from mod_revision - 1 */
	SEQUENCE_IMPOSSIBLE,          /* version and mod_revision contradict what was applied: the watch is not to be trusted */
	SEQUENCE_OTHER_LOG            /* only its first value could be applied, and only if it continues this position: applier_apply tells */
};

enum sequence sequencer_judge(const struct sequencer *sequencer, const struct etcd_position *position);

/* The index that position has in the store. */
uint64_t sequencer_index(const struct sequencer *sequencer, const struct etcd_position *position);

/* The value was applied: moves on. Only for SEQUENCE_NEXT. (After a change of logs: begin again from what the applier says.) */
void sequencer_advance(struct sequencer *sequencer, const struct etcd_position *position);

#endif
