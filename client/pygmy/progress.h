/*
 * progress: how far a long transfer is, on standard error.
 *
 * On a terminal a bar that appears after half a second and is wiped at the end; elsewhere a plain line every few seconds;
 * nothing at all when quiet.
 */
#ifndef PYGMY_CLIENT_PROGRESS_H
#define PYGMY_CLIENT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/pygmy/text.h"

struct progress {
	FILE *out;
	bool is_terminal, quiet;
	const char *verb;             /* "loaded"; static */
	const char *unit;             /* what is counted: "items", until it is changed; static */
	uint64_t total;               /* of what is done (bytes); 0: not known */
	int64_t started_ms, shown_ms; /* monotonic */
	bool shown;                   /* a bar is on the screen */
};

/* verb is kept. total 0: the end is not known, only items are counted. */
void progress_init(struct progress *progress, FILE *out, bool is_terminal, bool quiet, const char *verb, uint64_t total, int64_t now_ms);

/* Writes when it is time to. done is of the total. */
void progress_update(struct progress *progress, uint64_t items, uint64_t done, int64_t now_ms);

/* Wipes the bar, so that other text can be written. */
void progress_wipe(struct progress *progress);

/* The line without wiping and line end, as progress_update shows it: for tests and for progress itself. */
void progress_format(const struct progress *progress, uint64_t items, uint64_t done, int64_t now_ms, struct text *out);

/* Appends 1,234,567. */
void count_append(struct text *out, uint64_t count);

#endif
