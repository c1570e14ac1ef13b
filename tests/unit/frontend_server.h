/*
 * frontend_server: a frontend for the pusher: a thread with a small HTTP server on a Unix socket (or a TCP port) that confirms,
 * refuses, hangs or drops the connection, as it is told. server_* functions belong to the test's main thread.
 */
#ifndef PYGMY_TESTS_UNIT_FRONTEND_SERVER_H
#define PYGMY_TESTS_UNIT_FRONTEND_SERVER_H

#include "tests/unit/support.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#define FAR_MS 20000
#define CONNECTIONS 8
#define REQUEST_MAX (256 * 1024)

enum manner { CONFIRM, REFUSE, SAY_200, HANG, DROP };

struct connection {
	int fd;
	size_t len;
	bool answered;                /* the request in it has been seen */
	char bytes[REQUEST_MAX];
};

struct frontend_server {
	pthread_t thread;
	int listener;
	int wake[2];
	char path[PATH_BYTES];
	_Atomic enum manner manner;
	atomic_int requests;
	atomic_bool stop;
	pthread_mutex_t mutex;
	char last[REQUEST_MAX];       /* the last whole request */
	struct connection connections[CONNECTIONS];
};

static inline size_t whole_request(const struct connection *connection)
{
	const char *end = memmem(connection->bytes, connection->len, "\r\n\r\n", 4);
	const char *length = end == NULL ? NULL : memmem(connection->bytes, (size_t)(end - connection->bytes), "Content-Length: ", 16);
	if (length == NULL)
		return 0;
	size_t total = (size_t)(end - connection->bytes) + 4 + strtoul(length + 16, NULL, 10);
	return connection->len >= total ? total : 0;
}

static inline void drop(struct connection *connection)
{
	close(connection->fd);
	connection->fd = -1;
}

static inline void answer(struct frontend_server *server, struct connection *connection)
{
	static const char *const texts[] = {
		[CONFIRM] = "HTTP/1.1 204 No Content\r\n\r\n",
		[REFUSE] = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\noops\n",
		[SAY_200] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
	};
	enum manner manner = atomic_load(&server->manner);
	size_t len = whole_request(connection);
	if (len == 0)
		return;
	if (!connection->answered) {
		pthread_mutex_lock(&server->mutex);
		memcpy(server->last, connection->bytes, len);
		server->last[len] = '\0';
		pthread_mutex_unlock(&server->mutex);
		atomic_fetch_add(&server->requests, 1);
		connection->answered = true;
	}
	if (manner == HANG)
		return;       /* it is answered when the manner changes */
	connection->len = 0;
	connection->answered = false;
	if (manner == DROP || send(connection->fd, texts[manner], strlen(texts[manner]), MSG_NOSIGNAL) < 0)
		drop(connection);
}

static inline void serve_connection(struct frontend_server *server, struct connection *connection)
{
	ssize_t got = recv(connection->fd, connection->bytes + connection->len, REQUEST_MAX - 1 - connection->len, MSG_DONTWAIT);
	if (got > 0) {
		connection->len += (size_t)got;
		answer(server, connection);
	} else if (got == 0) {
		drop(connection);
	}
}

static inline void serve_new(struct frontend_server *server)
{
	int fd = accept(server->listener, NULL, NULL);
	for (int i = 0; i < CONNECTIONS && fd >= 0; i++)
		if (server->connections[i].fd < 0) {
			server->connections[i].fd = fd;
			server->connections[i].len = 0;
			server->connections[i].answered = false;
			return;
		}
	if (fd >= 0)
		close(fd);
}

static inline void *serve(void *context)
{
	struct frontend_server *server = context;
	while (!atomic_load(&server->stop)) {
		struct pollfd polled[CONNECTIONS + 2] = { { server->listener, POLLIN, 0 }, { server->wake[0], POLLIN, 0 } };
		char byte;
		for (int i = 0; i < CONNECTIONS; i++)
			polled[i + 2] = (struct pollfd){ server->connections[i].fd, POLLIN, 0 };
		if (poll(polled, CONNECTIONS + 2, FAR_MS) < 0)
			continue;
		if ((polled[1].revents & POLLIN) != 0 && read(server->wake[0], &byte, 1) == 1)
			for (int i = 0; i < CONNECTIONS; i++)
				if (server->connections[i].fd >= 0)
					answer(server, &server->connections[i]);
		for (int i = 0; i < CONNECTIONS; i++)
			if (polled[i + 2].fd >= 0 && polled[i + 2].fd == server->connections[i].fd && polled[i + 2].revents != 0)
				serve_connection(server, &server->connections[i]);
		if ((polled[0].revents & POLLIN) != 0)
			serve_new(server);
	}
	return NULL;
}

static inline void server_run(struct frontend_server *server, int listener, enum manner manner)
{
	server->listener = listener;
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(pipe(server->wake), 0);
	atomic_store(&server->manner, manner);
	for (int i = 0; i < CONNECTIONS; i++)
		server->connections[i].fd = -1;
	pthread_mutex_init(&server->mutex, NULL);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static inline struct frontend_server *server_start(const char *folder, const char *name, enum manner manner)
{
	struct frontend_server *server = calloc(1, sizeof *server);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	assert_non_null(server);
	path_in(server->path, folder, name);
	snprintf(address.sun_path, sizeof address.sun_path, "%.100s", server->path);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	server_run(server, listener, manner);
	return server;
}

static inline void server_wake(struct frontend_server *server)
{
	assert_int_equal(write(server->wake[1], "w", 1), 1);
}

static inline void server_set(struct frontend_server *server, enum manner manner)
{
	atomic_store(&server->manner, manner);
	server_wake(server);
}

static inline void server_stop(struct frontend_server *server)
{
	atomic_store(&server->stop, true);
	server_wake(server);
	assert_int_equal(pthread_join(server->thread, NULL), 0);
	for (int i = 0; i < CONNECTIONS; i++)
		if (server->connections[i].fd >= 0)
			close(server->connections[i].fd);
	close(server->listener);
	close(server->wake[0]);
	close(server->wake[1]);
	pthread_mutex_destroy(&server->mutex);
	free(server);
}

#endif
