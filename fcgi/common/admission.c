/* admission: see admission.h. */
#include "fcgi/common/admission.h"

#include "db/limits.h"

/* How long a queue may stand. An overload that was over for a moment only is known again sooner. */
static int64_t patience_ms(struct admission *admission, int64_t now_ms)
{
	int64_t refused_ms = atomic_load_explicit(&admission->refused_ms, memory_order_relaxed);
	return refused_ms != 0 && now_ms - refused_ms < ADMISSION_MEMORY_MS ? ADMISSION_INTERVAL_AGAIN_MS : ADMISSION_INTERVAL_MS;
}

bool admission_admits(struct admission *admission, int64_t now_ms, int64_t waited_ms, int64_t limit_ms)
{
	int64_t before_ms = atomic_exchange_explicit(&admission->worked_ms, now_ms, memory_order_relaxed);
	if (waited_ms <= limit_ms / 2) {
		atomic_store_explicit(&admission->waiting_since_ms, 0, memory_order_relaxed);
		return true;
	}
	/* Where nothing was begun or ended for so long, nobody worked: this worker was stopped, or began just now. */
	int64_t since_ms = atomic_load_explicit(&admission->waiting_since_ms, memory_order_relaxed);
	if (since_ms == 0 || now_ms - before_ms > ADMISSION_INTERVAL_MS) {
		atomic_store_explicit(&admission->waiting_since_ms, now_ms, memory_order_relaxed);
		return true;
	}
	if (now_ms - since_ms < patience_ms(admission, now_ms) || waited_ms <= limit_ms)
		return true;
	atomic_store_explicit(&admission->refused_ms, now_ms, memory_order_relaxed);
	return false;
}

void admission_end(struct admission *admission, int64_t now_ms)
{
	atomic_store_explicit(&admission->worked_ms, now_ms, memory_order_relaxed);
}
