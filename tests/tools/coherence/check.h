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
#define TOPICS 8
#define REQUEST_TIMEOUT_MS 15000
#define PIPELINE_MAX 64          /* requests of a reader at once */
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

/* Resources that show a thing: the lists of the topics, and its own. */
#define LOOKUP TOPICS
#define RESOURCES (TOPICS + 1)

/* X(name): what is counted. */
#define CHECK_COUNTERS(X) \
	X(reads) X(hits) X(misses) X(bypasses) X(not_modified) X(said_stale) X(searches) X(strict_reads) X(read_failures) X(reads_abandoned) \
	X(writes) X(write_retries) X(writes_impatient) X(writes_given_up) X(pauses) X(violations) X(unexpected)
enum check_count {
#define X(name) COUNT_##name,
	CHECK_COUNTERS(X)
#undef X
	CHECK_COUNTS
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
	int64_t reads_max, hits_min, rest_ms, deadline_us, pipeline, search_percent, strict_percent, impatient_percent, abandon_permille, progress;
	/*
	 * The newest state of each thing that anybody has seen at a frontend, by resource: a search may show a write that is not acknowledged
	 * yet, and a lookup behind it not, since they are cached each for itself.
	 */
	atomic_int seen[CHECK_FRONTENDS_MAX][RESOURCES][THINGS_MAX];
	atomic_bool stopped;
	atomic_int_fast64_t counts[CHECK_COUNTS];
};
extern struct check check;

#define check_add(name, number) atomic_fetch_add(&check.counts[COUNT_##name], (number))
#define check_get(name) atomic_load(&check.counts[COUNT_##name])

uint64_t check_seed_of_thread(void);
bool check_is_over(void);

void history_init(void);
void history_free(void);
/* The topic's name, as it stands in an answer. */
void history_topic(int topic, char *name, size_t size);
/* The number behind the seed in the topic of an item's JSON; -1 when it is another topic. */
int history_find_topic(const char *json, size_t len);
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
void *progress_run(void *context);
void reader_check_last(struct thing *thing, int frontend);

#endif
