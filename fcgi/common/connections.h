/*
 * connections: which FastCGI connection has a request, for threads that have none.
 *
 * libfcgi's own loop (FCGX_Accept_r alone) binds a thread to a connection for as long as nginx keeps that alive: threads would have to
 * outnumber nginx's idle connections, and a thread that waits in read() or accept() can't be asked to stop. So the waiting is done
 * here, for all of them at once: the listening socket, the idle connections and the order to stop are in one epoll set, and each thread
 * takes the next connection that has something to read, serves one request on it with libfcgi, and gives it back. The kernel
 * wakes the thread that went to sleep last, so a quiet worker works with few threads, whose caches and stacks are warm.
 *
 * To wake a thread costs as much as to answer a short request. So there are seats: only who has one waits for connections, and
 * keeps it while it serves what is done without waiting for anybody; the others rest. With few seats a busy worker goes from request to
 * request without a sleep between them. Who may have to wait leaves its seat to another thread before (connections_leave_seat).
 *
 * Every connection is armed once (EPOLLONESHOT): it belongs to one thread from connections_take to connections_give_back or
 * connections_forget. At CONNECTIONS_MAX the rest waits in the listen queue. Reads and writes on a connection end after
 * CONNECTION_IO_MS. All functions may be called by any thread.
 */
#ifndef PYGMY_FCGI_CONNECTIONS_H
#define PYGMY_FCGI_CONNECTIONS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct connections {
	int epoll_fd;
	int listen_fd;                /* not owned: it is spawn-fcgi's, and the next process will need it */
	int stop_fd;
	int max;
	atomic_int open;
	atomic_bool paused;           /* the listening socket is not armed: too many are open */
	pthread_mutex_t seating;
	pthread_cond_t seat_is_free;
	int free_seats, resting;
	bool stopped;
};

/* False with errno set. max: of open connections. seats: for as many threads, from 1. */
bool connections_init(struct connections *connections, int listen_fd, int max, int seats);
void connections_close(struct connections *connections);

/*
 * Waits for a connection with something to read, accepting new ones meanwhile. -1: connections_stop was called. *seated is the thread's own, false
 * at first: whether it has a seat. It waits for one if not.
 */
int connections_take(struct connections *connections, bool *seated);

/* Before the calling thread does what may have to wait. Without a seat this does nothing. */
void connections_leave_seat(struct connections *connections, bool *seated);

/* The connection stays open and waits for its next request. */
void connections_give_back(struct connections *connections, int fd);

/* The connection was closed (by libfcgi). */
void connections_forget(struct connections *connections);

/* From now on connections_take returns -1, in all threads. */
void connections_stop(struct connections *connections);

#endif
