/* writer_turn: see writer_turn.h. */
#include "db/writer_turn.h"

#include <stdlib.h>

#include "db/diagnostics.h"
#include "db/robust_mutex.h"
#include "db/shared_file.h"

struct writer_turn {
	struct shared_file file;      /* its content is the mutex */
};

static pthread_mutex_t *mutex_of(const struct writer_turn *turn)
{
	return turn->file.content;
}

static bool init(void *content)
{
	return robust_mutex_init(content);
}

void writer_turn_open(const char *db_path, struct writer_turn **out)
{
	struct writer_turn *turn = calloc(1, sizeof *turn);
	*out = NULL;
	if (turn != NULL && shared_file_map(db_path, "turn", sizeof(pthread_mutex_t), init, &turn->file)) {
		*out = turn;
		return;
	}
	free(turn);
	diagnose_warning("%s: writers wait on SQLite's lock alone", db_path);
}

void writer_turn_close(struct writer_turn *turn)
{
	if (turn == NULL)
		return;
	shared_file_unmap(&turn->file);
	free(turn);
}

bool writer_turn_begin(struct writer_turn *turn, int timeout_ms)
{
	return turn != NULL && robust_mutex_lock(mutex_of(turn), timeout_ms);
}

void writer_turn_end(struct writer_turn *turn)
{
	robust_mutex_unlock(mutex_of(turn));
}
