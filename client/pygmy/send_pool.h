/*
 * send_pool: a few requests in flight at once, each retried by retry.c.
 *
 * The caller submits jobs that it owns and takes them back when they are done, in any order. No more jobs are in the
 * pool than it has threads, so nothing queues up. One thread submits and takes; each of the pool's threads has its own connection.
 */
#ifndef PYGMY_CLIENT_SEND_POOL_H
#define PYGMY_CLIENT_SEND_POOL_H

#include "client/pygmy/retry.h"

#define SEND_POOL_THREADS_MAX 16

struct send_job {
	struct http_request request;                /* set by the caller, unchanged until taken */
	const struct settings_urls *urls;
	struct retry_policy policy;
	struct http_answer answer;                  /* http_answer_init before the first submit */
	enum retry_end end;
	struct send_job *next;                      /* the pool's */
};

struct send_pool;

/* 1 to SEND_POOL_THREADS_MAX threads. NULL without memory or threads. */
struct send_pool *send_pool_create(unsigned threads);

/* Waits for jobs in flight (bounded by their deadlines); they are not taken. */
void send_pool_destroy(struct send_pool *pool);

/* Jobs submitted and not yet taken. */
unsigned send_pool_in_flight(const struct send_pool *pool);

/* There must be fewer in flight than threads. Does not block. */
void send_pool_submit(struct send_pool *pool, struct send_job *job);

/* Blocks until one is done (bounded by its deadline) and takes it; NULL when none is in flight. */
struct send_job *send_pool_take(struct send_pool *pool);

#endif
