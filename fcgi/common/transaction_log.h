/*
 * transaction_log: a line per purchase or refusal, for people and for reconciliation. The orders themselves are in the database.
 *
 *     2026-01-31T12:00:00.123Z key=<request key> item=1 quantity=1 result=ok order=196 repeated=no trace=<32 hex digits>
 *
 * result is `ok` or a code of db/error.h; order and trace are `-` without one; trace is the one of nginx's log. One write() per line on an O_APPEND file, so lines of several
 * threads don't mix. Past TRANSACTION_LOG_MAX_BYTES the file becomes <path>.1, .1 becomes .2 and so on; TRANSACTION_LOG_FILES are
 * kept. A purchase never fails for its line: lines that could not be written are counted and reported.
 */
#ifndef PYGMY_FCGI_TRANSACTION_LOG_H
#define PYGMY_FCGI_TRANSACTION_LOG_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "db/error.h"
#include "db/slice.h"

struct transaction_log {
	char path[PATH_MAX];
	int64_t max_bytes;            /* of one file */
	pthread_rwlock_t lock;        /* write: the file is being exchanged; read: it is written to */
	int fd;                       /* -1: not open */
	atomic_int_fast64_t bytes;
	atomic_uint_fast64_t lines;
	atomic_uint_fast64_t lost;
	atomic_bool torn;             /* the last line may be cut: start on a fresh one */
	atomic_int last_errno;        /* of the failure that was reported last; 0: writing works */
};

struct transaction {
	int64_t time_ms;              /* wall clock */
	struct slice key;
	int64_t item_id;
	int64_t quantity;
	enum pygmy_error error;
	int64_t order_id;             /* 0: none */
	bool repeated;
	struct slice trace_id;        /* "": none */
};

/* path: of the file that is written to. A file that can't be opened is reported, and tried again with each line. */
void transaction_log_open(struct transaction_log *log, const char *path, int64_t max_bytes);
void transaction_log_close(struct transaction_log *log);

/* Any thread. Blocks on file I/O only. */
void transaction_log_write(struct transaction_log *log, const struct transaction *transaction);

#endif
