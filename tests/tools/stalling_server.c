/*
 * stalling_server: answers every HTTP request at once, but for one stretch of time in which it answers none: a garbage collection, a
 * hanging disk. By it one can tell whether a load generator leaves out the requests that would have suffered.
 *
 *     stalling_server --after-ms 1000 --stall-ms 1000
 *
 * Listens on a port of 127.0.0.1 that it prints; the stall begins --after-ms after the first request. Ends when its standard input does.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tools/common/tool.h"

#define CLIENTS_MAX 256

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}\n";
static int64_t after_ms = 1000, stall_ms = 1000, first_us;
static bool stalled;

static int open_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, CLIENTS_MAX) != 0
			|| getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		tool_fail("cannot listen");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void stall_when_due(void)
{
	int64_t now_us = tool_now_us();
	if (first_us == 0)
		first_us = now_us;
	if (stalled || now_us - first_us < after_ms * 1000)
		return;
	stalled = true;
	tool_sleep_ms(stall_ms);
}

/* One answer per blank line. False when the client is gone. */
static bool serve(int fd)
{
	char bytes[16384];
	ssize_t got = recv(fd, bytes, sizeof bytes, 0);
	if (got <= 0)
		return false;
	stall_when_due();
	const char *at = bytes, *end = bytes + got;
	while ((at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
		at += 4;
		if (send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) < 0)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct tool_option options[] = {
		{ .name = "after-ms", .number = &after_ms, .min = 0, .max = 60000 },
		{ .name = "stall-ms", .number = &stall_ms, .min = 0, .max = 60000 },
	};
	tool_read_options(argc, argv, options, sizeof options / sizeof options[0]);
	struct pollfd fds[CLIENTS_MAX] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = open_port(), .events = POLLIN } };
	nfds_t count = 2;
	while (poll(fds, count, -1) > 0) {
		char byte;
		if (fds[0].revents != 0 && read(STDIN_FILENO, &byte, 1) <= 0)
			return 0;
		for (nfds_t i = count; i-- > 2;)
			if (fds[i].revents != 0 && !serve(fds[i].fd)) {
				close(fds[i].fd);
				fds[i] = fds[--count];
			}
		if (fds[1].revents != 0 && count < CLIENTS_MAX)
			fds[count++] = (struct pollfd){ .fd = accept(fds[1].fd, NULL, NULL), .events = POLLIN };
	}
	return 2;
}
