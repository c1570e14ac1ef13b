/* sequencer: whatever order values come in, of whatever log, each is judged as what it is. */
#include "tests/unit/support.h"

#include "db/sequencer.h"

#define CLUSTER 7
#define CREATED 10

static struct etcd_position position_of(uint64_t version, uint64_t mod_revision)
{
	return (struct etcd_position){ .cluster_id = CLUSTER, .header_revision = mod_revision, .create_revision = CREATED,
				       .mod_revision = mod_revision, .version = version };
}

static enum sequence judge(const struct sequencer *sequencer, uint64_t version, uint64_t mod_revision)
{
	struct etcd_position position = position_of(version, mod_revision);
	return sequencer_judge(sequencer, &position);
}

/* Base index 100; versions 1 to 5 are applied, at the revisions 10, 12, 14, 16, 18. */
static struct sequencer in_the_middle(void)
{
	return (struct sequencer){ .cluster_id = CLUSTER, .create_revision = CREATED, .base_index = 100, .applied_index = 105, .mod_revision = 18 };
}

static void test_values_of_the_log(void **state)
{
	(void)state;
	struct sequencer sequencer = in_the_middle();
	assert_int_equal(judge(&sequencer, 6, 19), SEQUENCE_NEXT);
	assert_int_equal(judge(&sequencer, 6, 1000), SEQUENCE_NEXT);
	assert_int_equal(judge(&sequencer, 5, 18), SEQUENCE_KNOWN);
	assert_int_equal(judge(&sequencer, 4, 16), SEQUENCE_KNOWN);
	assert_int_equal(judge(&sequencer, 1, 10), SEQUENCE_KNOWN);
	assert_int_equal(judge(&sequencer, 7, 20), SEQUENCE_GAP);
	assert_int_equal(judge(&sequencer, 1000, 5000), SEQUENCE_GAP);
}

static void test_contradictions(void **state)
{
	(void)state;
	struct sequencer sequencer = in_the_middle();
	assert_int_equal(judge(&sequencer, 6, 18), SEQUENCE_IMPOSSIBLE);      /* a new value at an old revision */
	assert_int_equal(judge(&sequencer, 6, 16), SEQUENCE_IMPOSSIBLE);
	assert_int_equal(judge(&sequencer, 7, 19), SEQUENCE_IMPOSSIBLE);      /* no room for the one in between */
	assert_int_equal(judge(&sequencer, 5, 19), SEQUENCE_IMPOSSIBLE);      /* the applied one elsewhere */
	assert_int_equal(judge(&sequencer, 4, 18), SEQUENCE_IMPOSSIBLE);
	assert_int_equal(judge(&sequencer, 4, 30), SEQUENCE_IMPOSSIBLE);
	assert_int_equal(judge(&sequencer, 0, 30), SEQUENCE_IMPOSSIBLE);      /* a deleted key */
	assert_int_equal(judge(&sequencer, 1, 11), SEQUENCE_IMPOSSIBLE);      /* the first value is the creation */
	assert_int_equal(judge(&sequencer, 2, 10), SEQUENCE_IMPOSSIBLE);      /* and no other one */
	assert_int_equal(judge(&sequencer, 3, 9), SEQUENCE_IMPOSSIBLE);
	assert_int_equal(judge(&sequencer, UINT64_MAX, UINT64_MAX), SEQUENCE_IMPOSSIBLE);
}

static void test_other_logs(void **state)
{
	(void)state;
	struct sequencer sequencer = in_the_middle();
	struct etcd_position position = position_of(6, 19);
	position.cluster_id++;
	assert_int_equal(sequencer_judge(&sequencer, &position), SEQUENCE_OTHER_LOG);
	position = position_of(6, 19);
	position.create_revision--;
	assert_int_equal(sequencer_judge(&sequencer, &position), SEQUENCE_OTHER_LOG);
	/* A log that was begun anew must not look as if it were applied already. */
	position = (struct etcd_position){ .cluster_id = CLUSTER, .create_revision = 40, .mod_revision = 40, .version = 1 };
	assert_int_equal(sequencer_judge(&sequencer, &position), SEQUENCE_OTHER_LOG);
	position.cluster_id = 0;
	assert_int_equal(sequencer_judge(&sequencer, &position), SEQUENCE_IMPOSSIBLE);
}

static void test_a_database_without_a_log(void **state)
{
	(void)state;
	struct sequencer sequencer = { .applied_index = 50 };
	struct etcd_position first = position_of(1, CREATED);
	assert_int_equal(judge(&sequencer, 2, 11), SEQUENCE_GAP);
	assert_int_equal(judge(&sequencer, 60, 90), SEQUENCE_GAP);
	assert_int_equal(sequencer_judge(&sequencer, &first), SEQUENCE_NEXT);
	assert_int_equal(sequencer_index(&sequencer, &first), 51);
	sequencer_advance(&sequencer, &first);
	assert_int_equal(sequencer.base_index, 50);
	assert_int_equal(sequencer.applied_index, 51);
	assert_int_equal(sequencer.cluster_id, CLUSTER);
	assert_int_equal(sequencer.create_revision, CREATED);
	assert_int_equal(sequencer_judge(&sequencer, &first), SEQUENCE_KNOWN);
	assert_int_equal(judge(&sequencer, 2, 11), SEQUENCE_NEXT);
}

/* Values of a real log in any order, repeated and left out: exactly the missing ones are next, in their order. */
static void test_any_order(void **state)
{
	enum { VALUES = 60 };
	uint64_t seed = test_seed(__func__), revisions[VALUES + 1] = { 0, CREATED };
	(void)state;
	for (int round = 0; round < 200; round++) {
		struct sequencer sequencer = { .applied_index = 5 };
		uint64_t applied = 0;
		for (int v = 2; v <= VALUES; v++)
			revisions[v] = revisions[v - 1] + (uint64_t)test_random_in(&seed, 1, 4);
		for (int step = 0; step < 20 * VALUES; step++) {
			uint64_t version = (uint64_t)test_random_in(&seed, 1, VALUES);
			struct etcd_position position = position_of(version, revisions[version]);
			enum sequence sequence = sequencer_judge(&sequencer, &position);
			if (version == applied + 1) {
				assert_int_equal(sequence, SEQUENCE_NEXT);
				assert_int_equal(sequencer_index(&sequencer, &position), 5 + version);
				sequencer_advance(&sequencer, &position);
				applied++;
			} else {
				assert_int_equal(sequence, version <= applied ? SEQUENCE_KNOWN : SEQUENCE_GAP);
			}
			assert_int_equal(sequencer.applied_index, 5 + applied);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_of_the_log),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_other_logs),
		cmocka_unit_test(test_a_database_without_a_log),
		cmocka_unit_test(test_any_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
