/* arena: alignment, its maximum, and what a reset keeps. */
#include "tests/unit/support.h"

#include "db/arena.h"

static void test_memory_is_aligned_and_apart(void **state)
{
	(void)state;
	struct arena arena;
	char *before = NULL;
	arena_init(&arena, (size_t)1024 * 1024);
	for (size_t size = 1; size < 3000; size = size * 3 / 2 + 1) {
		char *taken = arena_take(&arena, size);
		assert_non_null(taken);
		assert_int_equal((uintptr_t)taken % _Alignof(max_align_t), 0);
		assert_ptr_not_equal(taken, before);
		memset(taken, (int)size, size);
		before = taken;
	}
	arena_close(&arena);
}

static void test_the_maximum(void **state)
{
	(void)state;
	struct arena arena;
	size_t taken = 0;
	arena_init(&arena, 100000);
	while (arena_take(&arena, 1000) != NULL)
		taken += 1000;
	assert_in_range(taken, 80000, 100000);
	assert_true(arena.allocated_bytes <= 100000);
	assert_null(arena_take(&arena, 100001));
	assert_null(arena_take(&arena, SIZE_MAX));
	assert_null(arena_take(&arena, SIZE_MAX - 5));
	arena_close(&arena);
	arena_init(&arena, 100000);
	assert_non_null(arena_take(&arena, 100000));
	assert_null(arena_take(&arena, 1));
	arena_close(&arena);
	arena_init(&arena, 0);
	assert_null(arena_take(&arena, 1));
	assert_null(arena_copy(&arena, SLICE_LITERAL("x")).ptr);
	assert_null(arena_printf(&arena, "%d", 1).ptr);
	arena_close(&arena);
}

static void test_reset_makes_room_and_keeps_little(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 200000);
	for (int round = 0; round < 100; round++) {
		assert_non_null(arena_take(&arena, 10));
		assert_non_null(arena_take(&arena, 90000));
		assert_non_null(arena_take(&arena, 50000));
		arena_reset(&arena);
		assert_true(arena.allocated_bytes <= 16 * 1024);
	}
	arena_close(&arena);
	assert_int_equal(arena.allocated_bytes, 0);
	assert_non_null(arena_take(&arena, 10));      /* usable again after close */
	arena_close(&arena);
}

static void test_reset_drops_a_first_chunk_that_is_large(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 200000);
	assert_non_null(arena_take(&arena, 150000));
	arena_reset(&arena);
	assert_int_equal(arena.allocated_bytes, 0);
	arena_reset(&arena);
	arena_close(&arena);
}

static void test_copy_and_printf(void **state)
{
	(void)state;
	struct arena arena;
	char original[] = "a\0b";
	arena_init(&arena, 100000);
	struct slice copy = arena_copy(&arena, (struct slice){ original, 3 });
	original[0] = 'x';
	assert_int_equal(copy.len, 3);
	assert_memory_equal(copy.ptr, "a\0b", 4);
	struct slice empty = arena_copy(&arena, SLICE_EMPTY);
	assert_non_null(empty.ptr);
	assert_int_equal(empty.len, 0);
	assert_int_equal(empty.ptr[0], '\0');
	struct slice printed = arena_printf(&arena, "%s-%05d", "text", 42);
	assert_int_equal(printed.len, 10);
	assert_string_equal(printed.ptr, "text-00042");
	struct slice large = arena_printf(&arena, "%50000d", 1);
	assert_int_equal(large.len, 50000);
	assert_int_equal(strlen(large.ptr), 50000);
	arena_close(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_aligned_and_apart),
		cmocka_unit_test(test_the_maximum),
		cmocka_unit_test(test_reset_makes_room_and_keeps_little),
		cmocka_unit_test(test_reset_drops_a_first_chunk_that_is_large),
		cmocka_unit_test(test_copy_and_printf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
