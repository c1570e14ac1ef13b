/*
 * etcd_proxy: stands between a client of etcd's gateway and an endpoint, and spoils what passes.
 *
 *   etcd_proxy --listen 127.0.0.1:0 --upstream 127.0.0.1:2379 [--seed N] [--control FILE]
 *
 * It prints `listening ADDRESS:PORT seed N` when it is ready, and on SIGUSR1 and at its end (SIGTERM, SIGINT) how often it has done
 * what, a line each. FILE says what to spoil, a name and a value per line; the names stand in etcd_proxy/proxy.h:
 *
 *   watch_lose 0.1
 *   put_lost 0.05
 *   delay_ms 100
 *
 * It is read again whenever it has changed; write it beside and rename it, for half a file is a file too. A missing one means
 * that nothing is spoiled. HTTP/1.1 without TLS only, as the gateway speaks it.
 */
#include "tests/tools/etcd_proxy/proxy.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREAD_STACK_BYTES ((size_t)256 * 1024)

struct proxy {
	int listener;
	struct sockaddr_in upstream;
	struct tool_chance chance;
};

static struct sockaddr_in address_of(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	char host[64];
	const char *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : sizeof host;
	if (len >= sizeof host)
		tool_fail("'%s' is not ADDRESS:PORT", text);
	memcpy(host, text, len);
	host[len] = '\0';
	char *end;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || *end != '\0' || end == colon + 1 || port > 65535)
		tool_fail("'%s' is not ADDRESS:PORT", text);
	address.sin_port = htons((uint16_t)port);
	return address;
}

static void *connection_run(void *context)
{
	exchange_run(context);
	free(context);
	return NULL;
}

static void start_connection(struct proxy *proxy, int fd, const pthread_attr_t *attributes)
{
	struct proxy_connection *connection = calloc(1, sizeof *connection);
	pthread_t thread;
	int one = 1;
	if (connection == NULL)
		tool_fail("etcd_proxy: out of memory");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	connection->client = (struct proxy_side){ .fd = fd, .other_fd = -1 };
	connection->upstream = (struct proxy_side){ .fd = -1, .other_fd = -1 };
	connection->address = proxy->upstream;
	connection->chance.state = tool_random(&proxy->chance);
	proxy_count(connections);
	if (pthread_create(&thread, attributes, connection_run, connection) != 0)
		tool_fail("etcd_proxy: no thread for a connection");
}

static void *accept_run(void *context)
{
	struct proxy *proxy = context;
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	for (;;) {
		int fd = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			start_connection(proxy, fd, &attributes);
	}
	return NULL;
}

static void listen_at(struct proxy *proxy, const char *text)
{
	struct sockaddr_in address = address_of(text);
	socklen_t len = sizeof address;
	int one = 1;
	proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(proxy->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (proxy->listener < 0 || bind(proxy->listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(proxy->listener, 128) != 0 ||
	    getsockname(proxy->listener, (struct sockaddr *)&address, &len) != 0)
		tool_fail("cannot listen at %s", text);
	char host[64];
	printf("listening %s:%d seed %llu\n", inet_ntop(AF_INET, &address.sin_addr, host, sizeof host), (int)ntohs(address.sin_port),
	       (unsigned long long)proxy->chance.state);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct proxy proxy;
	const char *listen_text = "127.0.0.1:0", *upstream_text = NULL, *control = NULL;
	int64_t seed = 0;
	int counts[3] = { 0 }, signal_number;
	const struct tool_option options[] = {
		{ .name = "listen", .texts = &listen_text, .text_count = &counts[0], .text_max = 1 },
		{ .name = "upstream", .texts = &upstream_text, .text_count = &counts[1], .text_max = 1 },
		{ .name = "control", .texts = &control, .text_count = &counts[2], .text_max = 1 },
		{ .name = "seed", .number = &seed, .min = 0, .max = INT64_MAX },
	};
	tool_read_options(argc, argv, options, sizeof options / sizeof options[0]);
	if (upstream_text == NULL)
		tool_fail("--upstream is missing");
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	control_init(control);
	proxy.upstream = address_of(upstream_text);
	proxy.chance.state = tool_seed(seed);
	listen_at(&proxy, listen_text);
	pthread_t thread;
	if (pthread_create(&thread, NULL, accept_run, &proxy) != 0)
		tool_fail("etcd_proxy: no thread");
	do {
		sigwait(&signals, &signal_number);
		proxy_print_counts();
	} while (signal_number == SIGUSR1);
	_exit(0);
}
