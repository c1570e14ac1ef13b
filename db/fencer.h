/*
 * fencer: has frontends fenced that do not confirm what they are told, so that writes wait for them once, and not for ever.
 *
 * It is a thread: who pushes must not wait for a proposal of its own. Several processes may find the same frontend silent; their proposals
 * have one request key, and one of them takes effect.
 */
#ifndef PYGMY_DB_FENCER_H
#define PYGMY_DB_FENCER_H

#include "db/command.h"
#include "db/frontends.h"
#include "db/result.h"
#include "db/stats.h"

#define FENCER_PROPOSE_MS 1000        /* of one try */
#define FENCER_PAUSE_MS 250           /* before the next one */
#define FENCER_WANTED_MS 1500         /* a request that is not repeated for so long is dropped */

struct fencer;

/* Brings the command into the log, until deadline_ms (monotonic). On PYGMY_OK *out is what was decided. */
typedef enum pygmy_error (*fencer_propose)(void *context, const struct command *command, int64_t deadline_ms, struct result *out);

/* All must outlive the fencer. Errors: OUT_OF_MEMORY. */
enum pygmy_error fencer_create(struct frontends *frontends, fencer_propose propose, void *context, struct replica_stats *stats, struct fencer **out);
/* Waits for the try that is under way. NULL is allowed. */
void fencer_destroy(struct fencer *fencer);

/* Asks for a fence around the frontend that joined under this name as index since. To be repeated while it is wanted. Any thread; does not block. */
void fencer_ask(struct fencer *fencer, const char *name, uint64_t since);

/* The command for it, whose name and key are borrowed from the arguments. key has room for SCOPED_KEY_MAX_BYTES + 1. */
void fencer_make_command(const char *name, uint64_t since, char *key, struct command *out);

#endif
