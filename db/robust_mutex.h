/*
 * robust_mutex: a mutex in memory that processes share, which comes back when its holder is killed.
 */
#ifndef PYGMY_DB_ROBUST_MUTEX_H
#define PYGMY_DB_ROBUST_MUTEX_H

#include <pthread.h>
#include <stdbool.h>

bool robust_mutex_init(pthread_mutex_t *mutex);

/* Waits at most timeout_ms. What the mutex guards may be half done when its last holder died: whoever uses it must bear that. */
bool robust_mutex_lock(pthread_mutex_t *mutex, int timeout_ms);
/* On the thread that locked it. */
void robust_mutex_unlock(pthread_mutex_t *mutex);

#endif
