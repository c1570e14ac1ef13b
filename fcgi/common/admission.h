/*
 * admission: which requests an overloaded worker refuses, so that it has time for the others.
 *
 * A worker's queue is nginx's connections that wait for a thread. Its length tells little: a burst makes it long for a moment, and that is
 * what a queue is for. What tells an overload is a queue that stands: for a while nobody in it waited for a short time only. That is
 * CoDel's rule (K. Nichols, V. Jacobson: Controlling Queue Delay, ACM Queue 10(5), 2012), as it is used for requests (B. Maurer: Fail at
 * Scale, ACM Queue 13(8), 2015). While a queue stands, a request that has waited too long is answered with 503 at once, which costs a
 * hundredth of serving it: so the queue becomes short, whoever is served has not waited long, and the threads work on as before.
 *
 * A long wait alone is no overload: a request also waits for a worker that starts again, or comes from another one that hangs.
 *
 * Zeroed it is ready. Any thread may call; two at once may disagree by a request.
 */
#ifndef PYGMY_FCGI_ADMISSION_H
#define PYGMY_FCGI_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct admission {
	atomic_int_fast64_t worked_ms;        /* when a request was begun or ended last */
	atomic_int_fast64_t waiting_since_ms; /* since when all waited longer than half of what they may; 0: they do not */
	atomic_int_fast64_t refused_ms;       /* the last one; 0: none yet */
};

/*
 * A request was taken at now_ms (monotonic, above 0) that had waited for waited_ms. False: it is to be refused, having waited longer than
 * limit_ms while the queue stands.
 */
bool admission_admits(struct admission *admission, int64_t now_ms, int64_t waited_ms, int64_t limit_ms);

/* A request has ended at now_ms. */
void admission_end(struct admission *admission, int64_t now_ms);

#endif
