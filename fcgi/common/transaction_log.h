/*
 * transaction_log: a line per purchase or refusal, for people and for reconciliation. The orders themselves are in the database.
 *
 *     2026-01-31T12:00:00.123Z key=<request key> item=1 quantity=1 result=ok order=196 repeated=no trace=<32 hex digits>
 *
 * result is `ok` or a code of db/error.h; order and trace are `-` without one; trace is that
 * of nginx's log. The file is a line_log
 * (db/line_log.h): a purchase never fails for its line.
 */
#ifndef PYGMY_FCGI_TRANSACTION_LOG_H
#define PYGMY_FCGI_TRANSACTION_LOG_H

#include <stdint.h>

#include "db/error.h"
#include "db/line_log.h"
#include "db/slice.h"

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

/* Any thread. Blocks on file I/O only. */
void transaction_log_write(struct line_log *log, const struct transaction *transaction);

#endif
