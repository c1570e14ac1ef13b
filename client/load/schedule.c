/* load_schedule: see schedule.h. Evenly spaced moments are computed from their number, so that no error adds up. */
#include "client/load/schedule.h"

#include <math.h>

static double gap_us(struct load_schedule *schedule)
{
	return -log(1.0 - chance_share(&schedule->chance)) * 1e6 / schedule->rate;
}

void load_schedule_init(struct load_schedule *schedule, double rate, bool poisson, int64_t end_us, uint64_t seed)
{
	*schedule = (struct load_schedule){ .rate = rate, .poisson = poisson, .end_us = end_us, .chance = { seed } };
	if (poisson)
		schedule->next_us = gap_us(schedule);
}

int64_t load_schedule_next_us(const struct load_schedule *schedule)
{
	return schedule->next_us < (double)schedule->end_us ? (int64_t)schedule->next_us : -1;
}

void load_schedule_take(struct load_schedule *schedule)
{
	schedule->number++;
	if (schedule->poisson)
		schedule->next_us += gap_us(schedule);
	else
		schedule->next_us = (double)schedule->number * 1e6 / schedule->rate;
}
