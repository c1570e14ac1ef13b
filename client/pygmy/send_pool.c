/*
 * send_pool: two lists under one mutex, waiting jobs and done jobs.
 */
#include "client/pygmy/send_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct send_pool {
	pthread_mutex_t mutex;
	pthread_cond_t job_waits, job_done;
	struct send_job *waiting, *done;    /* stacks: at most as many as threads */
	unsigned in_flight;                 /* only the submitting thread touches it */
	bool closing;
	unsigned thread_count;
	pthread_t threads[SEND_POOL_THREADS_MAX];
};

/* The next job, or NULL when the pool closes. */
static struct send_job *next_job(struct send_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	while (pool->waiting == NULL && !pool->closing)
		pthread_cond_wait(&pool->job_waits, &pool->mutex);
	struct send_job *job = pool->waiting;
	if (job != NULL)
		pool->waiting = job->next;
	pthread_mutex_unlock(&pool->mutex);
	return job;
}

static void *sender(void *context)
{
	struct send_pool *pool = context;
	struct http *http = http_create();
	for (struct send_job *job = next_job(pool); job != NULL; job = next_job(pool)) {
		if (http != NULL) {
			job->end = retry_send(http, job->urls, &job->request, &job->policy, &job->answer);
		} else {
			job->end = RETRY_NOT_DONE;
			job->answer.result = HTTP_IMPOSSIBLE;
		}
		pthread_mutex_lock(&pool->mutex);
		job->next = pool->done;
		pool->done = job;
		pthread_cond_signal(&pool->job_done);
		pthread_mutex_unlock(&pool->mutex);
	}
	http_destroy(http);
	return NULL;
}

/* The main thread is the one that takes signals, so that its waits end. */
static void start_threads(struct send_pool *pool, unsigned threads)
{
	sigset_t all, before;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	while (pool->thread_count < threads && pthread_create(&pool->threads[pool->thread_count], NULL, sender, pool) == 0)
		pool->thread_count++;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct send_pool *send_pool_create(unsigned threads)
{
	struct send_pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return NULL;
	(void)pthread_mutex_init(&pool->mutex, NULL);
	(void)pthread_cond_init(&pool->job_waits, NULL);
	(void)pthread_cond_init(&pool->job_done, NULL);
	start_threads(pool, threads);
	if (pool->thread_count < threads) {
		send_pool_destroy(pool);
		return NULL;
	}
	return pool;
}

void send_pool_destroy(struct send_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->mutex);
	pool->closing = true;
	pthread_cond_broadcast(&pool->job_waits);
	pthread_mutex_unlock(&pool->mutex);
	for (unsigned i = 0; i < pool->thread_count; i++)
		(void)pthread_join(pool->threads[i], NULL);
	(void)pthread_cond_destroy(&pool->job_done);
	(void)pthread_cond_destroy(&pool->job_waits);
	(void)pthread_mutex_destroy(&pool->mutex);
	free(pool);
}

unsigned send_pool_in_flight(const struct send_pool *pool)
{
	return pool->in_flight;
}

void send_pool_submit(struct send_pool *pool, struct send_job *job)
{
	pthread_mutex_lock(&pool->mutex);
	job->next = pool->waiting;
	pool->waiting = job;
	pool->in_flight++;
	pthread_cond_signal(&pool->job_waits);
	pthread_mutex_unlock(&pool->mutex);
}

struct send_job *send_pool_take(struct send_pool *pool)
{
	if (pool->in_flight == 0)
		return NULL;
	pthread_mutex_lock(&pool->mutex);
	while (pool->done == NULL)
		pthread_cond_wait(&pool->job_done, &pool->mutex);
	struct send_job *job = pool->done;
	pool->done = job->next;
	pool->in_flight--;
	pthread_mutex_unlock(&pool->mutex);
	return job;
}
