/*
 * worker_fixture: a worker with a replica of its own in a temporary folder, asked without nginx and libfcgi. For unit tests only.
 */
#ifndef PYGMY_TESTS_WORKER_FIXTURE_H
#define PYGMY_TESTS_WORKER_FIXTURE_H

#include "fcgi/common/exchange.h"
#include "fcgi/common/serve.h"
#include "fcgi/common/worker.h"
#include "tests/unit/temporary_folder.h"

#define ADMIN "1111111111111111111111111111111111111111111111111111111111111111"
#define PEER "2222222222222222222222222222222222222222222222222222222222222222"
#define AS_ADMIN "HTTP_AUTHORIZATION=Bearer " ADMIN
#define AS_PEER "HTTP_AUTHORIZATION=Bearer " PEER

struct worker_fixture {
	struct temporary_folder folder;
	struct worker worker;
	struct exchange exchange;
	char answer[64 * 1024];       /* of the last request: head and body */
	const char *body;             /* points into answer */
	int status;
	bool may_wait;                /* the worker said so of the last request */
};

static inline void worker_fixture_open(struct worker_fixture *fixture, const struct worker_app *app)
{
	char catalogue[PATH_MAX], db[PATH_MAX], log[PATH_MAX];
	struct replica *replica = NULL;
	diagnostics_init("test", DIAGNOSTICS_ERROR);
	temporary_folder_make(&fixture->folder);
	temporary_folder_write(&fixture->folder, "catalogue.json",
		"[{\"id\":1,\"title\":\"One\",\"topic\":\"odd\",\"cost\":10,\"count\":100},"
		"{\"id\":2,\"title\":\"Two \\\"2\\\"\",\"topic\":\"even\",\"cost\":11.85,\"count\":2},"
		"{\"id\":3,\"title\":\"Three\",\"topic\":\"odd\",\"cost\":7,\"count\":0}]", 0600, catalogue);
	snprintf(db, sizeof db, "%s/store.db", fixture->folder.path);
	snprintf(log, sizeof log, "%s/transactions.log", fixture->folder.path);
	worker_init(&fixture->worker, app);
	fixture->worker.config.threads = 2;
	snprintf(fixture->worker.config.name, sizeof fixture->worker.config.name, "%s-T", app->kind);
	fixture->worker.auth.has_admin = fixture->worker.auth.has_peer = true;
	memcpy(fixture->worker.auth.admin, ADMIN, TOKEN_HEX_LEN);
	memcpy(fixture->worker.auth.peer, PEER, TOKEN_HEX_LEN);
	line_log_open(&fixture->worker.transactions, "transaction log", log, LINE_LOG_MAX_BYTES);
	struct replica_config config = { .db_path = db, .catalogue_path = catalogue, .frontends = "", .lease_ms = 500, .reader_max = 8 };
	if (replica_open(&config, &replica) != PYGMY_OK)
		abort();
	atomic_store(&fixture->worker.replica, replica);
	exchange_init(&fixture->exchange, &fixture->worker);
}

static inline void worker_fixture_close(struct worker_fixture *fixture)
{
	exchange_close(&fixture->exchange);
	roster_close(&fixture->worker.roster);
	replica_close(atomic_load(&fixture->worker.replica));
	line_log_close(&fixture->worker.transactions);
	temporary_folder_remove(&fixture->folder);
}

struct fixture_body {
	const char *bytes;
	size_t left;
	bool may_wait;
};

static inline void worker_fixture_may_wait(void *context)
{
	((struct fixture_body *)context)->may_wait = true;
}

static inline size_t worker_fixture_read(void *context, char *bytes, size_t size)
{
	struct fixture_body *body = context;
	size_t count = body->left < size ? body->left : size;
	if (count > 0)
		memcpy(bytes, body->bytes, count);
	body->bytes += count;
	body->left -= count;
	return count;
}

/*
 * Asks: "GET /lookup?id=1" with a JSON body (or NULL) and up to two more FastCGI parameters (or NULL). Returns the status.
 */
static inline int ask(struct worker_fixture *fixture, const char *line, const char *body, const char *more, const char *even_more)
{
	char method[32] = "REQUEST_METHOD=", path[512] = "DOCUMENT_URI=", query[512] = "QUERY_STRING=", length[64] = "CONTENT_LENGTH=";
	const char *space = strchr(line, ' ');
	size_t path_len = strcspn(space + 1, "?");
	snprintf(method + strlen(method), sizeof method - strlen(method), "%.*s", (int)(space - line), line);
	snprintf(path + strlen(path), sizeof path - strlen(path), "%.*s", (int)path_len, space + 1);
	if (space[1 + path_len] == '?')
		snprintf(query + strlen(query), sizeof query - strlen(query), "%s", space + 2 + path_len);
	if (body != NULL)
		snprintf(length + strlen(length), sizeof length - strlen(length), "%zu", strlen(body));
	char json[] = "CONTENT_TYPE=application/json", id[] = "PYGMY_REQUEST_ID=0123";
	char *params[9] = { method, path, query, length, json, id, (char *)(uintptr_t)more,
		(char *)(uintptr_t)(more != NULL ? even_more : NULL), NULL };
	struct fixture_body content = { body, body != NULL ? strlen(body) : 0, false };
	struct request_source source = { .params = params, .read_body = worker_fixture_read,
		.may_wait = worker_fixture_may_wait, .context = &content };
	struct slice bytes = serve(&fixture->exchange, &source);
	fixture->may_wait = content.may_wait;
	snprintf(fixture->answer, sizeof fixture->answer, "%.*s", (int)bytes.len, bytes.ptr);
	fixture->body = strstr(fixture->answer, "\r\n\r\n");
	fixture->body = fixture->body != NULL ? fixture->body + 4 : "";
	return fixture->status = (int)strtol(fixture->answer + strlen("Status: "), NULL, 10);
}

/* Whether the last answer's head has this line. */
static inline bool has_header(const struct worker_fixture *fixture, const char *line)
{
	const char *found = strstr(fixture->answer, line);
	return found != NULL && found < fixture->body && found[-1] == '\n' && found[strlen(line)] == '\r';
}

/* The value of a header of the last answer, in a buffer of the caller's; "" without one. */
static inline const char *header_value(const struct worker_fixture *fixture, const char *name, char *out, size_t size)
{
	const char *found = strstr(fixture->answer, name);
	out[0] = '\0';
	if (found != NULL && found < fixture->body)
		snprintf(out, size, "%.*s", (int)strcspn(found + strlen(name), "\r"), found + strlen(name));
	return out;
}

#endif
