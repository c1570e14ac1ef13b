/*
 * position_reader: one question to etcd ("where does the log end?") for all who wait for its answer.
 *
 * Strict reads need an answer to a question that was sent after they began. Of those who wait one asks; who comes while a
 * question is under way waits for the next one, which starts as soon as that is answered and is shared by all who came meanwhile.
 * So however many ask, there is one question at a time. There is no thread of its own. All functions may be called by any thread.
 */
#ifndef PYGMY_DB_POSITION_READER_H
#define PYGMY_DB_POSITION_READER_H

#include "db/error.h"
#include "db/etcd.h"

struct position_reader;

/* Asks, until deadline_ms at most; called by one thread at a time. */
typedef enum etcd_outcome (*position_ask)(void *context, int64_t deadline_ms, struct etcd_position *out);

/* Errors: OUT_OF_MEMORY. */
enum pygmy_error position_reader_create(position_ask ask, void *context, struct position_reader **out);
/* Nobody may be waiting. NULL is allowed. */
void position_reader_destroy(struct position_reader *reader);

/* The answer to a question that is sent after this call began. Blocks until deadline_ms (monotonic) at most. False: there was none in time. */
bool position_reader_ask(struct position_reader *reader, int64_t deadline_ms, struct etcd_position *out);

#endif
