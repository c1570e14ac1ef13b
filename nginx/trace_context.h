/*
 * trace_context: the header `traceparent` of W3C Trace Context, by which a request is followed through many programs.
 *
 *     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *     version, trace id, the sender's own id, flags (01: the sender keeps a record)
 *
 * A header that is not of this form is as none. Any thread, no allocation.
 */
#ifndef PYGMY_NGINX_TRACE_CONTEXT_H
#define PYGMY_NGINX_TRACE_CONTEXT_H

#include <stdbool.h>

#include "db/slice.h"

#define TRACE_ID_LEN 32
#define TRACE_PARENT_ID_LEN 16
#define TRACE_PARENT_LEN 55           /* of the header, in version 00 */

struct trace_context {
	struct slice trace_id;        /* into the header */
	bool sampled;
};

/* False when the header is not valid: then a new trace begins. */
bool trace_context_read(struct slice header, struct trace_context *context);

/*
 * Writes the header to send on: version 00, the trace id, who sends it (own_id, at least TRACE_PARENT_ID_LEN hex digits, of which the first
 * are taken) and whether a record is kept. No NUL.
 */
void trace_context_write(struct slice trace_id, struct slice own_id, bool sampled, char header[TRACE_PARENT_LEN]);

#endif
