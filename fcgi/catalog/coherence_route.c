/*
 * coherence_route: a frontend's question "what changed since?" (db/changes.h), the lease of its cache.
 *
 * It is asked through nginx's own server on a Unix socket, which sets the FastCGI parameter PYGMY_PRIVATE=1 (a client can't: its
 * headers arrive as HTTP_*), or with the peer credential. In a cluster it names the frontend, which must count (db/apply_frontend.c). For everybody else the path does not exist. The answer must be complete, so the read is strict.
 */
#include "fcgi/catalog/catalog.h"
#include "fcgi/common/parameter.h"
#include "fcgi/common/read.h"
#include "fcgi/common/worker.h"

static bool read_question(const struct exchange *exchange, struct lease_question *out, struct refusal *refusal)
{
	const struct query_string *query = &exchange->request.query;
	const struct slice *position = parameter_find(query, "since"), *log = parameter_find(query, "log");
	const struct slice *frontend = parameter_find(query, "frontend"), *joined = parameter_find(query, "joined");
	*out = (struct lease_question){ .since = 0 };
	if (position == NULL)
		return refuse(refusal, PYGMY_MISSING_PARAMETER, "The parameter since is missing.");
	if (!decimal_parse(*position, INT64_MAX, &out->since))
		return refuse(refusal, PYGMY_INVALID_PARAMETER, "The parameter since must be a revision.");
	/* A frontend that has just started knows no log yet: that is another log than this one. */
	out->log_id = log != NULL ? *log : SLICE_EMPTY;
	/* Nor need it have joined a cluster: then it does not count. */
	out->frontend = frontend != NULL ? *frontend : SLICE_EMPTY;
	return joined == NULL || decimal_parse(*joined, INT64_MAX, &out->joined) ||
	       refuse(refusal, PYGMY_INVALID_PARAMETER, "The parameter joined must be a revision.");
}

void coherence_changes(struct exchange *exchange)
{
	struct refusal refusal;
	struct lease_question question;
	struct slice text = SLICE_EMPTY;
	if (!read_question(exchange, &question, &refusal)) {
		exchange_refuse(exchange, &refusal);
		return;
	}
	exchange->request.consistency = SLICE_LITERAL("strict");
	exchange->request.allow_stale = SLICE_EMPTY;
	struct reader *reader = read_begin(exchange);
	if (reader == NULL)
		return;
	bool in_cluster = replica_cluster(atomic_load_explicit(&exchange->worker->replica, memory_order_acquire)) != NULL;
	enum pygmy_error error = in_cluster ? reader_lease(reader, &question, &exchange->arena, &text) :
		reader_changes(reader, question.log_id, question.since, &exchange->arena, &text);
	reader_end(reader);
	if (error != PYGMY_OK) {
		exchange_fail(exchange, error, NULL);
		return;
	}
	writer_put(&exchange->out, text);
	exchange->answer.content_type = "text/plain; charset=utf-8";
	exchange->answer.status = 200;
}
