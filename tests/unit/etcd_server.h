/*
 * etcd_server: real etcd processes for a test: one or several members on a loopback address of this test alone, in a
 * temporary folder.
 *
 * Whatever happens to the test, nothing stays: the members die with the thread that started them (so start and restart them in the
 * test's main thread), and the folder is removed by a small process that waits for the test's end. Header only.
 *
 *	struct etcd_server server;
 *	etcd_server_start(&server, 3);              // returns when all are ready
 *	... server.endpoints, server.members[0].url ...
 *	etcd_server_kill(&server, 0);               // kill -9; etcd_server_restart brings it back, same data, same address
 *	etcd_server_stop(&server);                  // in the test's tear-down
 */
#ifndef PYGMY_TESTS_ETCD_SERVER_H
#define PYGMY_TESTS_ETCD_SERVER_H

#include "tests/unit/support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ETCD_SERVER_MEMBERS_MAX 5
#define ETCD_SERVER_READY_MS 30000
#define ETCD_SERVER_PEER_PORT 23800
#define ETCD_SERVER_CLIENT_PORT 23790
#define ETCD_SERVER_ARGUMENTS_MAX 48
#define ETCD_SERVER_ADDRESS_BYTES 32

struct etcd_server_member {
	pid_t pid;                    /* 0: not running */
	char name[8];
	char url[64], peer_url[64];
};

struct etcd_server {
	char folder[FOLDER_MAX];
	char address[ETCD_SERVER_ADDRESS_BYTES];
	int count;
	struct etcd_server_member members[ETCD_SERVER_MEMBERS_MAX];
	char endpoints[64 * ETCD_SERVER_MEMBERS_MAX];
	char initial[96 * ETCD_SERVER_MEMBERS_MAX];
	const char *const *options;   /* more arguments for each etcd, up to a NULL; may be NULL */
	const char *ca, *certificate, *key; /* with TLS (both directions); NULL: without */
	int janitor;                  /* the end of its pipe that this process holds */
	pid_t janitor_pid;
};

/* ---- processes -------------------------------------------------------------------------------------- */

/* Removes the folder when this process has gone or closes its end. */
static inline void etcd_server_start_janitor(struct etcd_server *server)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* A signal to the test's group, from a terminal, is not meant for it. */
		(void)setpgid(0, 0);
		if (dup2(ends[0], STDIN_FILENO) >= 0)
			execl("/bin/sh", "sh", "-c", "exec >/dev/null 2>&1; read -r _; while ! rm -rf \"$1\"; do sleep 0.1; done", "sh",
			      server->folder, (char *)NULL);
		_exit(127);
	}
	(void)close(ends[0]);
	server->janitor = ends[1];
	server->janitor_pid = pid;
}

static inline void etcd_server_add_tls(const struct etcd_server *server, const char **arguments, size_t *count)
{
	const char *const tls[] = { "--trusted-ca-file", server->ca, "--cert-file", server->certificate, "--key-file", server->key,
				    "--client-cert-auth", "--peer-trusted-ca-file", server->ca, "--peer-cert-file", server->certificate,
				    "--peer-key-file", server->key, "--peer-client-cert-auth" };
	for (size_t i = 0; server->ca != NULL && i < sizeof tls / sizeof tls[0]; i++)
		arguments[(*count)++] = tls[i];
}

static inline void etcd_server_spawn(struct etcd_server *server, int number)
{
	struct etcd_server_member *member = &server->members[number];
	char data[PATH_BYTES], log[PATH_BYTES];
	path_in(data, server->folder, member->name);
	snprintf(log, sizeof log, "%.63s/%.7s.log", server->folder, member->name);
	const char *arguments[ETCD_SERVER_ARGUMENTS_MAX] = {
		"etcd", "--name", member->name, "--data-dir", data, "--listen-client-urls", member->url, "--advertise-client-urls",
		member->url, "--listen-peer-urls", member->peer_url, "--initial-advertise-peer-urls", member->peer_url,
		"--initial-cluster", server->initial, "--initial-cluster-token", server->folder, "--heartbeat-interval", "50",
		"--election-timeout", "500", "--unsafe-no-fsync", "--logger", "zap", "--log-level", "warn" };
	size_t count = 0;
	while (arguments[count] != NULL)
		count++;
	etcd_server_add_tls(server, arguments, &count);
	for (size_t i = 0; server->options != NULL && server->options[i] != NULL; i++) {
		assert_true(count < ETCD_SERVER_ARGUMENTS_MAX - 1);
		arguments[count++] = server->options[i];
	}
	pid_t parent = getpid(), pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent && file >= 0 && dup2(file, STDOUT_FILENO) >= 0 && dup2(file, STDERR_FILENO) >= 0)
			execvp("etcd", (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	member->pid = pid;
}

static inline void etcd_server_end(struct etcd_server *server, int number, int signal)
{
	struct etcd_server_member *member = &server->members[number];
	if (member->pid == 0)
		return;
	(void)kill(member->pid, signal);
	(void)kill(member->pid, SIGCONT);
	while (waitpid(member->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	member->pid = 0;
}

/* ---- readiness -------------------------------------------------------------------------------------- */

/* Whether somebody accepts connections at the member's client port. */
static inline bool etcd_server_listens(const struct etcd_server *server, int number)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(ETCD_SERVER_CLIENT_PORT + number)) };
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(connection >= 0);
	assert_int_equal(inet_pton(AF_INET, server->address, &address.sin_addr), 1);
	bool connected = connect(connection, (struct sockaddr *)&address, sizeof address) == 0;
	(void)close(connection);
	return connected;
}

/* etcd opens its client port when it knows a leader, and not before. Fails the test when it ends, or takes too long. */
static inline void etcd_server_await(struct etcd_server *server, int number)
{
	struct etcd_server_member *member = &server->members[number];
	int64_t limit_ms = test_now_ms() + ETCD_SERVER_READY_MS;
	while (!etcd_server_listens(server, number)) {
		if (waitpid(member->pid, NULL, WNOHANG) == member->pid) {
			member->pid = 0;
			fail_msg("etcd %s ended at once (is etcd-server installed?)", member->name);
		}
		if (test_now_ms() > limit_ms)
			fail_msg("etcd %s is not ready after %d ms", member->name, ETCD_SERVER_READY_MS);
		test_pause_ms(10);
	}
}

/* ---- what a test calls ------------------------------------------------------------------------------ */

/* Every test process has an address of its own in 127/8: its ports are free, also while a member is down. */
static inline void etcd_server_address(char address[ETCD_SERVER_ADDRESS_BYTES])
{
	unsigned pid = (unsigned)getpid();
	snprintf(address, ETCD_SERVER_ADDRESS_BYTES, "127.%u.%u.%u", 64 + (pid >> 16 & 63), pid >> 8 & 255, pid & 255);
}

/* As etcd_server_start; options and the TLS files of server must be set, the rest is not looked at. */
static inline void etcd_server_start_with(struct etcd_server *server, int members)
{
	const char *scheme = server->ca != NULL ? "https" : "http";
	assert_in_range(members, 1, ETCD_SERVER_MEMBERS_MAX);
	server->count = members;
	server->endpoints[0] = server->initial[0] = '\0';
	folder_make(server->folder);
	etcd_server_start_janitor(server);
	etcd_server_address(server->address);
	for (int i = 0; i < members; i++) {
		struct etcd_server_member *member = &server->members[i];
		char part[160];
		snprintf(member->name, sizeof member->name, "%c", 'A' + i);
		snprintf(member->url, sizeof member->url, "%s://%s:%d", scheme, server->address, ETCD_SERVER_CLIENT_PORT + i);
		snprintf(member->peer_url, sizeof member->peer_url, "%s://%s:%d", scheme, server->address, ETCD_SERVER_PEER_PORT + i);
		snprintf(part, sizeof part, "%s%.7s=%.63s", i > 0 ? "," : "", member->name, member->peer_url);
		strncat(server->initial, part, sizeof server->initial - strlen(server->initial) - 1);
		snprintf(part, sizeof part, "%s%.63s", i > 0 ? " " : "", member->url);
		strncat(server->endpoints, part, sizeof server->endpoints - strlen(server->endpoints) - 1);
		member->pid = 0;
	}
	for (int i = 0; i < members; i++)
		etcd_server_spawn(server, i);
	for (int i = 0; i < members; i++)
		etcd_server_await(server, i);
}

/* Starts so many members and waits until all are ready. Fails the test otherwise (then etcd_server_stop is still allowed). */
static inline void etcd_server_start(struct etcd_server *server, int members)
{
	memset(server, 0, sizeof *server);
	etcd_server_start_with(server, members);
}

/* kill -9. */
static inline void etcd_server_kill(struct etcd_server *server, int number)
{
	etcd_server_end(server, number, SIGKILL);
}

/* SIGSTOP and SIGCONT: it is there and does not answer. */
static inline void etcd_server_freeze(struct etcd_server *server, int number)
{
	assert_int_equal(kill(server->members[number].pid, SIGSTOP), 0);
}

static inline void etcd_server_thaw(struct etcd_server *server, int number)
{
	assert_int_equal(kill(server->members[number].pid, SIGCONT), 0);
}

/* After a kill: with its data. Without a quorum it does not become ready: then start it with etcd_server_spawn. */
static inline void etcd_server_restart(struct etcd_server *server, int number)
{
	etcd_server_spawn(server, number);
	etcd_server_await(server, number);
}

/* Ends all members and removes the folder; once started, in every tear-down. */
static inline void etcd_server_stop(struct etcd_server *server)
{
	for (int i = 0; i < server->count; i++)
		etcd_server_end(server, i, SIGKILL);
	if (server->janitor_pid != 0) {
		(void)close(server->janitor);
		while (waitpid(server->janitor_pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	memset(server, 0, sizeof *server);
}

#endif
