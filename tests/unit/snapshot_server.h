/*
 * snapshot_server: what a node's nginx and catalog worker do for GET /snapshot, in a thread of a test. Header only.
 */
#ifndef PYGMY_TESTS_SNAPSHOT_SERVER_H
#define PYGMY_TESTS_SNAPSHOT_SERVER_H

#include "tests/unit/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "db/snapshot.h"

struct snapshot_server {
	pthread_t thread;
	int listener;                 /* 0: not started */
	char url[64];
	char folder[FOLDER_MAX];
	struct snapshot_maker *maker;
	atomic_int served;
};

static inline void snapshot_server_answer(struct snapshot_server *server, int connection)
{
	char request[4096], path[PATH_MAX], head[256];
	struct snapshot_info info;
	struct stat status;
	if (recv(connection, request, sizeof request, 0) <= 0 || snapshot_make(server->maker, path, &info) != PYGMY_OK)
		return;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &status) == 0) {
		int len = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %lld\r\nConnection: close\r\n\r\n",
				   SNAPSHOT_CONTENT_TYPE, (long long)status.st_size);
		bool good = send(connection, head, (size_t)len, MSG_NOSIGNAL) == len;
		for (off_t sent = 0; good && sent < status.st_size;)
			good = sendfile(connection, fd, &sent, (size_t)(status.st_size - sent)) > 0;
		atomic_fetch_add(&server->served, 1);
	}
	if (fd >= 0)
		(void)close(fd);
}

static inline void *snapshot_server_run(void *context)
{
	struct snapshot_server *server = context;
	int connection;
	while ((connection = accept(server->listener, NULL, NULL)) >= 0) {
		snapshot_server_answer(server, connection);
		(void)close(connection);
	}
	return NULL;
}

static inline void snapshot_server_start(struct snapshot_server *server, const char *db_path, const char *folder)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	text_put(server->folder, sizeof server->folder, folder);
	assert_int_equal(snapshot_maker_create(db_path, folder, &server->maker), PYGMY_OK);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(listen(server->listener, 8), 0);
	snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
	assert_int_equal(pthread_create(&server->thread, NULL, snapshot_server_run, server), 0);
}

/* Also removes the copies. */
static inline void snapshot_server_stop(struct snapshot_server *server)
{
	char path[FOLDER_MAX + 16];
	if (server->listener == 0)
		return;
	(void)shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	(void)close(server->listener);
	server->listener = 0;
	snapshot_maker_destroy(server->maker);
	snprintf(path, sizeof path, "%s/snapshots", server->folder);
	if (file_size(path) >= 0)
		folder_remove(path);
}

#endif
