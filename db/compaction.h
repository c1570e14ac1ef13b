/*
 * compaction: up to which index the log may be forgotten. Pure.
 *
 * Only what a majority of the configured members holds durably is, and never what this replica has not applied, less a margin that lets
 * a member that was away for a moment follow on without a snapshot: so many entries, or fewer when those are large.
 */
#ifndef PYGMY_DB_COMPACTION_H
#define PYGMY_DB_COMPACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPACTION_MARGIN_ENTRIES UINT64_C(2000)
#define COMPACTION_MARGIN_BYTES (UINT64_C(16) * 1024 * 1024)
#define COMPACTION_STEP_ENTRIES UINT64_C(500)         /* less is not worth a compaction, unless space is short */

/* When etcd has no space left. */
#define COMPACTION_SHORT_MARGIN_ENTRIES UINT64_C(50)
#define COMPACTION_SHORT_MARGIN_BYTES (UINT64_C(1024) * 1024)

/* The index that at least a majority of configured has durably: durable holds the published ones, count <= configured. 0: no majority known. */
uint64_t compaction_majority_durable(const uint64_t *durable, size_t count, size_t configured);

struct compaction_margin {
	uint64_t entries, bytes;      /* kept are the newest entries, and fewer when they have more bytes: never none */
};

/* The bytes of the log's entries up to index (reader_entry's log_bytes). False: not remembered. */
typedef bool (*compaction_log_bytes)(void *context, uint64_t index, uint64_t *bytes);

/*
 * The index whose entry is the oldest that stays, 0: none can be told. majority_durable as above; applied is this replica's.
 * log_bytes is asked some twenty times at most.
 */
uint64_t compaction_index(uint64_t majority_durable, uint64_t applied, struct compaction_margin margin, compaction_log_bytes log_bytes,
			  void *context);

#endif
