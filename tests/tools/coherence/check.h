/*
 * check: what the parts of coherence_check share; see tests/tools/coherence_check.c.
 */
#ifndef PYGMY_TESTS_COHERENCE_CHECK_H
#define PYGMY_TESTS_COHERENCE_CHECK_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/tools/common/tool.h"

#define THINGS_MAX 64
#define STATES_MAX 20000          /* of one thing; its writer rests for ever after that */
#define PAUSE_PIDS_MAX 8
#define CHECK_FRONTENDS_MAX 8
#define CHECK_NODES_MAX 9
#define TOPICS 2
#define REQUEST_TIMEOUT_MS 15000
#define FIRST_ITEM_ID INT64_C(1000000000)
#define SEEDS 1000000000        /* that have ids of their own */

/* What can be seen of a thing. */
struct state {
	bool exists;
	int topic;
	int64_t cost;
	int64_t count;
	int64_t revision;             /* of the write, once it is acknowledged; for reports */
};

/* Belongs to one writer. States up to `issued` may be seen, those before `acknowledged` no longer. */
struct thing {
	int64_t id;
	struct state *states;
	atomic_int issued;
	atomic_int acknowledged;
	bool given_up;                /* a write got no answer: its outcome will never be known */
};

struct check {
	const char *frontends[CHECK_FRONTENDS_MAX], *catalogs[CHECK_NODES_MAX], *orders[CHECK_NODES_MAX];
	int frontend_count, catalog_count, order_count;
	char token[65];
	uint64_t seed;
	int64_t first_id;
	struct tool_chance chance;
	pthread_mutex_t chance_lock;
	struct thing things[THINGS_MAX];
	int thing_count, writer_count;
	int pause_pids[PAUSE_PIDS_MAX], pause_count;
	int64_t reads_max, rest_ms, deadline_us;
	atomic_bool stopped;
	atomic_int_fast64_t reads, hits, not_modified, said_stale, searches, read_failures, writes, write_retries, given_up, pauses, violations, unexpected;
};
extern struct check check;

uint64_t check_seed_of_thread(void);
bool check_is_over(void);

void history_init(void);
void history_free(void);
/* The topic's name, as it stands in an answer. */
void history_topic(int topic, char *name, size_t size);
/* Adds a state and says that it may be seen from now on. Returns its index, -1 when there is no room. */
int history_issue(struct thing *thing, const struct state *state);
void history_acknowledge(struct thing *thing, int index);
/* The first index from `from` to `to` at which the thing was like that (of a search: was in topic, or not), -1 if there is none. */
int history_find(const struct thing *thing, int from, int to, const struct state *seen);
int history_find_absent(const struct thing *thing, int from, int to, int topic);

/* Thread functions; the context of a writer or reader is its number. A reader stays at one frontend. */
void *writer_run(void *context);
void *reader_run(void *context);
void *pauser_run(void *context);
void reader_check_last(struct thing *thing, int frontend);

#endif
