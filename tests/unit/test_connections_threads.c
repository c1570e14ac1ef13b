/* test_connections_threads: many connections, few threads, and a stop that nobody sleeps through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "db/diagnostics.h"
#include "db/monotonic.h"
#include "fcgi/common/connections.h"
#include "tests/unit/temporary_folder.h"

#define THREADS 3
#define CLIENTS 20
#define ROUNDS 50

static struct temporary_folder folder;
static struct connections connections;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int listen_fd;

static void open_connections_with_seats(int max, int seats)
{
	temporary_folder_make(&folder);
	snprintf(address.sun_path, sizeof address.sun_path, "%.80s/s", folder.path);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listen_fd, 64), 0);
	assert_true(connections_init(&connections, listen_fd, max, seats));
}

static void open_connections(int max)
{
	open_connections_with_seats(max, THREADS);
}

static void close_connections(void)
{
	connections_close(&connections);
	close(listen_fd);
	temporary_folder_remove(&folder);
}

static int connect_client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* Answers each byte with the next one; a connection at its end is closed. */
static void *echo(void *unused)
{
	(void)unused;
	bool seated = false;
	int fd;
	while ((fd = connections_take(&connections, &seated)) >= 0) {
		unsigned char byte;
		if (read(fd, &byte, 1) == 1 && byte != 255) {
			byte++;
			if (write(fd, &byte, 1) == 1) {
				connections_give_back(&connections, fd);
				continue;
			}
		}
		close(fd);
		connections_forget(&connections);
	}
	return NULL;
}

static void exchange_byte(int fd, unsigned char byte)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	assert_int_equal(write(fd, &byte, 1), 1);
	assert_int_equal(poll(&wait, 1, 5000), 1);
	assert_int_equal(read(fd, &wait.revents, 1), 1);
	assert_int_equal(*(unsigned char *)&wait.revents, byte + 1);
}

static void start(pthread_t threads[THREADS])
{
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, echo, NULL), 0);
}

/* Joins, which would hang if a thread slept on. */
static void stop(const pthread_t threads[THREADS])
{
	connections_stop(&connections);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void serves_more_connections_than_threads(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	int clients[CLIENTS];
	open_connections(64);
	start(threads);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_client();
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < CLIENTS; i++)
			exchange_byte(clients[i], (unsigned char)(round + i));
	stop(threads);
	assert_int_equal(atomic_load(&connections.open), CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	close_connections();
}

static void forgets_connections_that_end(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	open_connections(64);
	start(threads);
	for (int round = 0; round < ROUNDS; round++) {
		int fd = connect_client();
		for (int i = 0; i < 5; i++)
			exchange_byte(fd, (unsigned char)i);
		close(fd);
	}
	/* The last ones may still be on their way. */
	for (int64_t deadline_ms = monotonic_ms() + 5000; atomic_load(&connections.open) > 0 && monotonic_ms() < deadline_ms;)
		poll(NULL, 0, 1);
	assert_int_equal(atomic_load(&connections.open), 0);
	stop(threads);
	close_connections();
}

static void waits_with_new_ones_when_full(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	open_connections(2);
	start(threads);
	int first = connect_client(), second = connect_client(), third = connect_client();
	exchange_byte(first, 1);
	exchange_byte(second, 1);
	/* The third is in the listen queue: nobody answers it, until one of the others goes. */
	unsigned char byte = 7;
	struct pollfd wait = { .fd = third, .events = POLLIN };
	assert_int_equal(write(third, &byte, 1), 1);
	assert_int_equal(poll(&wait, 1, 100), 0);
	assert_int_equal(atomic_load(&connections.open), 2);
	close(first);
	assert_int_equal(poll(&wait, 1, 5000), 1);
	assert_int_equal(read(third, &byte, 1), 1);
	assert_int_equal(byte, 8);
	stop(threads);
	close(second);
	close(third);
	close_connections();
}

static void an_idle_client_delays_nobody(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	int idle[CLIENTS];
	open_connections(64);
	start(threads);
	for (int i = 0; i < CLIENTS; i++)
		idle[i] = connect_client();
	int busy = connect_client();
	for (int round = 0; round < ROUNDS; round++)
		exchange_byte(busy, (unsigned char)round);
	stop(threads);
	for (int i = 0; i < CLIENTS; i++)
		close(idle[i]);
	close(busy);
	close_connections();
}

static atomic_int waiting;
static pthread_mutex_t slow = PTHREAD_MUTEX_INITIALIZER;

/* Answers 100 only when it gets the mutex, for which it leaves its seat. */
static void *echo_slowly(void *unused)
{
	(void)unused;
	bool seated = false;
	int fd;
	while ((fd = connections_take(&connections, &seated)) >= 0) {
		unsigned char byte;
		assert_int_equal(read(fd, &byte, 1), 1);
		if (byte == 100) {
			connections_leave_seat(&connections, &seated);
			assert_false(seated);
			atomic_fetch_add(&waiting, 1);
			pthread_mutex_lock(&slow);
			pthread_mutex_unlock(&slow);
		}
		byte++;
		assert_int_equal(write(fd, &byte, 1), 1);
		connections_give_back(&connections, fd);
	}
	connections_leave_seat(&connections, &seated);
	return NULL;
}

/* With one seat: who waits for something else keeps nobody from being served, and comes back to a seat later. */
static void who_waits_leaves_its_seat(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	open_connections_with_seats(64, 1);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, echo_slowly, NULL), 0);
	int clients[THREADS];
	for (int i = 0; i < THREADS; i++)
		clients[i] = connect_client();
	for (int round = 0; round < 20; round++) {
		unsigned char byte = 100;
		pthread_mutex_lock(&slow);
		atomic_store(&waiting, 0);
		for (int i = 0; i < THREADS - 1; i++)
			assert_int_equal(write(clients[i], &byte, 1), 1);
		for (int64_t deadline_ms = monotonic_ms() + 5000; atomic_load(&waiting) < THREADS - 1 && monotonic_ms() < deadline_ms;)
			poll(NULL, 0, 1);
		assert_int_equal(atomic_load(&waiting), THREADS - 1);
		exchange_byte(clients[THREADS - 1], (unsigned char)round);
		pthread_mutex_unlock(&slow);
		for (int i = 0; i < THREADS - 1; i++)
			assert_int_equal(read(clients[i], &byte, 1), 1);
	}
	stop(threads);
	assert_int_equal(connections.free_seats, 1);
	for (int i = 0; i < THREADS; i++)
		close(clients[i]);
	close_connections();
}

static void refuses_what_does_not_listen(void **state)
{
	(void)state;
	assert_false(connections_init(&connections, -1, 2, 1));
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_false(connections_init(&connections, fd, 2, 1));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_more_connections_than_threads), cmocka_unit_test(forgets_connections_that_end),
		cmocka_unit_test(waits_with_new_ones_when_full),
		cmocka_unit_test(an_idle_client_delays_nobody), cmocka_unit_test(who_waits_leaves_its_seat),
		cmocka_unit_test(refuses_what_does_not_listen),
	};
	diagnostics_init("test", (enum diagnostics_level)(DIAGNOSTICS_ERROR + 1));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
