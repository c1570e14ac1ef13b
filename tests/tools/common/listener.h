/*
 * listener: what the proxies of the tests have in common: a port at which connections come in, each served by a thread of its own; and the
 * signals by which a proxy is asked what it has done (SIGUSR1) and ended (SIGTERM, SIGINT).
 */
#ifndef PYGMY_TESTS_LISTENER_H
#define PYGMY_TESTS_LISTENER_H

#include <netinet/in.h>

#include "tests/tools/common/tool.h"

/* Text like 127.0.0.1:8010; anything else ends the program. */
struct sockaddr_in listener_address(const char *text);

/* Listens at text (port 0: any); *bound is where. What can't be done ends the program. */
int listener_open(const char *text, struct sockaddr_in *bound);

/* A connection to address, or -1. */
int listener_connect(const struct sockaddr_in *address);

/* Called with each connection in a thread of its own; owns the descriptor. */
typedef void (*listener_serve)(void *context, int fd);
/* Accepts for ever in a thread of its own. */
void listener_start(int listener, listener_serve serve, void *context);

/* Before the first thread is started. */
void listener_block_signals(void);
/* Waits for the signals; prints by print at each, and returns at the one that ends the program. */
void listener_wait_for_signals(void (*print)(void));

#endif
