/* The keepers of several nodes on one etcd and one clock: who differs is found, steps out, and is rebuilt; the others stay. */
#include "tests/unit/keeper_frame.h"

#define FOUND_MS 2000                 /* what users are promised */

static void start(int count)
{
	static const char *const names[] = { "A", "B", "C", "D", "E" };
	for (int i = 0; i < count; i++)
		node_start(names[i]);
	configure(&"ABCDE"[0]);
	for (int i = 0; i < count; i++)
		nodes[i].configured_count = (size_t)count;
	run_for(2000, apply_all);
	for (int i = 0; i < count; i++)
		assert_int_equal(phase_of(&nodes[i]), NODE_READY);
}

/* A bit is flipped in a row of the node; the next write to it shows that in the chain. */
static void flip(struct node *node, uint8_t flip)
{
	node->flipped_at = world.log.version + 1;
	node->flip = flip;
	write_entries(1);
}

/* Rebuilt by a snapshot: first it says so, then it has the others' state. */
static void rebuild(struct node *node)
{
	node_state_set_phase(node->keeper.state, NODE_LOADING_SNAPSHOT);
	run_for(1000, apply_all);
	node->flipped_at = 0;
	node_state_set_phase(node->keeper.state, NODE_CATCHING_UP);
	node_applies(node, world.log.version);
}

static void a_flipped_bit_is_found_in_time(void **state)
{
	(void)state;
	uint64_t seed = test_seed("a_flipped_bit_is_found_in_time");
	start(3);
	for (int i = 0; i < 50; i++) {
		struct node *node = &nodes[test_random_in(&seed, 0, 2)];
		int rebuilds = node->rebuilds;
		run_for(test_random_in(&seed, 0, 1500), apply_all);
		flip(node, 1);
		int64_t flipped_ms = now_ms;
		while (phase_of(node) != NODE_DIVERGED)
			run_for(1, apply_all);
		assert_true(now_ms - flipped_ms < FOUND_MS);
		assert_int_equal(node->rebuilds, rebuilds + 1);
		rebuild(node);
		run_for(3000, apply_all);
		for (int n = 0; n < 3; n++)
			assert_int_equal(phase_of(&nodes[n]), NODE_READY);
	}
}

/* Rebuilt in no time: nobody sees it do so. */
static void heal_who_is_told_to(void)
{
	apply_all();
	for (int i = 0; i < node_count; i++) {
		struct node *node = &nodes[i];
		if (node->rebuilds == 0)
			continue;
		assert_true(node->flipped_at != 0);
		node->rebuilds = 0;
		node->flipped_at = 0;
		node_state_set_phase(node->keeper.state, NODE_CATCHING_UP);
		node_applies(node, world.log.version);
	}
}

/* Whoever is right is never told to rebuild itself, also when two others differ from it: one was healed a moment ago, one is wrong now. */
static void only_who_is_wrong_is_rebuilt(void **state)
{
	(void)state;
	uint64_t seed = test_seed("only_who_is_wrong_is_rebuilt");
	start(3);
	for (int i = 0; i < 300; i++) {
		struct node *node = &nodes[test_random_in(&seed, 0, 2)];
		flip(node, (uint8_t)test_random_in(&seed, 1, 255));
		int64_t limit_ms = now_ms + 10000;
		while (node->flipped_at != 0 && now_ms < limit_ms) {
			run_for(1, heal_who_is_told_to);
			if (test_random_in(&seed, 0, 400) == 0)
				write_entries(1);
		}
		assert_int_equal(node->flipped_at, 0);
		run_for(test_random_in(&seed, 0, 600), heal_who_is_told_to);
	}
}

static enum node_phase forbidden;
static bool forbidden_seen;

static void watch_a(void)
{
	apply_all();
	forbidden_seen = forbidden_seen || phase_of(&nodes[0]) == forbidden;
}

static void the_right_ones_stay(void **state)
{
	(void)state;
	start(3);
	forbidden = NODE_IN_DOUBT;
	forbidden_seen = false;
	flip(&nodes[1], 1);
	run_for(20000, watch_a);
	assert_false(forbidden_seen);
	assert_int_equal(phase_of(&nodes[0]), NODE_READY);
	assert_int_equal(phase_of(&nodes[2]), NODE_READY);
	/* It is told to rebuild itself again when it does not. */
	assert_in_range(nodes[1].rebuilds, 2, 3);
	char *log = log_of(&nodes[0]);
	assert_int_equal(times_in(log, "diverged B"), 1);
	free(log);
}

static void one_against_one_both_step_out(void **state)
{
	(void)state;
	start(2);
	flip(&nodes[1], 1);
	run_for(FOUND_MS, apply_all);
	assert_int_equal(phase_of(&nodes[0]), NODE_IN_DOUBT);
	assert_int_equal(phase_of(&nodes[1]), NODE_IN_DOUBT);
	assert_int_equal(nodes[0].rebuilds + nodes[1].rebuilds, 0);
	run_for(30000, apply_all);
	assert_int_equal(phase_of(&nodes[0]), NODE_IN_DOUBT);
	/* A person removes the wrong one. */
	configure("A");
	run_for(1000, apply_all);
	assert_int_equal(phase_of(&nodes[0]), NODE_READY);
	assert_int_equal(phase_of(&nodes[1]), NODE_NOT_A_MEMBER);
	char *log = log_of(&nodes[0]);
	assert_int_equal(times_in(log, "in doubt A"), 1);
	assert_int_equal(times_in(log, "in doubt B"), 1);
	free(log);
}

static void a_third_one_that_comes_decides(void **state)
{
	(void)state;
	start(3);
	node_stop(&nodes[2]);
	run_for(5000, apply_all);
	flip(&nodes[1], 1);
	run_for(FOUND_MS, apply_all);
	assert_int_equal(phase_of(&nodes[0]), NODE_IN_DOUBT);
	assert_int_equal(phase_of(&nodes[1]), NODE_IN_DOUBT);
	nodes[2].runs = true;
	run_for(3000, apply_all);
	assert_int_equal(phase_of(&nodes[0]), NODE_READY);
	assert_int_equal(phase_of(&nodes[1]), NODE_DIVERGED);
	assert_int_equal(nodes[1].rebuilds, 1);
}

static void hold_c_back(void)
{
	for (int i = 0; i < 2; i++)
		if (nodes[i].applied < world.log.version)
			node_applies(&nodes[i], world.log.version);
}

static void one_that_is_behind_is_waited_for_a_moment(void **state)
{
	(void)state;
	start(3);
	nodes[1].flipped_at = world.log.version + 1;
	nodes[1].flip = 1;
	world.log.version++;
	run_for(600, hold_c_back);
	assert_int_equal(phase_of(&nodes[0]), NODE_READY);
	run_for(2500, hold_c_back);
	assert_int_equal(phase_of(&nodes[0]), NODE_IN_DOUBT);
	assert_int_equal(phase_of(&nodes[1]), NODE_IN_DOUBT);
	run_for(2000, apply_all);
	assert_int_equal(phase_of(&nodes[0]), NODE_READY);
	assert_int_equal(phase_of(&nodes[1]), NODE_DIVERGED);
	assert_int_equal(phase_of(&nodes[2]), NODE_READY);
}

static void two_of_five_go_and_three_stay(void **state)
{
	(void)state;
	start(5);
	nodes[1].flipped_at = nodes[3].flipped_at = world.log.version + 1;
	nodes[1].flip = 1;
	nodes[3].flip = 2;
	write_entries(1);
	run_for(FOUND_MS, apply_all);
	assert_int_equal(phase_of(&nodes[0]), NODE_READY);
	assert_int_equal(phase_of(&nodes[1]), NODE_DIVERGED);
	assert_int_equal(phase_of(&nodes[2]), NODE_READY);
	assert_int_equal(phase_of(&nodes[3]), NODE_DIVERGED);
	assert_int_equal(phase_of(&nodes[4]), NODE_READY);
}

static void write_sometimes(void)
{
	static int64_t last_ms;
	if (now_ms - last_ms >= 7) {
		write_entries(3);
		last_ms = now_ms;
	}
}

static void under_load_it_is_found_too(void **state)
{
	(void)state;
	start(3);
	run_for(5000, write_sometimes);
	flip(&nodes[2], 4);
	int64_t flipped_ms = now_ms;
	while (phase_of(&nodes[2]) != NODE_DIVERGED)
		run_for(1, write_sometimes);
	assert_true(now_ms - flipped_ms < FOUND_MS);
	assert_int_equal(phase_of(&nodes[0]), NODE_READY);
	assert_int_equal(phase_of(&nodes[1]), NODE_READY);
}

static void nothing_is_said_while_it_is_rebuilt(void **state)
{
	(void)state;
	start(3);
	flip(&nodes[0], 1);
	run_for(FOUND_MS, apply_all);
	assert_int_equal(nodes[0].rebuilds, 1);
	node_state_set_phase(nodes[0].keeper.state, NODE_LOADING_SNAPSHOT);
	run_for(60000, apply_all);
	assert_int_equal(nodes[0].rebuilds, 1);
	assert_int_equal(phase_of(&nodes[0]), NODE_LOADING_SNAPSHOT);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	const struct CMUnitTest tests[] = {
		frame_test(a_flipped_bit_is_found_in_time),
		frame_test(only_who_is_wrong_is_rebuilt),
		frame_test(the_right_ones_stay),
		frame_test(one_against_one_both_step_out),
		frame_test(a_third_one_that_comes_decides),
		frame_test(one_that_is_behind_is_waited_for_a_moment),
		frame_test(two_of_five_go_and_three_stay),
		frame_test(under_load_it_is_found_too),
		frame_test(nothing_is_said_while_it_is_rebuilt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
