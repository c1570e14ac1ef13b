/* id_set, import_chunk, new_key, list paths, durations and progress: the small parts of longer commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/pygmy/id_set.h"
#include "client/pygmy/import_chunk.h"
#include "client/pygmy/list.h"
#include "client/pygmy/new_key.h"
#include "client/pygmy/progress.h"
#include "client/pygmy/store_status.h"
#include "db/limits.h"

static void rising_ids_are_one_range(void **state)
{
	struct id_set set;
	(void)state;
	id_set_init(&set);
	assert_false(id_set_has(&set, 1));
	for (int64_t id = 5; id <= 100000; id++)
		assert_true(id_set_add(&set, id));
	assert_int_equal(set.count, 1);
	assert_false(id_set_has(&set, 4));
	assert_true(id_set_has(&set, 5));
	assert_true(id_set_has(&set, 100000));
	assert_false(id_set_has(&set, 100001));
	id_set_close(&set);
}

/* A permutation with gaps: i * 7919 mod 10007 runs through all residues; the multiples of 3 are left out. */
static void any_order_is_a_set(void **state)
{
	struct id_set set;
	(void)state;
	id_set_init(&set);
	for (int64_t i = 0; i < 2 * 10007; i++) {
		int64_t id = i * 7919 % 10007;
		if (id % 3 != 0)
			assert_true(id_set_add(&set, id));
	}
	for (int64_t id = 0; id < 10010; id++)
		assert_int_equal(id_set_has(&set, id), id < 10007 && id % 3 != 0);
	assert_true(id_set_add(&set, 3));
	assert_true(id_set_has(&set, 3));
	assert_false(id_set_has(&set, 6));
	id_set_close(&set);
}

static void chunks_keep_the_limits(void **state)
{
	static const char item[] = "{\"id\":1}";
	struct import_chunk chunk;
	struct catalogue_entry entry = { .json = item, .json_len = sizeof(item) - 1, .id = 10, .number = 4, .line = 9 };
	(void)state;
	import_chunk_init(&chunk);
	import_chunk_begin(&chunk);
	assert_true(import_chunk_add(&chunk, &entry));
	entry.id = 5;
	entry.number = 5;
	assert_true(import_chunk_add(&chunk, &entry));
	assert_int_equal(chunk.count, 2);
	assert_int_equal(chunk.least_id, 5);
	assert_int_equal(chunk.greatest_id, 10);
	assert_int_equal(chunk.first_number, 4);
	assert_int_equal(chunk.last_number, 5);
	assert_int_equal(chunk.first_line, 9);
	assert_true(import_chunk_end(&chunk, "import"));
	assert_string_equal(text_borrow(&chunk.body), "{\"items\":[{\"id\":1},{\"id\":1}]}");
	assert_string_equal(chunk.key, "import-4");
	import_chunk_begin(&chunk);
	while (import_chunk_add(&chunk, &entry))
		continue;
	assert_int_equal(chunk.count, IMPORT_ITEMS_MAX);
	assert_true(import_chunk_end(&chunk, "import"));
	import_chunk_close(&chunk);
}

static void long_items_fill_a_chunk_by_bytes(void **state)
{
	struct import_chunk chunk;
	char *item = malloc(CATALOGUE_READER_ITEM_MAX_BYTES);
	(void)state;
	assert_non_null(item);
	memset(item, 'x', CATALOGUE_READER_ITEM_MAX_BYTES);
	const struct catalogue_entry entry = { .json = item, .json_len = CATALOGUE_READER_ITEM_MAX_BYTES, .id = 1, .number = 1 };
	import_chunk_init(&chunk);
	import_chunk_begin(&chunk);
	while (import_chunk_add(&chunk, &entry))
		continue;
	assert_int_equal(chunk.count, IMPORT_BODY_MAX_BYTES / CATALOGUE_READER_ITEM_MAX_BYTES - 1);
	assert_true(import_chunk_end(&chunk, "import"));
	assert_true(chunk.body.len <= IMPORT_BODY_MAX_BYTES);
	import_chunk_close(&chunk);
	free(item);
}

static void overlaps_are_seen(void **state)
{
	const struct import_chunk a = { .least_id = 1, .greatest_id = 5 }, b = { .least_id = 5, .greatest_id = 9 },
				  c = { .least_id = 6, .greatest_id = 7 };
	(void)state;
	assert_true(import_chunks_overlap(&a, &b));
	assert_true(import_chunks_overlap(&b, &a));
	assert_true(import_chunks_overlap(&b, &c));
	assert_false(import_chunks_overlap(&a, &c));
	assert_false(import_chunks_overlap(&c, &a));
}

static void keys_are_new_and_valid(void **state)
{
	char one[NEW_KEY_BYTES], two[NEW_KEY_BYTES];
	char longest[REQUEST_KEY_MAX_BYTES + 2];
	(void)state;
	assert_true(new_key_make(one));
	assert_true(new_key_make(two));
	assert_true(new_key_is_valid(one));
	assert_string_not_equal(one, two);
	assert_true(new_key_is_valid("aZ0._:-"));
	assert_false(new_key_is_valid(""));
	assert_false(new_key_is_valid("a b"));
	assert_false(new_key_is_valid("a\n"));
	memset(longest, 'a', sizeof(longest));
	longest[REQUEST_KEY_MAX_BYTES + 1] = '\0';
	assert_false(new_key_is_valid(longest));
	longest[REQUEST_KEY_MAX_BYTES] = '\0';
	assert_true(new_key_is_valid(longest));
}

static void check_path(const struct list *list, int64_t cursor, const char *expected)
{
	struct text path = TEXT_INIT(200);
	assert_true(list_page_path(list, cursor, &path));
	assert_string_equal(text_borrow(&path), expected);
	text_close(&path);
}

static void pages_have_paths(void **state)
{
	struct list list = { .path = "/item", .cursor_name = "after", .limit = ARGS_NOT_GIVEN };
	(void)state;
	check_path(&list, ARGS_NOT_GIVEN, "/item");
	check_path(&list, 7, "/item?after=7");
	list.all = true;
	check_path(&list, 7, "/item?limit=1000&after=7");
	list.limit = 3;
	list.path = "/search?topic=a%26b";
	check_path(&list, 7, "/search?topic=a%26b&limit=3&after=7");
}

static void durations_have_two_units(void **state)
{
	struct text text = TEXT_INIT(200);
	(void)state;
	duration_append(&text, -5);
	(void)text_append_string(&text, "|");
	duration_append(&text, 75999);
	(void)text_append_string(&text, "|");
	duration_append(&text, 3600000 + 5 * 60000);
	(void)text_append_string(&text, "|");
	duration_append(&text, INT64_C(86400000) * 3 + 3600000 * 4);
	assert_string_equal(text_borrow(&text), "0s|1m 15s|1h 05m|3d 04h");
	text_close(&text);
}

static void check_progress(bool is_terminal, uint64_t total, uint64_t items, uint64_t done, const char *expected)
{
	struct progress progress;
	struct text text = TEXT_INIT(200);
	progress_init(&progress, stderr, is_terminal, false, "loaded", total, 1000);
	progress_format(&progress, items, done, 3000, &text);
	assert_string_equal(text_borrow(&text), expected);
	text_close(&text);
}

static void progress_is_formatted(void **state)
{
	(void)state;
	check_progress(true, 1000, 1234567, 500, "[###############...............]  50%  1,234,567 items loaded, 617,283/s, 2 s left");
	check_progress(false, 1000, 999, 1000, "100%  999 items loaded, 499/s");
	check_progress(true, 0, 1000, 5, "1,000 items loaded, 500/s");
	check_progress(true, 10, 1, 20, "[##############################] 100%  1 items loaded, 0/s");
}

/* What is written, and when. */
static void progress_is_shown_in_time(void **state)
{
	char *shown;
	size_t len;
	struct progress progress;
	FILE *stream = open_memstream(&shown, &len);
	(void)state;
	assert_non_null(stream);
	assert_int_equal(fflush(stream), 0);
	progress_init(&progress, stream, true, false, "loaded", 100, 0);
	progress_update(&progress, 1, 1, 499);
	assert_int_equal(len, 0);
	progress_update(&progress, 1, 1, 500);
	assert_int_equal(shown[0], '\r');
	size_t once = len;
	progress_update(&progress, 2, 2, 550);
	assert_int_equal(len, once);
	progress_wipe(&progress);
	assert_string_equal(shown + len - 4, "\r\033[K");
	once = len;
	progress_wipe(&progress);
	assert_int_equal(len, once);
	progress_init(&progress, stream, false, true, "loaded", 100, 0);
	progress_update(&progress, 1, 1, 100000);
	assert_int_equal(len, once);
	(void)fclose(stream);
	free(shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rising_ids_are_one_range), cmocka_unit_test(any_order_is_a_set), cmocka_unit_test(chunks_keep_the_limits),
		cmocka_unit_test(long_items_fill_a_chunk_by_bytes), cmocka_unit_test(overlaps_are_seen), cmocka_unit_test(keys_are_new_and_valid),
		cmocka_unit_test(pages_have_paths), cmocka_unit_test(durations_have_two_units), cmocka_unit_test(progress_is_formatted),
		cmocka_unit_test(progress_is_shown_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
