/* progress: what is going on, a line per second on stderr. */
#include <stdio.h>

#include "tests/tools/coherence/check.h"

void *progress_run(void *context)
{
	int64_t began_us = tool_now_us(), second = 0, reads = 0, writes = 0;
	(void)context;
	while (!check_is_over()) {
		tool_sleep_ms(50);
		if (tool_now_us() - began_us < (second + 1) * 1000000)
			continue;
		second++;
		fprintf(stderr, "%4lld s  %9lld hits  %6lld reads/s  %4lld writes/s  hit ratio %.3f  failed reads %lld  stale %lld\n", (long long)second,
			(long long)check_get(hits), (long long)(check_get(reads) - reads), (long long)(check_get(writes) - writes),
			(double)check_get(hits) / (double)(check_get(reads) > 0 ? check_get(reads) : 1), (long long)check_get(read_failures),
			(long long)check_get(violations));
		reads = check_get(reads);
		writes = check_get(writes);
	}
	return NULL;
}
