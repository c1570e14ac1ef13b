/* listener: see listener.h. */
#include "tests/tools/common/listener.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREAD_STACK_BYTES ((size_t)256 * 1024)

struct accepting {
	int listener;
	listener_serve serve;
	void *context;
};

struct accepted {
	listener_serve serve;
	void *context;
	int fd;
};

struct sockaddr_in listener_address(const char *text)
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

static void send_at_once(int fd)
{
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int listener_open(const char *text, struct sockaddr_in *bound)
{
	struct sockaddr_in address = listener_address(text);
	socklen_t len = sizeof *bound;
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 512) != 0 ||
	    getsockname(fd, (struct sockaddr *)bound, &len) != 0)
		tool_fail("cannot listen at %s", text);
	return fd;
}

int listener_connect(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
		close(fd);
		return -1;
	}
	if (fd >= 0)
		send_at_once(fd);
	return fd;
}

static void *serve_run(void *context)
{
	struct accepted accepted = *(struct accepted *)context;
	free(context);
	accepted.serve(accepted.context, accepted.fd);
	return NULL;
}

static void *accept_run(void *context)
{
	struct accepting *accepting = context;
	pthread_attr_t attributes;
	pthread_t thread;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	for (;;) {
		int fd = accept4(accepting->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		send_at_once(fd);
		struct accepted *accepted = malloc(sizeof *accepted);
		if (accepted == NULL)
			tool_fail("proxy: out of memory");
		*accepted = (struct accepted){ accepting->serve, accepting->context, fd };
		if (pthread_create(&thread, &attributes, serve_run, accepted) != 0)
			tool_fail("proxy: no thread for a connection");
	}
	return NULL;
}

void listener_start(int listener, listener_serve serve, void *context)
{
	struct accepting *accepting = malloc(sizeof *accepting);
	pthread_t thread;
	if (accepting == NULL)
		tool_fail("proxy: out of memory");
	*accepting = (struct accepting){ listener, serve, context };
	if (pthread_create(&thread, NULL, accept_run, accepting) != 0)
		tool_fail("proxy: no thread");
}

static sigset_t ending_signals(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	return signals;
}

void listener_block_signals(void)
{
	sigset_t signals = ending_signals();
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

void listener_wait_for_signals(void (*print)(void))
{
	sigset_t signals = ending_signals();
	int number;
	do {
		sigwait(&signals, &number);
		print();
	} while (number == SIGUSR1);
}
