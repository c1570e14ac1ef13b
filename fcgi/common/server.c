/* server: see server.h. */
#include "fcgi/common/server.h"

#include <fcgiapp.h>
#include <stdlib.h>

#include "fcgi/common/exchange.h"
#include "fcgi/common/serve.h"

#define QUICK_ANSWER_MAX_BYTES ((size_t)64 * 1024)    /* fits into a socket's buffer */

struct server {
	struct connections *connections;
	FCGX_Request request;
	struct exchange exchange;
	bool seated;
};

static size_t read_body(void *context, char *bytes, size_t size)
{
	const struct server *server = context;
	int got = FCGX_GetStr(bytes, (int)size, server->request.in);
	return got > 0 ? (size_t)got : 0;
}

static void leave_seat(void *context)
{
	struct server *server = context;
	connections_leave_seat(server->connections, &server->seated);
}

/*
 * What a handler left unread of the body must not be taken for the next request's beginning. A body that is much too long is
 * not worth it: then the connection is closed instead.
 */
static void drain_body(struct server *server)
{
	char scratch[4096];
	size_t drained = 0;
	size_t got;
	while ((got = read_body(server, scratch, sizeof scratch)) == sizeof scratch && drained <= IMPORT_BODY_MAX_BYTES)
		drained += got;
	if (got == sizeof scratch)
		server->request.keepConnection = 0;
}

/* What nginx's socket takes at once needs nobody's patience. */
static void send_answer(struct server *server, struct slice bytes)
{
	if (bytes.len > QUICK_ANSWER_MAX_BYTES)
		leave_seat(server);
	if (bytes.len == 0 || FCGX_PutStr(bytes.ptr, (int)bytes.len, server->request.out) < 0)
		server->request.keepConnection = 0;
	FCGX_Finish_r(&server->request);
}

static void serve_connection(struct server *server, int fd)
{
	FCGX_Request *request = &server->request;
	struct metrics *metrics = &server->exchange.worker->metrics;
	/* As if libfcgi had kept the connection from an earlier request of its own. */
	request->ipcFd = fd;
	request->keepConnection = 1;
	if (FCGX_Accept_r(request) == 0) {
		struct request_source source = {
			.params = request->envp, .read_body = read_body, .may_wait = leave_seat, .context = server,
		};
		atomic_fetch_add_explicit(&metrics->busy, 1, memory_order_relaxed);
		struct slice bytes = serve(&server->exchange, &source);
		drain_body(server);
		send_answer(server, bytes);
		atomic_fetch_sub_explicit(&metrics->busy, 1, memory_order_relaxed);
	}
	fd = request->ipcFd;
	request->ipcFd = -1;
	if (fd >= 0)
		connections_give_back(server->connections, fd);
	else
		connections_forget(server->connections);
	atomic_store_explicit(&metrics->connections, atomic_load(&server->connections->open), memory_order_relaxed);
}

bool server_run(struct worker *worker, struct connections *connections)
{
	struct server *server = malloc(sizeof *server);
	int fd;
	if (server == NULL)
		return false;
	server->connections = connections;
	server->seated = false;
	exchange_init(&server->exchange, worker);
	/* No listening socket for libfcgi: when a connection ends it must come back here, not wait for the next one itself. */
	FCGX_InitRequest(&server->request, -1, 0);
	while (!atomic_load(&worker->stopping) && (fd = connections_take(connections, &server->seated)) >= 0)
		serve_connection(server, fd);
	leave_seat(server);
	exchange_close(&server->exchange);
	free(server);
	return true;
}
