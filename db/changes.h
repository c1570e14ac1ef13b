/*
 * changes: the text in which workers tell frontends which slots changed (push), and in which they answer
 * a frontend's "what changed since P?" (lease).
 *
 *     pygmy-changes 1 <log id: 16 lowercase hex digits> <push|delta|reset|fenced> <position>\n
 *     <revision> <slot> <slot> ...\n            zero or more lines, 1 to CHANGES_LINE_SLOTS_MAX slots each
 *
 * push:  these slots changed at these revisions; position is the last one of them.
 * delta: every change in (since, position] is in it.
 * reset: `since` was unknown, too old or of another log: whoever asked must treat everything up to position
 *        as changed (raise its floor to it).
 * fenced: whoever asked does not count (any more): it gets no lease, and has to join first. It has no lines.
 * Numbers are decimal without sign or leading zeros, separated by one space; the text ends with a newline and is at
 * most CHANGES_TEXT_MAX_BYTES long. Anything else is refused whole, and nothing of it is used: it is checked
 * completely before the first slot is handed out.
 */
#ifndef PYGMY_DB_CHANGES_H
#define PYGMY_DB_CHANGES_H

#include <stdint.h>

#include "db/slice.h"

enum changes_kind { CHANGES_PUSH, CHANGES_DELTA, CHANGES_RESET, CHANGES_FENCED };

#define LOG_ID_HEX_LEN 16

struct changes_head {
	char log_id[LOG_ID_HEX_LEN + 1];
	enum changes_kind kind;
	uint64_t position;
};

/* Writes the head line. Returns its length, or 0 when buf_size is too small (128 always suffices). */
size_t changes_write_head(const struct changes_head *head, char *buf, size_t buf_size);

/* Writes one line for 1 to CHANGES_LINE_SLOTS_MAX slots. Returns its length, or 0 when it does not fit. */
size_t changes_write_line(uint64_t revision, const uint32_t *slots, size_t slot_count, char *buf, size_t buf_size);

/* Called for every (slot, revision) of a text. */
typedef void (*changes_visit)(void *context, uint32_t slot, uint64_t revision);

/*
 * Parses a whole text: fills head, and calls visit (may be NULL) for each pair, in order, after all of the
 * text was found sound. Returns false, without having called visit, when it is not. No allocation, any thread.
 */
bool changes_parse(struct slice text, struct changes_head *head, changes_visit visit, void *context);

#endif
