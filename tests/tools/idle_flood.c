/*
 * idle_flood: many connections that do nothing, or next to nothing, as a careless or hostile client holds them (one line of JSON at the end).
 *
 *     idle_flood --host 127.0.0.1 --port 8010 --connections 8000 --manner silent --seconds 10
 *
 * --from         source addresses, in turn (may repeat; without any: the kernel's choice)
 * --manner       silent: not a byte; head: a request's head, a byte of it at each tick; body: a purchase's body likewise;
 *                idle: one whole request, and then nothing
 * --connections  how many are held: one that the server closes is opened again at the next tick
 * --seconds      how long; a SIGTERM ends it earlier
 * --ready        a file that is written when all have been opened once
 *
 * `refused_429` and `refused_503` are connections that were told so, `closed` all that the server ended, `held` those that were
 * open at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tools/common/tool.h"

#define CONNECTIONS_MAX 20000
#define FROM_MAX 64
#define TICK_MS 100

static const char *host = "127.0.0.1", *manner = "silent", *ready, *from[FROM_MAX];
static int host_count, manner_count, ready_count, from_count;
static int64_t port, connections = 100, seconds = 10;
static volatile sig_atomic_t is_over;

struct manner {
	const char *name, *begin;
	bool goes_on;                 /* with a byte at each tick */
};

static const struct manner MANNERS[] = {
	{ "silent", "", false },
	{ "head", "GET /lookup?id=1 HTTP/1.1\r\nHost: store\r\nX-Slow: ", true },
	{ "body", "POST /buy?id=1 HTTP/1.1\r\nHost: store\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n", true },
	{ "idle", "GET /healthz HTTP/1.1\r\nHost: store\r\n\r\n", false },
};

static struct {
	const struct manner *manner;
	int *fds;                     /* -1: closed */
	int64_t opened, closed, failed, refused_429, refused_503;
} flood;

static void end(int signal_number)
{
	(void)signal_number;
	is_over = 1;
}

/* -1 when there is none to be had now. */
static int open_one(int64_t number)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in own = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	if (fd < 0)
		return -1;
	if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
		tool_fail("--host takes an IPv4 address");
	if (from_count > 0) {
		if (inet_pton(AF_INET, from[number % from_count], &own.sin_addr) != 1)
			tool_fail("--from takes IPv4 addresses");
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
		if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0)
			tool_fail("cannot send from %s: %s", from[number % from_count], strerror(errno));
	}
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

static void lose(int64_t number, const char *answer, ssize_t len)
{
	if (len > 12 && memcmp(answer, "HTTP/1.1 429", 12) == 0)
		flood.refused_429++;
	if (len > 12 && memcmp(answer, "HTTP/1.1 503", 12) == 0)
		flood.refused_503++;
	flood.closed++;
	close(flood.fds[number]);
	flood.fds[number] = -1;
}

/* What the server said or did. An answer to a whole request is no refusal: the connection stays. */
static void look_at(int64_t number)
{
	char answer[2048];
	ssize_t len = recv(flood.fds[number], answer, sizeof answer, 0);
	if (len < 0 && (errno == EAGAIN || errno == ENOTCONN))
		return;
	if (len > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0)
		return;
	lose(number, answer, len);
}

static void tick_one(int64_t number)
{
	int fd = flood.fds[number];
	if (fd < 0) {
		fd = flood.fds[number] = open_one(number);
		flood.opened += fd >= 0 ? 1 : 0;
		flood.failed += fd < 0 ? 1 : 0;
		if (fd < 0 || flood.manner->begin[0] == '\0')
			return;
		/* (On this machine a connection is there at once, or not before the next tick: then it begins with the byte below.) */
		if (send(fd, flood.manner->begin, strlen(flood.manner->begin), MSG_NOSIGNAL) > 0)
			return;
	}
	if (flood.manner->goes_on && send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOTCONN) {
		look_at(number);
		return;
	}
	look_at(number);
}

static void write_ready(void)
{
	FILE *file = ready != NULL ? fopen(ready, "we") : NULL;
	if (ready != NULL && (file == NULL || fputs("ready\n", file) < 0 || fclose(file) != 0))
		tool_fail("cannot write %s", ready);
}

static void run(void)
{
	int64_t began_us = tool_now_us();
	for (int64_t round = 0; !is_over && tool_now_us() - began_us < seconds * 1000000; round++) {
		for (int64_t i = 0; i < connections && !is_over; i++)
			tick_one(i);
		if (round == 0)
			write_ready();
		tool_sleep_ms(TICK_MS);
	}
}

static void print_report(void)
{
	int64_t held = 0;
	for (int64_t i = 0; i < connections; i++)
		if (flood.fds[i] >= 0)
			look_at(i);
	for (int64_t i = 0; i < connections; i++)
		held += flood.fds[i] >= 0 ? 1 : 0;
	printf("{\"opened\":%lld,\"closed\":%lld,\"failed\":%lld,\"refused_429\":%lld,\"refused_503\":%lld,\"held\":%lld}\n", (long long)flood.opened,
		(long long)flood.closed, (long long)flood.failed, (long long)flood.refused_429, (long long)flood.refused_503, (long long)held);
}

int main(int argc, char **argv)
{
	const struct tool_option options[] = {
		{ .name = "host", .texts = &host, .text_count = &host_count, .text_max = 1 },
		{ .name = "from", .texts = from, .text_count = &from_count, .text_max = FROM_MAX },
		{ .name = "manner", .texts = &manner, .text_count = &manner_count, .text_max = 1 },
		{ .name = "ready", .texts = &ready, .text_count = &ready_count, .text_max = 1 },
		{ .name = "port", .number = &port, .min = 1, .max = 65535 },
		{ .name = "connections", .number = &connections, .min = 1, .max = CONNECTIONS_MAX },
		{ .name = "seconds", .number = &seconds, .min = 1, .max = 600 },
	};
	struct rlimit files;
	tool_read_options(argc, argv, options, sizeof options / sizeof options[0]);
	for (size_t i = 0; i < sizeof MANNERS / sizeof MANNERS[0]; i++)
		if (strcmp(MANNERS[i].name, manner) == 0)
			flood.manner = &MANNERS[i];
	if (flood.manner == NULL || port == 0)
		tool_fail("idle_flood needs --port and a --manner: silent, head, body or idle");
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	flood.fds = malloc((size_t)connections * sizeof *flood.fds);
	if (flood.fds == NULL)
		tool_fail("no memory");
	for (int64_t i = 0; i < connections; i++)
		flood.fds[i] = -1;
	signal(SIGTERM, end);
	signal(SIGINT, end);
	run();
	print_report();
	free(flood.fds);
	return 0;
}
