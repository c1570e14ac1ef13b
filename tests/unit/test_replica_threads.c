/*
 * replica: many threads buy and read at once, through two handles on one file, as two workers do.
 *
 * Threads note what went wrong in a counter; only the main thread asserts.
 */
#include "tests/unit/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "db/monotonic.h"
#include "db/replica.h"

#define STOCK 100
#define BUYERS 20
#define BUYS_EACH 50          /* a thousand in all */
#define READERS 3

struct market {
	char folder[FOLDER_MAX];
	char path[PATH_BYTES];
	struct replica *replicas[2];
	atomic_int bought, sold_out, wrong, reads;
	atomic_bool stop;
	atomic_int seen[STOCK + 1];   /* how often an order's id was acknowledged */
};

static int setup(void **state)
{
	struct market *market = calloc(1, sizeof *market);
	struct item item = item_of(1, "Title", "topic", 100, STOCK);
	struct command import = import_of("import/0/i", &item, 1);
	struct result result;
	assert_non_null(market);
	folder_make(market->folder);
	path_in(market->path, market->folder, "store.db");
	struct replica_config config = { .db_path = market->path, .frontends = "", .lease_ms = 100, .reader_max = READERS };
	for (int i = 0; i < 2; i++)
		assert_int_equal(replica_open(&config, &market->replicas[i]), PYGMY_OK);
	assert_int_equal(replica_propose(market->replicas[0], &import, monotonic_ms() + 10000, &result), PYGMY_OK);
	*state = market;
	return 0;
}

static int teardown(void **state)
{
	struct market *market = *state;
	replica_close(market->replicas[0]);
	replica_close(market->replicas[1]);
	folder_remove(market->folder);
	free(market);
	return 0;
}

struct buyer {
	struct market *market;
	int number;
	bool same_keys;               /* as every other buyer: the thousand requests are fifty, sent twenty times */
};

static void note_purchase(struct market *market, const struct result *result)
{
	if (result->error == PYGMY_OK && result->id >= 1 && result->id <= STOCK && result->quantity == 1) {
		atomic_fetch_add(&market->bought, 1);
		atomic_fetch_add(&market->seen[result->id], 1);
	} else if (result->error == PYGMY_SOLD_OUT) {
		atomic_fetch_add(&market->sold_out, 1);
	} else {
		atomic_fetch_add(&market->wrong, 1);
	}
}

static void *buy(void *context)
{
	struct buyer *buyer = context;
	for (int i = 0; i < BUYS_EACH; i++) {
		char key[32];
		struct result result;
		snprintf(key, sizeof key, "buy/0/%d-%d", buyer->same_keys ? 0 : buyer->number, i);
		struct command command = buy_of(key, 1, 1);
		struct replica *replica = buyer->market->replicas[(buyer->number + i) % 2];
		if (replica_propose(replica, &command, monotonic_ms() + 20000, &result) == PYGMY_OK)
			note_purchase(buyer->market, &result);
		else
			atomic_fetch_add(&buyer->market->wrong, 1);
	}
	return NULL;
}

/* What one read shows fits together, and never goes back. */
static void *watch(void *context)
{
	struct market *market = context;
	uint64_t last = 0;
	while (!atomic_load(&market->stop)) {
		struct reader *reader;
		struct reader_counts counts;
		struct item item;
		if (reader_begin(market->replicas[0], &(struct read_terms){ .min_revision = last }, 0, &reader) != PYGMY_OK) {
			atomic_fetch_add(&market->wrong, 1);
			continue;
		}
		if (reader_item(reader, 1, &item) != PYGMY_OK || reader_counts(reader, &counts) != PYGMY_OK ||
		    item.count + counts.orders != STOCK || counts.revision < last)
			atomic_fetch_add(&market->wrong, 1);
		last = reader_revision(reader);
		reader_end(reader);
		atomic_fetch_add(&market->reads, 1);
	}
	return NULL;
}

static void run_market(struct market *market, bool same_keys)
{
	pthread_t buyers[BUYERS], readers[READERS];
	struct buyer contexts[BUYERS];
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, watch, market), 0);
	for (int i = 0; i < BUYERS; i++) {
		contexts[i] = (struct buyer){ market, i, same_keys };
		assert_int_equal(pthread_create(&buyers[i], NULL, buy, &contexts[i]), 0);
	}
	for (int i = 0; i < BUYERS; i++)
		assert_int_equal(pthread_join(buyers[i], NULL), 0);
	atomic_store(&market->stop, true);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(readers[i], NULL), 0);
	assert_int_equal(atomic_load(&market->wrong), 0);
	assert_true(atomic_load(&market->reads) > 0);
}

static void assert_file(struct market *market, int64_t orders)
{
	struct database database;
	assert_int_equal(database_open(&database, market->path, DATABASE_WRITE), PYGMY_OK);
	assert_books_balance(&database);
	assert_int_equal(sql_number(&database, "SELECT count(*) FROM orders"), orders);
	assert_int_equal(sql_number(&database, "SELECT count FROM items"), STOCK - orders);
	database_close(&database);
}

static void test_a_thousand_buys_of_a_hundred(void **state)
{
	struct market *market = *state;
	run_market(market, false);
	assert_int_equal(atomic_load(&market->bought), STOCK);
	assert_int_equal(atomic_load(&market->sold_out), BUYERS * BUYS_EACH - STOCK);
	for (int id = 1; id <= STOCK; id++)
		assert_int_equal(atomic_load(&market->seen[id]), 1);
	assert_file(market, STOCK);
}

static void test_fifty_buys_sent_twenty_times(void **state)
{
	struct market *market = *state;
	run_market(market, true);
	assert_int_equal(atomic_load(&market->bought), BUYERS * BUYS_EACH);
	for (int id = 1; id <= BUYS_EACH; id++)
		assert_int_equal(atomic_load(&market->seen[id]), BUYERS);
	assert_file(market, BUYS_EACH);
	/* They were told apart from new ones, and commits were shared. */
	uint64_t applied = 0, repeated = 0;
	for (int i = 0; i < 2; i++) {
		applied += atomic_load(&replica_stats(market->replicas[i])->commands_applied);
		repeated += atomic_load(&replica_stats(market->replicas[i])->commands_repeated);
	}
	assert_int_equal(applied, BUYS_EACH + 1);
	assert_int_equal(repeated, BUYERS * BUYS_EACH - BUYS_EACH);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_thousand_buys_of_a_hundred),
		TEST(test_fifty_buys_sent_twenty_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
