/* transaction_log: see transaction_log.h. */
#include "fcgi/common/transaction_log.h"

#include <inttypes.h>
#include <stdio.h>

#define TRACE_MAX_BYTES 64

void transaction_log_write(struct line_log *log, const struct transaction *transaction)
{
	char order[24] = "-";
	struct slice trace = transaction->trace_id.len > 0 ? transaction->trace_id : SLICE_LITERAL("-");
	if (transaction->order_id > 0)
		snprintf(order, sizeof order, "%" PRId64, transaction->order_id);
	line_log_write(log, transaction->time_ms, "key=%.*s item=%" PRId64 " quantity=%" PRId64 " result=%s order=%s repeated=%s trace=%.*s",
		(int)transaction->key.len, transaction->key.ptr, transaction->item_id, transaction->quantity, error_code(transaction->error),
		order, transaction->repeated ? "yes" : "no", (int)(trace.len < TRACE_MAX_BYTES ? trace.len : TRACE_MAX_BYTES), trace.ptr);
}
