/*
 * result: what apply decided about a command; recorded under its request key, and all that an answer is made of.
 *
 * The answer to a repeated request is rendered from the recorded result, so it is the same, byte for byte.
 */
#ifndef PYGMY_DB_RESULT_H
#define PYGMY_DB_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "db/error.h"
#include "db/limits.h"

struct result {
	enum pygmy_error error;       /* PYGMY_OK or a refusal of apply's */
	uint64_t revision;            /* index of the log entry that decided it */
	int64_t id;                   /* the order or item that was made or changed */
	int64_t quantity;             /* what was bought; for INSUFFICIENT_STOCK: what is left; imports: items loaded */
	bool repeated;                /* recorded earlier; not part of the record */
	/* Slots that changed at revision. SLOTS_ALL_CHANGED: more than fit (imports): everything counts as changed. */
	uint32_t slot_count;
	uint32_t slots[SLOTS_PER_RESULT_MAX];
};

#define SLOTS_ALL_CHANGED UINT32_MAX      /* value of slot_count */

#endif
