/*
 * load_schedule: at which moments requests are meant to start, whatever becomes of those before.
 *
 * Open loop: a stream of intended starts at a fixed rate, evenly spaced or (poisson) as independent clients would come. Who is late
 * takes the moments one by one all the same, and counts the time of a request from its moment: so a server that stalls can't
 * talk its clients out of asking, which would leave out just the slow requests ("coordinated omission").
 *
 * Times are microseconds since the schedule began.
 */
#ifndef PYGMY_LOAD_SCHEDULE_H
#define PYGMY_LOAD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/load/chance.h"

struct load_schedule {
	double rate;                  /* per second */
	bool poisson;
	int64_t end_us;               /* no request is meant to start at or after this */
	uint64_t number;              /* of the next one */
	double next_us;
	struct chance chance;
};

/* rate > 0. */
void load_schedule_init(struct load_schedule *schedule, double rate, bool poisson, int64_t end_us, uint64_t seed);

/* When the next request is meant to start; -1 when there is none. */
int64_t load_schedule_next_us(const struct load_schedule *schedule);

/* Takes it. Only when there is one. */
void load_schedule_take(struct load_schedule *schedule);

#endif
