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
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/tools/common/listener.h"

struct proxy {
	struct sockaddr_in upstream;
	atomic_uint_fast64_t number;
	uint64_t seed;
};

static void serve(void *context, int fd)
{
	struct proxy *proxy = context;
	struct tool_chance chance = { proxy->seed + atomic_fetch_add(&proxy->number, 1) };
	struct proxy_connection connection = { .client = { .fd = fd, .other_fd = -1 }, .upstream = { .fd = -1, .other_fd = -1 },
		.address = proxy->upstream, .chance = { tool_random(&chance) } };
	proxy_count(connections);
	exchange_run(&connection);
}

int main(int argc, char **argv)
{
	static struct proxy proxy;
	const char *listen_text = "127.0.0.1:0", *upstream_text = NULL, *control = NULL;
	int64_t seed = 0;
	int counts[3] = { 0 };
	const struct tool_option options[] = {
		{ .name = "listen", .texts = &listen_text, .text_count = &counts[0], .text_max = 1 },
		{ .name = "upstream", .texts = &upstream_text, .text_count = &counts[1], .text_max = 1 },
		{ .name = "control", .texts = &control, .text_count = &counts[2], .text_max = 1 },
		{ .name = "seed", .number = &seed, .min = 0, .max = INT64_MAX },
	};
	tool_read_options(argc, argv, options, sizeof options / sizeof options[0]);
	if (upstream_text == NULL)
		tool_fail("--upstream is missing");
	listener_block_signals();
	proxy_open_control(control);
	proxy.upstream = listener_address(upstream_text);
	proxy.seed = tool_seed(seed);
	struct sockaddr_in bound;
	int listener = listener_open(listen_text, &bound);
	char host[INET_ADDRSTRLEN];
	printf("listening %s:%d seed %llu\n", inet_ntop(AF_INET, &bound.sin_addr, host, sizeof host), (int)ntohs(bound.sin_port),
	       (unsigned long long)proxy.seed);
	fflush(stdout);
	listener_start(listener, serve, &proxy);
	listener_wait_for_signals(proxy_print_counts);
	_exit(0);
}
