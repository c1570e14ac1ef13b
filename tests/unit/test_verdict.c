/* verdict: every combination of up to 9 members, against the rule in words. */
#include "tests/unit/support.h"

#include "db/verdict.h"

static void examples(void **state)
{
	(void)state;
	assert_int_equal(verdict_of(1, 0, 0), VERDICT_AGREES);
	assert_int_equal(verdict_of(2, 0, 1), VERDICT_IN_DOUBT);
	assert_int_equal(verdict_of(3, 0, 0), VERDICT_AGREES);
	assert_int_equal(verdict_of(3, 1, 1), VERDICT_AGREES);
	assert_int_equal(verdict_of(3, 0, 1), VERDICT_IN_DOUBT);
	assert_int_equal(verdict_of(3, 0, 2), VERDICT_DIVERGED);
	assert_int_equal(verdict_of(4, 1, 2), VERDICT_IN_DOUBT);
	assert_int_equal(verdict_of(4, 0, 3), VERDICT_DIVERGED);
	assert_int_equal(verdict_of(5, 1, 1), VERDICT_IN_DOUBT);
	assert_int_equal(verdict_of(5, 2, 2), VERDICT_AGREES);
	assert_int_equal(verdict_of(5, 1, 3), VERDICT_DIVERGED);
}

/* When `wrong` members hold another state than the others and all are compared, the majority stays and the minority goes. */
static void majorities_decide(void **state)
{
	(void)state;
	for (int configured = 1; configured <= 9; configured++)
		for (int wrong = 0; wrong <= configured; wrong++) {
			int right = configured - wrong;
			if (right > 0) {
				enum verdict of_right = verdict_of(configured, right - 1, wrong);
				if (2 * right > configured)
					assert_int_equal(of_right, VERDICT_AGREES);
				else
					assert_int_equal(of_right, 2 * wrong > configured ? VERDICT_DIVERGED : VERDICT_IN_DOUBT);
			}
		}
}

/* Never do two that differ both stay, whatever is known of the others. */
static void two_that_differ_never_both_stay(void **state)
{
	(void)state;
	for (int configured = 2; configured <= 9; configured++)
		for (int with_one = 0; with_one <= configured - 2; with_one++)
			for (int with_other = 0; with_one + with_other <= configured - 2; with_other++)
				assert_false(verdict_of(configured, with_one, with_other + 1) == VERDICT_AGREES &&
					     verdict_of(configured, with_other, with_one + 1) == VERDICT_AGREES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(majorities_decide),
		cmocka_unit_test(two_that_differ_never_both_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
