/*
 * log: the one totally ordered log that every write goes through. Two backends will stand behind this seam: the embedded
 * one (log_embedded.c: the database file itself) and etcd.
 *
 * A batch goes through begin, then append or cancel. One thread at a time is between begin and the end of append.
 */
#ifndef PYGMY_DB_LOG_H
#define PYGMY_DB_LOG_H

#include "db/arena.h"
#include "db/error.h"
#include "db/result.h"

struct log;

struct log_operations {
	/*
	 * Gets ready to append, so that a batch is taken as late as possible (more waiters share it). Blocks for at most
	 * LOG_BEGIN_MS. Errors (nothing was changed; no append or cancel follows): BUSY, STORAGE_*.
	 */
	enum pygmy_error (*begin)(struct log *log);

	/*
	 * Appends entry and applies it. On PYGMY_OK results has *result_count results. Errors (nothing was changed): STORAGE_*,
	 * OUT_OF_MEMORY, INCOMPATIBLE, INTERNAL. Error (it may have happened): OUTCOME_UNKNOWN.
	 */
	enum pygmy_error (*append)(struct log *log, struct slice entry, struct arena *arena, struct result *results, size_t *result_count);

	/* Ends begin without an append. */
	void (*cancel)(struct log *log);

	/* The last index that this process knows to be applied; behind begin at least the log's end at that time. Any thread. */
	uint64_t (*applied_index)(struct log *log);

	void (*close)(struct log *log);
};

#define LOG_BEGIN_MS 2500

struct log {
	const struct log_operations *operations;
};

#endif
