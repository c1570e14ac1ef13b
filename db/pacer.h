/*
 * pacer: how long to gather before the next batch is put. Pure.
 *
 * A put costs etcd's members some milliseconds of processor time, however much is in it; a command more costs next to nothing. When
 * many wait, puts that follow each other at once are small and use up the machine that the requests need too. So after a
 * batch with several commands the next one waits until about as long has passed again as the last ones took: it takes along who came meanwhile.
 * What a put takes grows with the load, and so do the pause and the batches, up to PACER_GAP_MAX_US. Who writes alone never waits.
 */
#ifndef PYGMY_DB_PACER_H
#define PYGMY_DB_PACER_H

#include <stddef.h>
#include <stdint.h>

#define PACER_COMMANDS_MIN 3          /* a smaller batch is followed at once */
#define PACER_GAP_MAX_US 16000        /* from the beginning of one put to the next */

/* Zeroed: nothing was put yet. */
struct pacer {
	int64_t began_us;             /* the last put */
	int64_t took_us;              /* a batch, smoothed */
	size_t commands;              /* in the last one */
};

/* Microseconds to wait at now_us (monotonic) before the next put; 0: none. */
int64_t pacer_gap_us(const struct pacer *pacer, int64_t now_us);

/* A batch was put at began_us, and its results were there at ended_us. */
void pacer_note(struct pacer *pacer, int64_t began_us, int64_t ended_us, size_t commands);

#endif
