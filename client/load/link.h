/*
 * load_link: one connection to a frontend and the request that is under way on it.
 *
 * libcurl makes the connection (names, IPv6, TLS), without blocking; from then on the bytes go through here, since there is little
 * to do and much of it. All links share a curl multi handle and an epoll, which belong to load_links.
 *
 * Single-threaded. Nothing blocks but load_links_wait.
 */
#ifndef PYGMY_LOAD_LINK_H
#define PYGMY_LOAD_LINK_H

#include <curl/curl.h>

#include "client/load/plan.h"
#include "client/load/response.h"

enum load_link_state {
	LOAD_LINK_DOWN,               /* to be connected at retry_us */
	LOAD_LINK_CONNECTING,
	LOAD_LINK_FREE,
	LOAD_LINK_BUSY
};

struct load_link {
	CURL *easy;
	int fd;                       /* -1: none */
	bool tls;
	bool waits_to_write;
	enum load_link_state state;
	int64_t retry_us;
	const char *url;              /* of the server; borrowed */
	struct load_target target;    /* of the same server, set by the caller */
	/* The request. */
	struct load_job job;
	int64_t intended_us, sent_us;
	size_t request_len, written;
	char request[LOAD_REQUEST_MAX];
	struct response response;
};

struct load_links {
	struct load_link *links;      /* owned */
	size_t count, down, connecting;
	int epoll, timer, signals;    /* owned */
	CURLM *multi;
	const char *ca_file;          /* borrowed; NULL: the system's */
	int64_t connect_timeout_us;
	int64_t curl_due_us;          /* when libcurl wants to be called; -1: not */
	int64_t woken_us;             /* for which the timer is set; -1: not */
};

enum load_event { LOAD_EVENT_NONE, LOAD_EVENT_UP, LOAD_EVENT_DOWN, LOAD_EVENT_ANSWERED, LOAD_EVENT_BROKEN, LOAD_EVENT_SIGNAL };

/* What happened on a link (NULL with SIGNAL). Called by load_links_wait; may send on the link, or close it. */
typedef void (*load_event_take)(void *context, enum load_event event, struct load_link *link);

/* Monotonic microseconds. */
int64_t load_now_us(void);

/* count links, to one URL after the other; blocks SIGINT and SIGTERM, which become events. False with a sentence in why. */
bool load_links_open(struct load_links *links, size_t count, const char *const *urls, size_t url_count, const char *ca_file,
	int64_t connect_timeout_us, char *why, size_t why_size);
void load_links_close(struct load_links *links);

/* Waits for something to happen until until_us, and hands it over. Connects who is down and due. */
void load_links_wait(struct load_links *links, int64_t until_us, load_event_take take, void *context);

/* Sends link->request (request_len bytes) on a link that is free. False when the connection is broken: close it. */
bool load_link_send(struct load_links *links, struct load_link *link);

/* Gives the connection up; it is made again from retry_us on. */
void load_link_close(struct load_links *links, struct load_link *link, int64_t retry_us);

#endif
