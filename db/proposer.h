/*
 * proposer: brings the commands of many threads into the log, many per entry (group commit).
 *
 * There is no thread of its own: of the threads that wait, one leads. It makes the log ready, takes all that is queued by then
 * as one batch, appends it, hands the lead to the next waiting thread, and then pushes its batch to the frontends and wakes
 * its members. So a lone client pays no switch of threads, and with many clients commits and pushes overlap.
 * (The scheme is that of the write groups of LevelDB, and of binary log group commit in MySQL.)
 *
 * The queue is bounded. A command whose deadline passes in the queue was never executed; one whose batch is under way when its
 * deadline passes has an unknown outcome, and its memory is left to the leader.
 */
#ifndef PYGMY_DB_PROPOSER_H
#define PYGMY_DB_PROPOSER_H

#include "db/command.h"
#include "db/log.h"
#include "db/pusher.h"
#include "db/stats.h"

struct proposer;

/* log, pusher and stats must outlive the proposer. Errors: OUT_OF_MEMORY. */
enum pygmy_error proposer_create(struct log *log, struct pusher *pusher, struct replica_stats *stats, struct proposer **out);
/* Nobody may be waiting. NULL is allowed. */
void proposer_destroy(struct proposer *proposer);

/* See replica_propose. */
enum pygmy_error proposer_propose(struct proposer *proposer, const struct command *command, int64_t deadline_ms, struct result *out);

/* New proposals are refused from now on. */
void proposer_stop(struct proposer *proposer);

#endif
