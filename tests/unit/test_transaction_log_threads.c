/* test_transaction_log_threads: whole lines of several threads, rotation, and a disk that is full for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/diagnostics.h"
#include "db/limits.h"
#include "fcgi/common/transaction_log.h"
#include "tests/unit/temporary_folder.h"

#define THREADS 4
#define LINES 400
#define LINE_LEN 83               /* of the lines that these tests write */

static struct temporary_folder folder;
static struct line_log transactions;
static char path[PATH_MAX];

static int make_folder(void **state)
{
	(void)state;
	temporary_folder_make(&folder);
	snprintf(path, sizeof path, "%s/t.log", folder.path);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	temporary_folder_remove(&folder);
	return 0;
}

static void write_one(int64_t item)
{
	struct transaction transaction = { .time_ms = 1769860800123, .key = SLICE_LITERAL("k"), .item_id = item, .quantity = 1,
		.error = PYGMY_OK, .order_id = 100000 + item };
	transaction_log_write(&transactions, &transaction);
}

static void writes_lines(void **state)
{
	(void)state;
	line_log_open(&transactions, "transaction log", path, LINE_LOG_MAX_BYTES);
	write_one(196);
	struct transaction refusal = { .time_ms = 0, .key = SLICE_LITERAL("a.b_c:d-e"), .item_id = 7, .quantity = 2, .error = PYGMY_SOLD_OUT,
		.repeated = true };
	transaction_log_write(&transactions, &refusal);
	line_log_close(&transactions);
	char *text = temporary_folder_read(path);
	assert_string_equal(text, "2026-01-31T12:00:00.123Z key=k item=196 quantity=1 result=ok order=100196 repeated=no trace=-\n"
		"1970-01-01T00:00:00.000Z key=a.b_c:d-e item=7 quantity=2 result=sold_out order=- repeated=yes trace=-\n");
	free(text);
}

static void *write_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < LINES; i++)
		write_one(100 + i);
	return NULL;
}

/* Counts the lines of a file, all of which must be whole. */
static int count_lines(const char *name)
{
	char *text = temporary_folder_read(name);
	int count = 0;
	for (const char *line = text; *line != '\0'; count++) {
		size_t len = strcspn(line, "\n");
		assert_memory_equal(line, "2026-01-31T12:00:00.123Z key=k item=", 36);
		assert_memory_equal(line + len - 20, " repeated=no trace=-\n", 21);
		line += len + 1;
	}
	free(text);
	return count;
}

static void keeps_lines_whole_and_loses_none(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	/* Four files hold all lines, a fifth is being written: nothing is dropped yet. */
	line_log_open(&transactions, "transaction log", path, (THREADS * LINES * LINE_LEN) / 4);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&transactions.lines), THREADS * LINES);
	assert_int_equal(atomic_load(&transactions.lost), 0);
	line_log_close(&transactions);
	int count = count_lines(path), files = 1;
	for (; files < LINE_LOG_FILES; files++) {
		char name[PATH_MAX + 16];
		snprintf(name, sizeof name, "%s.%d", path, files);
		if (access(name, F_OK) != 0)
			break;
		count += count_lines(name);
	}
	assert_true(files > 2);
	assert_int_equal(count, THREADS * LINES);
}

static void keeps_so_many_files(void **state)
{
	(void)state;
	line_log_open(&transactions, "transaction log", path, 100);
	for (int i = 0; i < 40; i++)
		write_one(i);
	line_log_close(&transactions);
	char name[PATH_MAX + 16];
	snprintf(name, sizeof name, "%s.%d", path, LINE_LOG_FILES - 1);
	assert_int_equal(access(name, F_OK), 0);
	snprintf(name, sizeof name, "%s.%d", path, LINE_LOG_FILES);
	assert_int_not_equal(access(name, F_OK), 0);
}

static void starts_on_a_fresh_line_after_a_torn_one(void **state)
{
	(void)state;
	temporary_folder_write(&folder, "t.log", "2026-01-31T12:00:00.1", 0600, path);
	line_log_open(&transactions, "transaction log", path, LINE_LOG_MAX_BYTES);
	write_one(1);
	line_log_close(&transactions);
	char *text = temporary_folder_read(path);
	assert_string_equal(text, "2026-01-31T12:00:00.1\n2026-01-31T12:00:00.123Z key=k item=1 quantity=1 result=ok order=100001 repeated=no trace=-\n");
	free(text);
}

static void counts_what_it_can_not_write(void **state)
{
	(void)state;
	line_log_open(&transactions, "transaction log", "/dev/full", LINE_LOG_MAX_BYTES);
	write_one(1);
	write_one(2);
	assert_int_equal(atomic_load(&transactions.lost), 2);
	assert_int_not_equal(atomic_load(&transactions.last_errno), 0);
	line_log_close(&transactions);
}

static void opens_again_when_it_can(void **state)
{
	(void)state;
	char sub[PATH_MAX], file[PATH_MAX + 16];
	snprintf(sub, sizeof sub, "%s/later", folder.path);
	snprintf(file, sizeof file, "%s/t.log", sub);
	line_log_open(&transactions, "transaction log", file, LINE_LOG_MAX_BYTES);
	write_one(1);
	assert_int_equal(atomic_load(&transactions.lost), 1);
	assert_int_equal(mkdir(sub, 0700), 0);
	write_one(2);
	assert_int_equal(atomic_load(&transactions.lost), 1);
	assert_int_equal(atomic_load(&transactions.last_errno), 0);
	line_log_close(&transactions);
	assert_int_equal(count_lines(file), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_lines), TEST(keeps_lines_whole_and_loses_none), TEST(keeps_so_many_files),
		TEST(starts_on_a_fresh_line_after_a_torn_one), TEST(counts_what_it_can_not_write), TEST(opens_again_when_it_can),
	};
	diagnostics_init("test", (enum diagnostics_level)(DIAGNOSTICS_ERROR + 1));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
