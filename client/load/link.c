/*
 * load_link: see link.h.
 *
 * An epoll event carries the number of its link, or one of the marks below; a socket that libcurl still connects carries CURL_MARK
 * and its descriptor.
 */
#include "client/load/link.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CURL_MARK (UINT64_C(1) << 32)
#define TIMER_MARK (UINT64_C(2) << 32)
#define SIGNAL_MARK (UINT64_C(3) << 32)
#define EVENTS_MAX 256
#define READ_BYTES 16384

int64_t load_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- epoll ------------------------------------------------------------------------------------ */

static void watch(const struct load_links *links, int fd, uint32_t events, uint64_t mark)
{
	struct epoll_event event = { .events = events, .data.u64 = mark };
	if (epoll_ctl(links->epoll, EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)
		epoll_ctl(links->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void unwatch(const struct load_links *links, int fd)
{
	epoll_ctl(links->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static int curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *unused)
{
	const struct load_links *links = context;
	(void)easy;
	(void)unused;
	if (what == CURL_POLL_REMOVE)
		unwatch(links, fd);
	else
		watch(links, fd, (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U), CURL_MARK | (uint32_t)fd);
	return 0;
}

static int curl_wants_time(CURLM *multi, long timeout_ms, void *context)
{
	struct load_links *links = context;
	(void)multi;
	links->curl_due_us = timeout_ms < 0 ? -1 : load_now_us() + timeout_ms * 1000;
	return 0;
}

/* ---- open and close --------------------------------------------------------------------------- */

static bool take_signals(struct load_links *links)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	/* A shell's background job starts with it ignored; ignored signals do not wait to be read. */
	signal(SIGINT, SIG_DFL);
	links->signals = sigprocmask(SIG_BLOCK, &signals, NULL) == 0 ? signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
	if (links->signals >= 0)
		watch(links, links->signals, EPOLLIN, SIGNAL_MARK);
	return links->signals >= 0;
}

static void raise_file_limit(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

bool load_links_open(struct load_links *links, size_t count, const char *const *urls, size_t url_count, const char *ca_file,
	int64_t connect_timeout_us, char *why, size_t why_size)
{
	*links = (struct load_links){ .count = count, .down = count, .ca_file = ca_file, .connect_timeout_us = connect_timeout_us,
		.curl_due_us = -1, .woken_us = -1, .signals = -1 };
	raise_file_limit();
	links->links = calloc(count, sizeof *links->links);
	links->multi = curl_multi_init();
	links->epoll = epoll_create1(EPOLL_CLOEXEC);
	links->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	snprintf(why, why_size, "cannot start: %s", strerror(errno));
	if (links->links == NULL || links->multi == NULL || links->epoll < 0 || links->timer < 0 || !take_signals(links))
		return false;
	watch(links, links->timer, EPOLLIN, TIMER_MARK);
	curl_multi_setopt(links->multi, CURLMOPT_SOCKETFUNCTION, curl_wants_socket);
	curl_multi_setopt(links->multi, CURLMOPT_SOCKETDATA, links);
	curl_multi_setopt(links->multi, CURLMOPT_TIMERFUNCTION, curl_wants_time);
	curl_multi_setopt(links->multi, CURLMOPT_TIMERDATA, links);
	curl_multi_setopt(links->multi, CURLMOPT_MAXCONNECTS, (long)count);
	for (size_t i = 0; i < count; i++) {
		links->links[i].fd = -1;
		links->links[i].url = urls[i % url_count];
	}
	return true;
}

static void drop(struct load_links *links, struct load_link *link)
{
	if (link->fd >= 0)
		unwatch(links, link->fd);
	link->fd = -1;
	if (link->easy == NULL)
		return;
	curl_multi_remove_handle(links->multi, link->easy);
	curl_easy_cleanup(link->easy);
	link->easy = NULL;
}

void load_link_close(struct load_links *links, struct load_link *link, int64_t retry_us)
{
	drop(links, link);
	links->connecting -= link->state == LOAD_LINK_CONNECTING ? 1 : 0;
	links->down += link->state == LOAD_LINK_DOWN ? 0 : 1;
	link->state = LOAD_LINK_DOWN;
	link->retry_us = retry_us;
}

void load_links_close(struct load_links *links)
{
	for (size_t i = 0; i < links->count && links->links != NULL; i++)
		drop(links, &links->links[i]);
	curl_multi_cleanup(links->multi);
	free(links->links);
	for (int i = 0; i < 3; i++) {
		int fd = i == 0 ? links->epoll : i == 1 ? links->timer : links->signals;
		if (fd >= 0)
			close(fd);
	}
}

/* ---- connecting ------------------------------------------------------------------------------- */

static void begin_connect(struct load_links *links, struct load_link *link)
{
	link->easy = curl_easy_init();
	if (link->easy == NULL) {
		link->retry_us = load_now_us() + links->connect_timeout_us;
		return;
	}
	curl_easy_setopt(link->easy, CURLOPT_URL, link->url);
	curl_easy_setopt(link->easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(link->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(links->connect_timeout_us / 1000));
	curl_easy_setopt(link->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(link->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(link->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(link->easy, CURLOPT_PRIVATE, link);
	if (links->ca_file != NULL)
		curl_easy_setopt(link->easy, CURLOPT_CAINFO, links->ca_file);
	link->state = LOAD_LINK_CONNECTING;
	links->down--;
	links->connecting++;
	curl_multi_add_handle(links->multi, link->easy);
}

static void begin_due_connects(struct load_links *links, int64_t now_us)
{
	for (size_t i = 0; i < links->count && links->down > 0; i++)
		if (links->links[i].state == LOAD_LINK_DOWN && links->links[i].retry_us <= now_us)
			begin_connect(links, &links->links[i]);
}

static int64_t next_connect_us(const struct load_links *links, int64_t until_us)
{
	for (size_t i = 0; i < links->count && links->down > 0; i++)
		if (links->links[i].state == LOAD_LINK_DOWN && links->links[i].retry_us < until_us)
			until_us = links->links[i].retry_us;
	return until_us;
}

static void end_connect(struct load_links *links, struct load_link *link, CURLcode result, load_event_take take, void *context)
{
	curl_socket_t fd = -1;
	if (result == CURLE_OK)
		curl_easy_getinfo(link->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd < 0) {
		take(context, LOAD_EVENT_DOWN, link);
		return;
	}
	link->fd = fd;
	link->tls = strncmp(link->url, "https:", 6) == 0;
	link->state = LOAD_LINK_FREE;
	link->waits_to_write = false;
	links->connecting--;
	watch(links, fd, EPOLLIN, (uint64_t)(link - links->links));
	take(context, LOAD_EVENT_UP, link);
}

/* Lets libcurl do what it has to, for a socket or its timer. */
static void run_curl(struct load_links *links, curl_socket_t fd, int events, load_event_take take, void *context)
{
	int running, left;
	CURLMsg *message;
	curl_multi_socket_action(links->multi, fd, events, &running);
	while ((message = curl_multi_info_read(links->multi, &left)) != NULL) {
		struct load_link *link;
		CURLcode result = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&link);
		end_connect(links, link, result, take, context);
	}
}

/* ---- bytes ------------------------------------------------------------------------------------ */

/* Bytes sent or received; 0: not now; -1: the connection is broken or at its end. */
static ssize_t transfer_tls(struct load_link *link, char *bytes, size_t len, bool out)
{
	size_t done = 0;
	CURLcode result = out ? curl_easy_send(link->easy, bytes, len, &done) : curl_easy_recv(link->easy, bytes, len, &done);
	if (result == CURLE_AGAIN)
		return 0;
	return result == CURLE_OK && done > 0 ? (ssize_t)done : -1;
}

static ssize_t transfer(struct load_link *link, char *bytes, size_t len, bool out)
{
	if (link->tls)
		return transfer_tls(link, bytes, len, out);
	ssize_t done = out ? send(link->fd, bytes, len, MSG_NOSIGNAL) : recv(link->fd, bytes, len, 0);
	if (done < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return done > 0 ? done : -1;
}

static bool write_on(struct load_links *links, struct load_link *link)
{
	while (link->written < link->request_len) {
		ssize_t done = transfer(link, link->request + link->written, link->request_len - link->written, true);
		if (done < 0)
			return false;
		link->written += (size_t)done;
		if (done == 0)
			break;
	}
	bool waits = link->written < link->request_len;
	if (waits != link->waits_to_write)
		watch(links, link->fd, waits ? EPOLLIN | EPOLLOUT : EPOLLIN, (uint64_t)(link - links->links));
	link->waits_to_write = waits;
	return true;
}

bool load_link_send(struct load_links *links, struct load_link *link)
{
	link->state = LOAD_LINK_BUSY;
	link->written = 0;
	response_begin(&link->response);
	return write_on(links, link);
}

/* Reads what is there. BROKEN also for bytes or an end that come while nobody asked. */
static enum load_event read_on(struct load_link *link)
{
	char bytes[READ_BYTES];
	for (;;) {
		ssize_t got = transfer(link, bytes, sizeof bytes, false);
		if (got == 0)
			return LOAD_EVENT_NONE;
		if (link->state != LOAD_LINK_BUSY)
			return LOAD_EVENT_BROKEN;
		if (got < 0)
			return response_is_ended_by_close(&link->response) ? LOAD_EVENT_ANSWERED : LOAD_EVENT_BROKEN;
		enum response_outcome outcome = response_take(&link->response, bytes, (size_t)got);
		if (outcome != RESPONSE_MORE)
			return outcome == RESPONSE_DONE ? LOAD_EVENT_ANSWERED : LOAD_EVENT_BROKEN;
		/* A read that did not fill the buffer found all there was; TLS may hold more back. */
		if (!link->tls && (size_t)got < sizeof bytes)
			return LOAD_EVENT_NONE;
	}
}

static void serve_link(struct load_links *links, struct load_link *link, uint32_t events, load_event_take take, void *context)
{
	if (link->fd < 0)
		return;
	if ((events & EPOLLOUT) != 0 && !write_on(links, link)) {
		take(context, LOAD_EVENT_BROKEN, link);
		return;
	}
	if ((events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	enum load_event event = read_on(link);
	if (event != LOAD_EVENT_NONE)
		take(context, event, link);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

static void set_timer(struct load_links *links, int64_t until_us)
{
	if (links->curl_due_us >= 0 && links->curl_due_us < until_us)
		until_us = links->curl_due_us;
	if (links->woken_us == until_us)
		return;
	int64_t at_us = until_us > 1 ? until_us : 1;
	struct itimerspec when = { .it_value = { at_us / 1000000, at_us % 1000000 * 1000 } };
	timerfd_settime(links->timer, TFD_TIMER_ABSTIME, &when, NULL);
	links->woken_us = until_us;
}

static void serve_event(struct load_links *links, const struct epoll_event *event, load_event_take take, void *context)
{
	uint64_t mark = event->data.u64;
	uint64_t count;
	if (mark == TIMER_MARK) {
		if (read(links->timer, &count, sizeof count) == (ssize_t)sizeof count)
			links->woken_us = -1;
	} else if (mark == SIGNAL_MARK) {
		struct signalfd_siginfo info;
		if (read(links->signals, &info, sizeof info) == (ssize_t)sizeof info)
			take(context, LOAD_EVENT_SIGNAL, NULL);
	} else if (mark >= CURL_MARK) {
		int what = (event->events & EPOLLIN ? CURL_CSELECT_IN : 0) | (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0)
			   | (event->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
		run_curl(links, (curl_socket_t)(mark & UINT32_MAX), what, take, context);
	} else {
		serve_link(links, &links->links[mark], event->events, take, context);
	}
}

void load_links_wait(struct load_links *links, int64_t until_us, load_event_take take, void *context)
{
	struct epoll_event events[EVENTS_MAX];
	begin_due_connects(links, load_now_us());
	until_us = next_connect_us(links, until_us);
	set_timer(links, until_us);
	int count = epoll_wait(links->epoll, events, EVENTS_MAX, until_us <= load_now_us() ? 0 : -1);
	for (int i = 0; i < count; i++)
		serve_event(links, &events[i], take, context);
	if (links->curl_due_us >= 0 && links->curl_due_us <= load_now_us()) {
		links->curl_due_us = -1;
		run_curl(links, CURL_SOCKET_TIMEOUT, 0, take, context);
	}
}
