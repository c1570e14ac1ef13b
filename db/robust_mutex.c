/* robust_mutex: see robust_mutex.h. */
#include "db/robust_mutex.h"

#include <errno.h>
#include <time.h>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include "db/monotonic.h"

bool robust_mutex_init(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attributes;
	if (pthread_mutexattr_init(&attributes) != 0)
		return false;
	bool good = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
		    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 && pthread_mutex_init(mutex, &attributes) == 0;
	pthread_mutexattr_destroy(&attributes);
	return good;
}

/* pthread_mutex_clocklock, of which ThreadSanitizer (gcc 12) has to be told. */
static int lock_until(pthread_mutex_t *mutex, const struct timespec *until)
{
#ifdef __SANITIZE_THREAD__
	__tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
#endif
	int rc = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, until);
#ifdef __SANITIZE_THREAD__
	bool locked = rc == 0 || rc == EOWNERDEAD;
	__tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
#endif
	return rc;
}

bool robust_mutex_lock(pthread_mutex_t *mutex, int timeout_ms)
{
	int64_t until_ms = monotonic_ms() + timeout_ms;
	struct timespec until = { until_ms / 1000, (long)(until_ms % 1000) * 1000000 };
	int rc = lock_until(mutex, &until);
	if (rc == EOWNERDEAD)
		rc = pthread_mutex_consistent(mutex);
	return rc == 0;
}

void robust_mutex_unlock(pthread_mutex_t *mutex)
{
	pthread_mutex_unlock(mutex);
}
