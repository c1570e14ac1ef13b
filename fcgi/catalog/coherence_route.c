/*
 * coherence_route: a frontend's question "what changed since?" (db/changes.h), the lease of its cache.
 *
 * It is asked through nginx's own server on a Unix socket, which sets the FastCGI parameter PYGMY_PRIVATE=1 (a client can't: its
 * headers arrive as HTTP_*), or with the peer credential. For everybody else the path does not exist. The answer must be complete, so the read is strict.
 */
#include "fcgi/catalog/catalog.h"
#include "fcgi/common/parameter.h"
#include "fcgi/common/read.h"

static bool read_question(const struct exchange *exchange, uint64_t *since, struct slice *log_id, struct refusal *refusal)
{
	const struct query_string *query = &exchange->request.query;
	const struct slice *position = parameter_find(query, "since"), *log = parameter_find(query, "log");
	if (position == NULL)
		return refuse(refusal, PYGMY_MISSING_PARAMETER, "The parameter since is missing.");
	if (!decimal_parse(*position, INT64_MAX, since))
		return refuse(refusal, PYGMY_INVALID_PARAMETER, "The parameter since must be a revision.");
	/* A frontend that has just started knows no log yet: that is another log than this one. */
	*log_id = log != NULL ? *log : SLICE_EMPTY;
	return true;
}

void coherence_changes(struct exchange *exchange)
{
	struct refusal refusal;
	struct slice log_id, text = SLICE_EMPTY;
	struct reader *reader = NULL;
	uint64_t since;
	if (!read_question(exchange, &since, &log_id, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	exchange->request.consistency = SLICE_LITERAL("strict");
	exchange->request.allow_stale = SLICE_EMPTY;
	reader = read_begin(exchange);
	if (reader == NULL)
		return;
	enum pygmy_error error = reader_changes(reader, log_id, since, &exchange->arena, &text);
	reader_end(reader);
	if (error != PYGMY_OK) {
		exchange_fail(exchange, error, NULL);
		return;
	}
	writer_put(&exchange->out, text);
	exchange->answer.content_type = "text/plain; charset=utf-8";
	exchange->answer.status = 200;
}
