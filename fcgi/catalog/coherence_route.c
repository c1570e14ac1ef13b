/*
 * coherence_route: a frontend's question "what changed since?" (db/changes.h), the lease of its cache; and who the nodes are that it may ask
 * (db/node_list.h).
 *
 * They are asked through nginx's own server on a Unix socket, which sets the FastCGI parameter PYGMY_PRIVATE=1 (a client can't: its
 * headers arrive as HTTP_*), or with the peer credential. In a cluster it names the frontend, which must count (db/apply_frontend.c). For everybody else the path does not exist. The answers must be complete, so the reads are strict.
 */
#include "fcgi/catalog/catalog.h"

#include <stdlib.h>

#include "db/node_list.h"
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

/* NULL: the answer has been made an error. */
static struct reader *begin_strictly(struct exchange *exchange)
{
	exchange->request.consistency = SLICE_LITERAL("strict");
	exchange->request.allow_stale = SLICE_EMPTY;
	return read_begin(exchange);
}

static struct replica *replica_of(const struct exchange *exchange)
{
	return atomic_load_explicit(&exchange->worker->replica, memory_order_acquire);
}

static void end_with_text(struct exchange *exchange, enum pygmy_error error, struct slice text)
{
	if (error != PYGMY_OK) {
		exchange_fail(exchange, error, NULL);
		return;
	}
	writer_put(&exchange->out, text);
	exchange->answer.content_type = "text/plain; charset=utf-8";
	exchange->answer.status = 200;
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
	struct reader *reader = begin_strictly(exchange);
	if (reader == NULL)
		return;
	bool in_cluster = replica_cluster(replica_of(exchange)) != NULL;
	enum pygmy_error error = in_cluster ? reader_lease(reader, &question, &exchange->arena, &text) :
		reader_changes(reader, question.log_id, question.since, &exchange->arena, &text);
	reader_end(reader);
	end_with_text(exchange, error, text);
}

/* ---- the nodes --------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct node_list_entry *)a)->name, ((const struct node_list_entry *)b)->name);
}

static enum pygmy_error write_nodes(const struct exchange *exchange, struct reader *reader, struct arena *arena, struct slice *text)
{
	struct configured_member *members = arena_take(arena, MEMBERS_MAX * sizeof *members);
	struct node_list *list = arena_take(arena, sizeof *list);
	char *buf = arena_take(arena, NODE_LIST_TEXT_MAX_BYTES + 1);
	size_t count;
	if (members == NULL || list == NULL || buf == NULL)
		return PYGMY_OUT_OF_MEMORY;
	enum pygmy_error error = reader_members(reader, members, &count);
	if (error != PYGMY_OK)
		return error;
	list->revision = reader_revision(reader);
	list->count = (uint32_t)count;
	replica_log_id(replica_of(exchange), list->log_id);
	for (size_t i = 0; i < count; i++) {
		memcpy(list->nodes[i].name, members[i].name, sizeof list->nodes[i].name);
		memcpy(list->nodes[i].catalog_url, members[i].catalog_url, sizeof list->nodes[i].catalog_url);
		memcpy(list->nodes[i].order_url, members[i].order_url, sizeof list->nodes[i].order_url);
	}
	qsort(list->nodes, count, sizeof list->nodes[0], compare_names);
	*text = (struct slice){ buf, node_list_write(list, buf, NODE_LIST_TEXT_MAX_BYTES + 1) };
	return text->len > 0 ? PYGMY_OK : PYGMY_INTERNAL;
}

void coherence_nodes(struct exchange *exchange)
{
	struct slice text = SLICE_EMPTY;
	if (replica_cluster(replica_of(exchange)) == NULL) {
		exchange_fail(exchange, PYGMY_NOT_A_CLUSTER, NULL);
		return;
	}
	struct reader *reader = begin_strictly(exchange);
	if (reader == NULL)
		return;
	enum pygmy_error error = write_nodes(exchange, reader, &exchange->arena, &text);
	reader_end(reader);
	end_with_text(exchange, error, text);
}
