/* checkpointer: the write-ahead log does not grow without bound, whoever reads and writes meanwhile. */
#include "tests/unit/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include <time.h>

#include "db/checkpointer.h"
#include "db/monotonic.h"
#include "db/reader.h"

#define PAGE_BYTES 4096
#define FAR_MS 20000
/* Several times what starts a checkpoint; without one the log would have all of it. */

struct frame {
	struct bare_store store;
	char wal_path[PATH_BYTES + 8];
	struct writer_turn *turn;
	struct checkpointer *checkpointer;
	atomic_bool stop;
	atomic_int reads, wrong;      /* of the thread that reads */
};

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	assert_non_null(frame);
	bare_store_open(&frame->store);
	snprintf(frame->wal_path, sizeof frame->wal_path, "%s-wal", frame->store.path);
	writer_turn_open(frame->store.path, &frame->turn);
	assert_non_null(frame->turn);
	sql_run(&frame->store.database, "CREATE TABLE ballast (id INTEGER PRIMARY KEY, bytes BLOB)");
	*state = frame;
	return 0;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	checkpointer_destroy(frame->checkpointer);
	writer_turn_close(frame->turn);
	bare_store_close(&frame->store);
	free(frame);
	return 0;
}

static void start(struct frame *frame, struct writer_turn *turn)
{
	assert_int_equal(checkpointer_create(frame->store.path, &frame->store.database, turn, &frame->checkpointer), PYGMY_OK);
}

/* Writes pages in transactions of 100, taking turns as the log does. Returns how many pages the WAL had at most. */
static int64_t write_pages(struct frame *frame, int pages)
{
	const struct timespec between_batches = { 0, 1000000 };
	int64_t largest = 0;
	for (int done = 0; done < pages; done += 100) {
		bool has_turn = writer_turn_begin(frame->turn, 500);
		sql_run(&frame->store.database, "BEGIN IMMEDIATE; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
			" INSERT OR REPLACE INTO ballast SELECT i, printf('%3500d', random()) FROM n; COMMIT");
		if (has_turn)
			writer_turn_end(frame->turn);
		/* A proposer, too, is away from the turn for a while between two batches: it pushes, and answers. */
		nanosleep(&between_batches, NULL);
		int64_t size = file_size(frame->wal_path) / PAGE_BYTES;
		largest = size > largest ? size : largest;
	}
	return largest;
}

static void test_without_it_the_log_grows(void **state)
{
	struct frame *frame = *state;
	assert_true(write_pages(frame, CHECKPOINT_PAGES + 1000) >= CHECKPOINT_PAGES + 1000);
}

static void test_the_log_keeps_its_size(void **state)
{
	struct frame *frame = *state;
	start(frame, frame->turn);
	/* How far it gets before the checkpoint is done depends on the machine; it must not get near the end. */
	assert_in_range(write_pages(frame, 8 * CHECKPOINT_PAGES), CHECKPOINT_PAGES, 5 * CHECKPOINT_PAGES);
	assert_int_equal(sql_number(&frame->store.database, "SELECT count(*) FROM ballast"), 100);
}

/* What is durable is told, though the log never grows to what starts a checkpoint. */
static void test_it_tells_what_is_durable(void **state)
{
	struct frame *frame = *state;
	start(frame, frame->turn);
	assert_int_equal(checkpointer_durable(frame->checkpointer), 0);
	for (uint64_t index = 1; index <= 3; index++) {
		write_pages(frame, 100);
		checkpointer_set_applied(frame->checkpointer, index);
		assert_true(WAIT_FOR(checkpointer_durable(frame->checkpointer) == index, FAR_MS));
		assert_true(index < 3 || file_size(frame->wal_path) / PAGE_BYTES < 3 * 100);
	}
}

/* Without a turn file the first copy is all there is: it suffices as long as the writer rests now and then. */
static void test_without_a_turn_a_pause_suffices(void **state)
{
	struct frame *frame = *state;
	start(frame, NULL);
	for (int round = 0; round < 2; round++) {
		struct database watcher;
		write_pages(frame, CHECKPOINT_PAGES);
		assert_int_equal(database_open(&watcher, frame->store.path, DATABASE_WRITE), PYGMY_OK);
		int in_wal = 0, copied = -1;
		assert_true(WAIT_FOR(sqlite3_wal_checkpoint_v2(watcher.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &copied) == SQLITE_OK &&
				     in_wal == copied, FAR_MS));
		database_close(&watcher);
	}
	assert_true(file_size(frame->wal_path) / PAGE_BYTES < 3 * CHECKPOINT_PAGES / 2);
}

/* Reads that follow each other without a gap: each begins before the one before it ends, and lasts some milliseconds. */
static void *read_on_and_on(void *context)
{
	struct frame *frame = context;
	struct reader_pool *pool;
	struct reader *readers[2] = { NULL, NULL };
	struct reader_counts counts;
	if (reader_pool_create(frame->store.path, 2, &pool) != PYGMY_OK) {
		atomic_fetch_add(&frame->wrong, 1);
		return NULL;
	}
	for (int i = 0; !atomic_load(&frame->stop); i = 1 - i) {
		if (reader_pool_begin(pool, 0, &readers[i]) != PYGMY_OK || reader_counts(readers[i], &counts) != PYGMY_OK)
			atomic_fetch_add(&frame->wrong, 1);
		if (readers[1 - i] != NULL)
			reader_end(readers[1 - i]);
		readers[1 - i] = NULL;
		atomic_fetch_add(&frame->reads, 1);
		test_pause_ms(3);
	}
	for (int i = 0; i < 2; i++)
		if (readers[i] != NULL)
			reader_end(readers[i]);
	reader_pool_destroy(pool);
	return NULL;
}

static void test_readers_do_not_make_it_grow(void **state)
{
	struct frame *frame = *state;
	pthread_t reader;
	start(frame, frame->turn);
	assert_int_equal(pthread_create(&reader, NULL, read_on_and_on, frame), 0);
	assert_true(WAIT_FOR(atomic_load(&frame->reads) > 0, FAR_MS));
	int64_t largest = write_pages(frame, 8 * CHECKPOINT_PAGES);
	atomic_store(&frame->stop, true);
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_int_equal(atomic_load(&frame->wrong), 0);
	assert_in_range(largest, CHECKPOINT_PAGES, 5 * CHECKPOINT_PAGES);
}

/* A reader that stays keeps the log from being emptied; when it ends, the next checkpoints make up for it. */
static void test_after_a_long_read_it_shrinks_in_use(void **state)
{
	struct frame *frame = *state;
	struct database reader;
	start(frame, frame->turn);
	assert_int_equal(database_open(&reader, frame->store.path, DATABASE_READ), PYGMY_OK);
	sql_run(&reader, "BEGIN");
	assert_int_equal(sql_number(&reader, "SELECT count(*) FROM ballast"), 0);
	write_pages(frame, CHECKPOINT_PAGES + 500);
	sql_run(&reader, "COMMIT");
	database_close(&reader);
	int64_t size = file_size(frame->wal_path) / PAGE_BYTES;
	assert_true(write_pages(frame, 3 * CHECKPOINT_PAGES) < size + 2 * CHECKPOINT_PAGES);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_without_it_the_log_grows),
		TEST(test_the_log_keeps_its_size),
		TEST(test_it_tells_what_is_durable),
		TEST(test_without_a_turn_a_pause_suffices),
		TEST(test_readers_do_not_make_it_grow),
		TEST(test_after_a_long_read_it_shrinks_in_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
