/* pacer: see pacer.h. */
#include "db/pacer.h"

#define PACER_FACTOR 2                /* from put to put, in times that one takes */
#define PACER_SMOOTHING 8

int64_t pacer_gap_us(const struct pacer *pacer, int64_t now_us)
{
	if (pacer->commands < PACER_COMMANDS_MIN)
		return 0;
	int64_t gap_us = PACER_FACTOR * pacer->took_us;
	if (gap_us > PACER_GAP_MAX_US)
		gap_us = PACER_GAP_MAX_US;
	int64_t left_us = pacer->began_us + gap_us - now_us;
	return left_us > 0 ? left_us : 0;
}

void pacer_note(struct pacer *pacer, int64_t began_us, int64_t ended_us, size_t commands)
{
	int64_t took_us = ended_us - began_us;
	if (pacer->took_us == 0)
		pacer->took_us = took_us;
	pacer->took_us += (took_us - pacer->took_us) / PACER_SMOOTHING;
	pacer->began_us = began_us;
	pacer->commands = commands;
}
