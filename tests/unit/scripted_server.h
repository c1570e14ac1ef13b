/*
 * scripted_server: an HTTP server for tests of clients, on a free loopback port, that answers from a script.
 *
 * Each request takes the next step: an answer as it stands, NULL: the connection is closed without one, or scripted_hang: there is
 * none, until the client or the server goes. An answer that ends with SCRIPTED_STAY is not followed by the connection's end either.
 * Behind the last step the last one is repeated. Every connection serves one request. What was asked is kept.
 */
#ifndef PYGMY_TESTS_SCRIPTED_SERVER_H
#define PYGMY_TESTS_SCRIPTED_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRIPTED_REQUESTS_MAX 16
#define SCRIPTED_REQUEST_MAX_BYTES 4096

static const char scripted_hang[] = "";
#define SCRIPTED_STAY "\x01"

struct scripted_server {
	const char *const *steps;
	size_t step_count;
	int listener;
	char url[64];
	pthread_t thread;
	atomic_bool stopping;
	atomic_size_t requests;
	char request[SCRIPTED_REQUESTS_MAX][SCRIPTED_REQUEST_MAX_BYTES + 1];
};

/* Whether the request (head and body) is complete. */
static bool scripted_is_complete(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *length = strcasestr(request, "Content-Length:");
	if (end == NULL)
		return false;
	size_t body_len = length != NULL && length < end ? (size_t)strtoul(length + 15, NULL, 10) : 0;
	return strlen(end + 4) >= body_len;
}

static inline void scripted_write(int connection, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t written = send(connection, bytes, len, MSG_NOSIGNAL);
		if (written <= 0)
			return;
		bytes += written;
		len -= (size_t)written;
	}
}

/* Until the other side closes the connection. */
static inline void scripted_stay(struct scripted_server *server, int connection)
{
	char byte;
	while (!atomic_load(&server->stopping)) {
		struct pollfd waiting = { .fd = connection, .events = POLLIN };
		if (poll(&waiting, 1, 20) > 0 && read(connection, &byte, 1) <= 0)
			return;
	}
}

static void scripted_serve(struct scripted_server *server, int connection)
{
	size_t number = atomic_load(&server->requests);
	char *request = server->request[number < SCRIPTED_REQUESTS_MAX ? number : SCRIPTED_REQUESTS_MAX - 1];
	size_t len = 0;
	request[0] = '\0';
	while (!scripted_is_complete(request) && len < SCRIPTED_REQUEST_MAX_BYTES) {
		ssize_t got = read(connection, request + len, SCRIPTED_REQUEST_MAX_BYTES - len);
		if (got <= 0)
			return;
		len += (size_t)got;
		request[len] = '\0';
	}
	const char *step = server->steps[number < server->step_count ? number : server->step_count - 1];
	atomic_fetch_add(&server->requests, 1);
	if (step == NULL)
		return;
	bool stays = step == scripted_hang || (step[0] != '\0' && step[strlen(step) - 1] == SCRIPTED_STAY[0]);
	scripted_write(connection, step, strlen(step) - (stays && step != scripted_hang ? 1 : 0));
	if (stays)
		scripted_stay(server, connection);
}

static void *scripted_run(void *context)
{
	struct scripted_server *server = context;
	while (!atomic_load(&server->stopping)) {
		struct pollfd waiting = { .fd = server->listener, .events = POLLIN };
		if (poll(&waiting, 1, 50) <= 0)
			continue;
		int connection = accept(server->listener, NULL, NULL);
		if (connection < 0)
			continue;
		struct timeval limit = { .tv_sec = 5 };
		(void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		scripted_serve(server, connection);
		(void)shutdown(connection, SHUT_WR);
		(void)close(connection);
	}
	return NULL;
}

static void scripted_start(struct scripted_server *server, const char *const *steps, size_t step_count)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	memset(server, 0, sizeof(*server));
	server->steps = steps;
	server->step_count = step_count;
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->listener >= 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->listener, 16), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
	(void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d", (int)ntohs(address.sin_port));
	assert_int_equal(pthread_create(&server->thread, NULL, scripted_run, server), 0);
}

static void scripted_stop(struct scripted_server *server)
{
	atomic_store(&server->stopping, true);
	(void)pthread_join(server->thread, NULL);
	(void)close(server->listener);
}

#endif
