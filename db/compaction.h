/*
 * compaction: up to which index the log may be forgotten. Pure.
 *
 * Only what a majority of the configured members holds durably is, less a margin in entries and bytes that lets a member that was
 * away for a moment follow on without a snapshot.
 */
#ifndef PYGMY_DB_COMPACTION_H
#define PYGMY_DB_COMPACTION_H

#include <stddef.h>
#include <stdint.h>

#define COMPACTION_MARGIN_ENTRIES UINT64_C(2000)
#define COMPACTION_MARGIN_BYTES (UINT64_C(16) * 1024 * 1024)
#define COMPACTION_STEP_ENTRIES UINT64_C(500)         /* less is not worth a compaction, unless space is short */

/* The index that at least a majority of configured has durably: durable holds the published ones, count <= configured. 0: no majority known. */
uint64_t compaction_majority_durable(const uint64_t *durable, size_t count, size_t configured);

#endif
