/* connections: see connections.h. */
#include "fcgi/common/connections.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include "db/diagnostics.h"
#include "db/limits.h"

#define ACCEPT_BACKOFF_MS 100
#define ACCEPT_BATCH 64

/*
 * Whoever arms a descriptor hands all that it did with it over to the thread that epoll_wait gives it to. ThreadSanitizer believes
 * that of EPOLL_CTL_ADD only, so for its sake both ends say so themselves.
 */
static bool watch(struct connections *connections, int operation, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
#ifdef __SANITIZE_THREAD__
	__tsan_release(connections);
	return syscall(SYS_epoll_ctl, connections->epoll_fd, operation, fd, &event) == 0;
#else
	return epoll_ctl(connections->epoll_fd, operation, fd, &event) == 0;
#endif
}

static int wait_for_one(struct connections *connections, struct epoll_event *event)
{
	int count = epoll_wait(connections->epoll_fd, event, 1, -1);
#ifdef __SANITIZE_THREAD__
	__tsan_acquire(connections);
#endif
	return count;
}

bool connections_init(struct connections *connections, int listen_fd, int max, int seats)
{
	memset(connections, 0, sizeof *connections);
	pthread_mutex_init(&connections->seating, NULL);
	pthread_cond_init(&connections->seat_is_free, NULL);
	connections->free_seats = seats;
	connections->listen_fd = listen_fd;
	connections->max = max;
	connections->stop_fd = -1;
	/* Several threads may be told of one new connection: who comes too late must not wait for the next one. */
	int flags = fcntl(listen_fd, F_GETFL);
	connections->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) != 0 || connections->epoll_fd < 0)
		goto fail;
	connections->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (connections->stop_fd < 0 || !watch(connections, EPOLL_CTL_ADD, connections->stop_fd, EPOLLIN)
			|| !watch(connections, EPOLL_CTL_ADD, listen_fd, EPOLLIN | EPOLLONESHOT))
		goto fail;
	return true;
fail:
	connections_close(connections);
	return false;
}

void connections_close(struct connections *connections)
{
	int saved = errno;
	if (connections->epoll_fd >= 0)
		close(connections->epoll_fd);
	if (connections->stop_fd >= 0)
		close(connections->stop_fd);
	pthread_cond_destroy(&connections->seat_is_free);
	pthread_mutex_destroy(&connections->seating);
	errno = saved;
}

static void listen_again(struct connections *connections)
{
	if (!watch(connections, EPOLL_CTL_MOD, connections->listen_fd, EPOLLIN | EPOLLONESHOT))
		diagnose_error("connections: can't watch the listening socket: %s", strerror(errno));
}

static void close_connection(struct connections *connections, int fd)
{
	close(fd);
	connections_forget(connections);
}

static void adopt(struct connections *connections, int fd)
{
	struct timeval limit = { .tv_sec = CONNECTION_IO_MS / 1000, .tv_usec = CONNECTION_IO_MS % 1000 * 1000 };
	atomic_fetch_add(&connections->open, 1);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0
			&& setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0
			&& watch(connections, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT))
		return;
	diagnose_error("connections: can't take a connection: %s", strerror(errno));
	close_connection(connections, fd);
}

/*
 * All that wait, or nearly: one at a time would let the requests of connections that are kept open overtake those that wait here, and a worker
 * with much to do would find the oldest last.
 */
static void accept_waiting(struct connections *connections)
{
	int fd = -1;
	for (int i = 0; i < ACCEPT_BATCH && atomic_load(&connections->open) < connections->max; i++) {
		fd = accept4(connections->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			break;
		adopt(connections, fd);
	}
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
		diagnose_error("connections: can't accept: %s", strerror(errno));
		struct pollfd stop = { .fd = connections->stop_fd, .events = POLLIN };
		poll(&stop, 1, ACCEPT_BACKOFF_MS);
	}
	if (atomic_load(&connections->open) < connections->max) {
		listen_again(connections);
		return;
	}
	/* Whoever closes a connection from here on sees `paused`; one that was closed just before is seen here. */
	atomic_store(&connections->paused, true);
	if (atomic_load(&connections->open) < connections->max && atomic_exchange(&connections->paused, false))
		listen_again(connections);
}

/* Returns whether it got one; not when all stop. */
static bool take_seat(struct connections *connections)
{
	pthread_mutex_lock(&connections->seating);
	connections->resting++;
	while (connections->free_seats == 0 && !connections->stopped)
		pthread_cond_wait(&connections->seat_is_free, &connections->seating);
	connections->resting--;
	bool got = !connections->stopped;
	connections->free_seats -= got ? 1 : 0;
	pthread_mutex_unlock(&connections->seating);
	return got;
}

void connections_leave_seat(struct connections *connections, bool *seated)
{
	if (!*seated)
		return;
	*seated = false;
	pthread_mutex_lock(&connections->seating);
	connections->free_seats++;
	bool somebody_rests = connections->resting > 0;
	pthread_mutex_unlock(&connections->seating);
	if (somebody_rests)
		pthread_cond_signal(&connections->seat_is_free);
}

int connections_take(struct connections *connections, bool *seated)
{
	if (!*seated)
		*seated = take_seat(connections);
	while (*seated) {
		struct epoll_event event;
		int count = wait_for_one(connections, &event);
		if (count < 0 && errno != EINTR) {
			diagnose_error("connections: epoll_wait failed: %s", strerror(errno));
			return -1;
		}
		if (count <= 0)
			continue;
		if (event.data.fd == connections->stop_fd)
			return -1;
		if (event.data.fd != connections->listen_fd)
			return event.data.fd;
		accept_waiting(connections);
	}
	return -1;
}

void connections_give_back(struct connections *connections, int fd)
{
	if (watch(connections, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT))
		return;
	diagnose_error("connections: can't keep a connection: %s", strerror(errno));
	close_connection(connections, fd);
}

void connections_forget(struct connections *connections)
{
	atomic_fetch_sub(&connections->open, 1);
	if (atomic_exchange(&connections->paused, false))
		listen_again(connections);
}

void connections_stop(struct connections *connections)
{
	const uint64_t one = 1;
	if (write(connections->stop_fd, &one, sizeof one) != (ssize_t)sizeof one)
		diagnose_error("connections: can't wake the threads: %s", strerror(errno));
	pthread_mutex_lock(&connections->seating);
	connections->stopped = true;
	pthread_mutex_unlock(&connections->seating);
	pthread_cond_broadcast(&connections->seat_is_free);
}
