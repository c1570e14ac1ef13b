/* comparison: pairs behind and ahead of us, members that come, go and are rebuilt, and what only seems to agree. */
#include "tests/unit/support.h"

#include "db/comparison.h"

/* The own replica: the chain at an index is made of the index and, from flipped_at on, of what was flipped. */
struct own {
	uint64_t first, applied;      /* remembered are [first, applied] */
	uint64_t flipped_at;          /* 0: never */
	uint8_t flip;
};

static void chain_of(uint64_t index, uint8_t flip, uint8_t chain[CHAIN_BYTES])
{
	memset(chain, (int)(index % 251), CHAIN_BYTES);
	chain[0] = flip;
}

static bool own_chain(void *context, uint64_t index, uint8_t chain[CHAIN_BYTES])
{
	const struct own *own = context;
	if (index < own->first || index > own->applied)
		return false;
	chain_of(index, own->flipped_at != 0 && index >= own->flipped_at ? own->flip : 0, chain);
	return true;
}

static struct member at(const char *name, uint64_t index, uint8_t flip)
{
	struct member member = { .phase = NODE_READY, .applied = index };
	snprintf(member.name, sizeof member.name, "%s", name);
	chain_of(index, flip, member.chain);
	return member;
}

/* It says that it agrees with another up to an index. */
static struct member with(struct member member, const char *name, uint64_t index)
{
	struct member_agreement *agreement = &member.agreements[member.agreement_count++];
	snprintf(agreement->name, sizeof agreement->name, "%s", name);
	agreement->index = index;
	return member;
}

static struct comparison comparison;

static int clear(void **state)
{
	(void)state;
	comparison_init(&comparison);
	return 0;
}

static struct comparison_result round_of(struct own *own, int configured, const struct member *members, size_t count)
{
	comparison_begin(&comparison);
	for (size_t i = 0; i < count; i++)
		comparison_see(&comparison, &members[i], true, own->applied);
	comparison_end(&comparison);
	return comparison_verdict(&comparison, configured, own_chain, own);
}

static void alone(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	assert_int_equal(round_of(&own, 3, NULL, 0).verdict, VERDICT_AGREES);
}

static void all_agree(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	struct comparison_result result = round_of(&own, 3, (struct member[]){ at("B", 10, 0), at("C", 9, 0) }, 2);
	assert_int_equal(result.verdict, VERDICT_AGREES);
	assert_int_equal(result.agree, 2);
	assert_int_equal(result.differs_at, 0);
}

static void the_one_that_differs_from_two_is_wrong(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10, .flipped_at = 8, .flip = 1 };
	struct comparison_result result = round_of(&own, 3, (struct member[]){ with(at("B", 10, 0), "C", 10), at("C", 9, 0) }, 2);
	assert_int_equal(result.verdict, VERDICT_DIVERGED);
	assert_int_equal(result.differs_at, 9);
	assert_string_equal(result.differs_from, "C");
}

static void two_that_may_differ_from_each_other_prove_nothing(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10, .flipped_at = 8, .flip = 1 };
	assert_int_equal(round_of(&own, 3, (struct member[]){ at("B", 10, 0), at("C", 9, 0) }, 2).verdict, VERDICT_IN_DOUBT);
	/* They agreed before, or with somebody who has no vote. */
	assert_int_equal(round_of(&own, 3, (struct member[]){ with(at("B", 10, 0), "C", 8), with(at("C", 9, 0), "B", 8) }, 2).verdict,
			 VERDICT_IN_DOUBT);
	assert_int_equal(round_of(&own, 3, (struct member[]){ with(at("B", 10, 0), "X", 10), with(at("C", 9, 0), "C", 10) }, 2).verdict,
			 VERDICT_IN_DOUBT);
}

/* Under load nobody publishes the same index: the first one at which it differs is what the agreement must reach. */
static void an_agreement_reaches_back(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 100, .flipped_at = 20, .flip = 1 };
	assert_int_equal(round_of(&own, 3, (struct member[]){ at("B", 10, 0), at("C", 12, 0) }, 2).agree, 2);
	assert_int_equal(round_of(&own, 3, (struct member[]){ with(at("B", 30, 0), "C", 12), with(at("C", 33, 0), "B", 10) }, 2).verdict,
			 VERDICT_IN_DOUBT);
	assert_int_equal(round_of(&own, 3, (struct member[]){ with(at("B", 50, 0), "C", 33), with(at("C", 55, 0), "B", 30) }, 2).verdict,
			 VERDICT_DIVERGED);
}

/* Not so over a rebuild: what it held before it, it does not hold any more. */
static void but_not_beyond_a_rebuild(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 100, .flipped_at = 40, .flip = 2 };
	struct member b = at("B", 30, 1);      /* wrong, then rebuilt, then right where we are wrong */
	assert_int_equal(round_of(&own, 3, (struct member[]){ b, at("C", 30, 0) }, 2).differ, 1);
	b = with(at("B", 50, 0), "C", 35);
	b.era = 1;
	assert_int_equal(round_of(&own, 3, (struct member[]){ b, at("C", 30, 0) }, 2).verdict, VERDICT_IN_DOUBT);
	b = with(at("B", 60, 0), "C", 50);
	b.era = 1;
	assert_int_equal(round_of(&own, 3, (struct member[]){ b, at("C", 55, 0) }, 2).verdict, VERDICT_DIVERGED);
}

static void agreements_are_told(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	struct member_agreement agreements[MEMBERS_MAX];
	round_of(&own, 3, (struct member[]){ at("B", 9, 0), at("C", 10, 1), at("D", 12, 0) }, 3);
	assert_int_equal(comparison_agreements(&comparison, agreements), 1);
	assert_string_equal(agreements[0].name, "B");
	assert_int_equal(agreements[0].index, 9);
}

static void the_two_stay_when_one_differs(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	assert_int_equal(round_of(&own, 3, (struct member[]){ at("B", 10, 1), at("C", 10, 0) }, 2).verdict, VERDICT_AGREES);
}

static void an_old_agreement_proves_nothing(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	/* C stopped at 5; at 9 B differs: whether B or we are wrong, C can't tell yet. */
	struct comparison_result result = round_of(&own, 3, (struct member[]){ at("B", 9, 1), at("C", 5, 0) }, 2);
	assert_int_equal(result.verdict, VERDICT_IN_DOUBT);
	result = round_of(&own, 3, (struct member[]){ at("B", 9, 1), at("C", 9, 0) }, 2);
	assert_int_equal(result.verdict, VERDICT_AGREES);
}

static void pairs_ahead_wait_for_us(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	for (uint64_t index = 20; index < 60; index += 2)
		assert_int_equal(round_of(&own, 3, (struct member[]){ at("B", index, 1), at("C", index, 1) }, 2).differ, 0);
	own.applied = 20;             /* the nearest ones were kept */
	assert_int_equal(round_of(&own, 3, (struct member[]){ with(at("B", 60, 1), "C", 60), at("C", 60, 1) }, 2).verdict, VERDICT_DIVERGED);
}

static void what_was_passed_makes_room(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 1000 };
	for (uint64_t index = 1; index <= 40; index++)
		assert_int_equal(round_of(&own, 2, (struct member[]){ at("B", index, 0) }, 1).agree, 1);
	assert_int_equal(round_of(&own, 2, (struct member[]){ at("B", 41, 1) }, 1).verdict, VERDICT_IN_DOUBT);
}

static void a_rebuilt_member_starts_anew(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	assert_int_equal(round_of(&own, 2, (struct member[]){ at("B", 9, 1) }, 1).verdict, VERDICT_IN_DOUBT);
	/* At the same index, and at an older one. */
	assert_int_equal(round_of(&own, 2, (struct member[]){ at("B", 9, 0) }, 1).verdict, VERDICT_AGREES);
	assert_int_equal(round_of(&own, 2, (struct member[]){ at("B", 10, 1) }, 1).verdict, VERDICT_IN_DOUBT);
	assert_int_equal(round_of(&own, 2, (struct member[]){ at("B", 7, 0) }, 1).verdict, VERDICT_AGREES);
}

static void our_own_rebuild_ends_the_difference(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10, .flipped_at = 5, .flip = 1 };
	struct member members[] = { at("B", 10, 0), with(at("C", 10, 0), "B", 10) };
	assert_int_equal(round_of(&own, 3, members, 2).verdict, VERDICT_DIVERGED);
	own.flipped_at = 0;
	assert_int_equal(round_of(&own, 3, members, 2).verdict, VERDICT_AGREES);
}

static void who_is_wrong_or_not_configured_has_no_vote(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	struct member wrong = at("B", 10, 1);
	wrong.phase = NODE_DIVERGED;
	assert_int_equal(round_of(&own, 2, &wrong, 1).verdict, VERDICT_AGREES);
	wrong.phase = NODE_LOADING_SNAPSHOT;
	assert_int_equal(round_of(&own, 2, &wrong, 1).verdict, VERDICT_AGREES);
	struct member stranger = at("X", 10, 1);
	comparison_begin(&comparison);
	comparison_see(&comparison, &stranger, false, 10);
	comparison_end(&comparison);
	assert_int_equal(comparison_verdict(&comparison, 1, own_chain, &own).verdict, VERDICT_AGREES);
}

static void who_left_is_forgotten(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	assert_int_equal(round_of(&own, 2, (struct member[]){ at("B", 9, 1) }, 1).verdict, VERDICT_IN_DOUBT);
	assert_int_equal(round_of(&own, 2, NULL, 0).verdict, VERDICT_AGREES);
	assert_int_equal(comparison.peer_count, 0);
}

static void what_we_do_not_remember_can_not_be_compared(void **state)
{
	(void)state;
	struct own own = { .first = 100, .applied = 200 };
	struct comparison_result result = round_of(&own, 2, (struct member[]){ at("B", 99, 1) }, 1);
	assert_int_equal(result.verdict, VERDICT_AGREES);
	assert_int_equal(result.agree, 0);
}

static void more_members_than_fit_are_left_out(void **state)
{
	(void)state;
	struct own own = { .first = 1, .applied = 10 };
	static struct member members[COMPARISON_PEERS_MAX + 5];
	for (int i = 0; i < COMPARISON_PEERS_MAX + 5; i++) {
		char name[NODE_NAME_MAX_BYTES + 1];
		snprintf(name, sizeof name, "n%d", i);
		members[i] = at(name, 10, 0);
	}
	assert_int_equal(round_of(&own, 3, members, COMPARISON_PEERS_MAX + 5).agree, COMPARISON_PEERS_MAX);
}

#define TEST(name) cmocka_unit_test_setup(name, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(alone), TEST(all_agree), TEST(the_one_that_differs_from_two_is_wrong),
		TEST(two_that_may_differ_from_each_other_prove_nothing), TEST(an_agreement_reaches_back), TEST(but_not_beyond_a_rebuild),
		TEST(agreements_are_told), TEST(the_two_stay_when_one_differs),
		TEST(an_old_agreement_proves_nothing), TEST(pairs_ahead_wait_for_us), TEST(what_was_passed_makes_room),
		TEST(a_rebuilt_member_starts_anew), TEST(our_own_rebuild_ends_the_difference),
		TEST(who_is_wrong_or_not_configured_has_no_vote), TEST(who_left_is_forgotten),
		TEST(what_we_do_not_remember_can_not_be_compared), TEST(more_members_than_fit_are_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
