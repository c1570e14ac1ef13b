/*
 * peer_proxy: a hostile network between the nodes of a cluster and its frontends.
 *
 *   peer_proxy --pass 127.0.1.1:8111=127.0.1.1:8011 --pass 127.0.0.1:8119=127.0.0.1:8019 [--seed N] [--control FILE]
 *
 * Passes on what comes in at each first address to the second one: what nodes push to frontends, and what frontends ask nodes. FILE
 * says what to spoil, a name and a value per line (the names stand in peer_proxy/peer.h, how it is read in common/control.h):
 *
 *   push_swallowed 0.2
 *   fill_trickled 0.05
 *
 * It prints `seed N` when all ports are open, and on SIGUSR1 and at its end (SIGTERM, SIGINT) what it has done, as a line of JSON. HTTP/1.1
 * without TLS only.
 */
#include "tests/tools/peer_proxy/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSES_MAX 32

static struct pass {
	struct sockaddr_in upstream;
	int listener;
} passes[PASSES_MAX];

static uint64_t seed;
static atomic_uint_fast64_t connection_number;

static void serve(void *context, int fd)
{
	const struct pass *pass = context;
	struct tool_chance chance = { seed + atomic_fetch_add(&connection_number, 1) };
	struct peer_connection connection = { .client = { .fd = fd, .other_fd = -1 }, .upstream = { .fd = -1, .other_fd = -1 },
		.address = pass->upstream, .chance = { tool_random(&chance) } };
	peer_count(connections);
	peer_run(&connection);
}

static void open_pass(const char *text, struct pass *pass)
{
	char from[64];
	const char *equals = strchr(text, '=');
	struct sockaddr_in bound;
	if (equals == NULL || (size_t)(equals - text) >= sizeof from)
		tool_fail("--pass takes ADDRESS:PORT=ADDRESS:PORT, not '%s'", text);
	memcpy(from, text, (size_t)(equals - text));
	from[equals - text] = '\0';
	pass->upstream = listener_address(equals + 1);
	pass->listener = listener_open(from, &bound);
}

int main(int argc, char **argv)
{
	const char *texts[PASSES_MAX], *control = NULL;
	int count = 0, control_count = 0;
	int64_t given_seed = 0;
	const struct tool_option options[] = {
		{ .name = "pass", .texts = texts, .text_count = &count, .text_max = PASSES_MAX },
		{ .name = "control", .texts = &control, .text_count = &control_count, .text_max = 1 },
		{ .name = "seed", .number = &given_seed, .min = 0, .max = INT64_MAX },
	};
	tool_read_options(argc, argv, options, sizeof options / sizeof options[0]);
	if (count == 0)
		tool_fail("--pass is missing");
	listener_block_signals();
	peer_open_control(control);
	seed = tool_seed(given_seed);
	for (int i = 0; i < count; i++)
		open_pass(texts[i], &passes[i]);
	for (int i = 0; i < count; i++)
		listener_start(passes[i].listener, serve, &passes[i]);
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	listener_wait_for_signals(peer_print_counts);
	_exit(0);
}
