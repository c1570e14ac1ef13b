/*
 * monotonic: the two clocks of the workers. Not for apply, which knows no clock.
 */
#ifndef PYGMY_DB_MONOTONIC_H
#define PYGMY_DB_MONOTONIC_H

#include <stdint.h>

/* CLOCK_MONOTONIC in milliseconds and microseconds: for deadlines and durations, unmoved by clock steps. */
int64_t monotonic_ms(void);
int64_t monotonic_us(void);

/* The time of day in milliseconds since the epoch, UTC: for records only. */
int64_t wallclock_ms(void);

#endif
