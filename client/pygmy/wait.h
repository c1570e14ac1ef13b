/*
 * wait: time, and waits that Ctrl-C ends.
 *
 * The first SIGINT or SIGTERM only sets a flag, so that a command can say what has happened so far; the second one ends
 * the process at once. Any thread may call all but wait_init.
 */
#ifndef PYGMY_CLIENT_WAIT_H
#define PYGMY_CLIENT_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* Installs the signal handlers, and ignores SIGPIPE. Once, before threads start. */
void wait_init(void);

bool wait_is_interrupted(void);

/* CLOCK_MONOTONIC, milliseconds. */
int64_t wait_now_ms(void);

/* Blocks for delay_ms, or shorter when interrupted. */
void wait_for_ms(int64_t delay_ms);

#endif
