/* Tests of db/pacer.c. */
#include "db/pacer.h"
#include "tests/unit/support.h"

static void test_first_put_does_not_wait(void **state)
{
	struct pacer pacer = { 0 };
	(void)state;
	assert_int_equal(pacer_gap_us(&pacer, 1000000), 0);
}

static void test_who_writes_alone_never_waits(void **state)
{
	struct pacer pacer = { 0 };
	(void)state;
	for (int64_t now_us = 1000000; now_us < 1100000; now_us += 4000) {
		pacer_note(&pacer, now_us, now_us + 4000, PACER_COMMANDS_MIN - 1);
		assert_int_equal(pacer_gap_us(&pacer, now_us + 4000), 0);
	}
}

static void test_many_wait_as_long_again_as_a_batch_takes(void **state)
{
	struct pacer pacer = { 0 };
	(void)state;
	pacer_note(&pacer, 1000000, 1004000, PACER_COMMANDS_MIN);
	assert_int_equal(pacer_gap_us(&pacer, 1004000), 4000);
	assert_int_equal(pacer_gap_us(&pacer, 1007000), 1000);
	assert_int_equal(pacer_gap_us(&pacer, 1008000), 0);
	assert_int_equal(pacer_gap_us(&pacer, 2000000), 0);
}

static void test_gap_grows_with_the_load_up_to_its_maximum(void **state)
{
	struct pacer pacer = { 0 };
	int64_t now_us = 1000000, last_us = 0;
	(void)state;
	for (int i = 0; i < 100; i++) {
		now_us += 100000;
		pacer_note(&pacer, now_us, now_us + i * 1000, 20);
		int64_t gap_us = pacer_gap_us(&pacer, now_us);
		assert_true(gap_us >= last_us);
		assert_true(gap_us <= PACER_GAP_MAX_US);
		last_us = gap_us;
	}
	assert_int_equal(last_us, PACER_GAP_MAX_US);
}

static void test_gap_shrinks_again(void **state)
{
	struct pacer pacer = { 0 };
	(void)state;
	pacer_note(&pacer, 1000000, 1500000, 20);
	for (int i = 0; i < 100; i++)
		pacer_note(&pacer, 2000000, 2002000, 20);
	assert_true(pacer_gap_us(&pacer, 2000000) < 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_put_does_not_wait),
		cmocka_unit_test(test_who_writes_alone_never_waits),
		cmocka_unit_test(test_many_wait_as_long_again_as_a_batch_takes),
		cmocka_unit_test(test_gap_grows_with_the_load_up_to_its_maximum),
		cmocka_unit_test(test_gap_shrinks_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
