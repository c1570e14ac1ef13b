/*
 * log: the one totally ordered log that every write goes through. Two backends stand behind this seam: the embedded one
 * (log_embedded.c: the database file itself) and etcd (log_etcd.c).
 *
 * A batch goes through begin, then append or cancel. One thread at a time is between begin and the end of append.
 */
#ifndef PYGMY_DB_LOG_H
#define PYGMY_DB_LOG_H

#include "db/arena.h"
#include "db/error.h"
#include "db/result.h"
#include "db/schema.h"

struct log;

/* How fresh a read must be. */
struct read_terms {
	uint64_t min_revision;        /* at least this position */
	bool strict;                  /* as new as the log's end when it was asked */
	bool stale_allowed;           /* rather an old answer, which says how old, than none */
};

struct log_operations {
	/*
	 * Gets ready to append, so that a batch is taken as late as possible (more waiters share it). Blocks for at most
	 * LOG_BEGIN_MS. Errors (nothing was changed; no append or cancel follows): BUSY, STORAGE_*; in a cluster NOT_READY, NO_QUORUM, OTHER_LOG,
	 * INCOMPATIBLE.
	 */
	enum pygmy_error (*begin)(struct log *log);

	/*
	 * Appends entry and applies it. On PYGMY_OK results has *result_count results. Errors (nothing was changed): STORAGE_*,
	 * OUT_OF_MEMORY, INCOMPATIBLE, INTERNAL; in a cluster NO_QUORUM, LOG_FULL, OTHER_LOG. Error (it may have happened): OUTCOME_UNKNOWN.
	 */
	enum pygmy_error (*append)(struct log *log, struct slice entry, struct arena *arena, struct result *results, size_t *result_count);

	/* Ends begin without an append. */
	void (*cancel)(struct log *log);

	/* The last index that this process knows to be applied; behind begin at least the log's end at that time. Any thread. */
	uint64_t (*applied_index)(struct log *log);

	/*
	 * Waits until a read that begins now shows what terms ask for, at most until deadline_ms (monotonic). *stale_ms is the age that
	 * the answer may have: 0 for a fresh one, else terms allowed it. Any thread. Errors: BEHIND, NOT_READY.
	 */
	enum pygmy_error (*await)(struct log *log, const struct read_terms *terms, int64_t deadline_ms, int64_t *stale_ms);

	/* The log's name, LOG_ID_NONE while there is none. Any thread. */
	void (*log_id)(struct log *log, char out[LOG_ID_TEXT_LEN + 1]);

	/* Why no request can be served, or PYGMY_OK; why (may be NULL) is set to a static sentence. Cheap, any thread. */
	enum pygmy_error (*ready)(struct log *log, const char **why);

	void (*close)(struct log *log);
};

#define LOG_BEGIN_MS 2500

struct log {
	const struct log_operations *operations;
};

#endif
