/* The keeper's three parts on a clock of the test's own: positions and the quorum, heartbeats, audits, compaction and space. */
#include "tests/unit/keeper_frame.h"

static const struct node *watched;
static int64_t oldest_ms;

/* How old the newest completeness got. */
static void watch_age(void)
{
	apply_all();
	int64_t age_ms = now_ms - view_of(watched).complete_at_ms;
	oldest_ms = age_ms > oldest_ms ? age_ms : oldest_ms;
}

static int64_t oldest_within(const struct node *node, int64_t duration_ms)
{
	watched = node;
	oldest_ms = 0;
	run_for(duration_ms, watch_age);
	return oldest_ms;
}

static bool no_quorum_seen;

static void watch_quorum(void)
{
	no_quorum_seen = no_quorum_seen || !view_of(watched).quorum;
}

/* ---- positions ------------------------------------------------------------------------------------------ */

static void reads_are_fresh(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	run_for(100, NULL);
	assert_int_equal(phase_of(a), NODE_READY);
	assert_true(oldest_within(a, 10000) <= T_MS / 4 + 10);
	assert_true(view_of(a).quorum);
	assert_int_equal(a->drops, 0);
}

static void endpoints_that_hang_do_not_matter(void **state)
{
	(void)state;
	world.count = 5;
	struct node *a = node_start("A");
	configure("A");
	run_for(1000, NULL);
	world.endpoints[0] = ENDPOINT_HANGS;
	world.endpoints[1] = ENDPOINT_HANGS;
	watched = a;
	no_quorum_seen = false;
	run_for(3000, watch_quorum);
	assert_false(no_quorum_seen);
	assert_true(oldest_within(a, 30000) < T_MS);
	world.endpoints[1] = ENDPOINT_REFUSES;
	assert_true(oldest_within(a, 30000) < T_MS);
}

static void nor_do_four_of_nine(void **state)
{
	(void)state;
	world.count = 9;
	struct node *a = node_start("A");
	configure("A");
	for (int i = 0; i < 4; i++)
		world.endpoints[i] = ENDPOINT_HANGS;
	run_for(5000, NULL);
	assert_true(oldest_within(a, 30000) < T_MS);
}

static void a_lost_quorum_is_seen_and_its_return(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	run_for(3000, NULL);
	for (int i = 0; i < 3; i++)
		world.endpoints[i] = i == 1 ? ENDPOINT_REFUSES : ENDPOINT_HANGS;
	int64_t lost_ms = now_ms;
	while (view_of(a).quorum)
		run_for(1, NULL);
	assert_in_range(now_ms - lost_ms, T_MS / 4, 2000);
	run_for(20000, NULL);
	world.endpoints[2] = ENDPOINT_GOOD;
	int64_t back_ms = now_ms;
	while (!view_of(a).quorum)
		run_for(1, NULL);
	assert_true(now_ms - back_ms < 1500);
	run_for(1000, NULL);
	char *log = log_of(a);
	assert_int_equal(times_in(log, "quorum lost A"), 1);
	assert_int_equal(times_in(log, "quorum back A"), 1);
	free(log);
}

static void of_another_log_no_end_is_told(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	run_for(1000, NULL);
	int64_t complete_ms = view_of(a).complete_at_ms;
	world.log.create_revision++;
	run_for(3000, NULL);
	assert_true(view_of(a).complete_at_ms <= complete_ms + 600);
	assert_true(view_of(a).quorum);
}

static void a_watch_that_stands_is_dropped(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	a->audit_error = PYGMY_NOT_READY;
	run_for(1000, NULL);
	world.log.version = 5;
	run_for(T_MS / 4 + T_MS / 2 + T_MS / 4, NULL);
	assert_int_equal(a->drops, 1);
	run_for(T_MS / 2, NULL);
	assert_int_equal(a->drops, 2);
	node_applies(a, 5);
	run_for(10000, apply_all);
	assert_int_equal(a->drops, 2);
}

/* 1 of 10 entries of what it lacks every tenth of a second. */
static void apply_slowly(void)
{
	struct node *a = &nodes[0];
	if (now_ms % 100 == 0 && a->applied < world.log.version)
		node_applies(a, a->applied + (world.log.version - a->applied + 9) / 10);
}

static void one_that_catches_up_is_left_alone(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	run_for(1000, NULL);
	world.log.version = 100000;
	run_for(10000, apply_slowly);
	assert_int_equal(a->drops, 0);
}

/* ---- heartbeats ----------------------------------------------------------------------------------------- */

static bool has_record(const char *name)
{
	char key[64];
	snprintf(key, sizeof key, CLUSTER_MEMBERS_PREFIX "%s", name);
	expire_leases();
	for (int i = 0; i < KEYS_MAX; i++)
		if (world.keys[i].used && strcmp(world.keys[i].key, key) == 0)
			return true;
	return false;
}

static struct member record_of(const char *name)
{
	char key[64];
	struct member member;
	snprintf(key, sizeof key, CLUSTER_MEMBERS_PREFIX "%s", name);
	assert_true(has_record(name));
	assert_true(member_parse(slice_of(find_key(key)->value), &member));
	return member;
}

static void publishes_what_changed(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("AB");              /* B is on duty for nothing: it does not run */
	a->audit_error = PYGMY_NOT_READY;
	run_for(2000, NULL);
	struct member record = record_of("A");
	assert_int_equal(record.phase, NODE_READY);
	assert_int_equal(record.applied, 1);
	int puts = world.puts;
	run_for(20000, NULL);
	assert_int_equal(world.puts, puts);
	a->durable = 1;
	write_entries(1);
	run_for(2 * KEEPER_PULSE_MS, NULL);
	assert_int_equal(record_of("A").applied, 2);
	assert_int_equal(record_of("A").durable, 1);
}

static void write_one(void)
{
	write_entries(1);
}

static void at_most_twice_a_second(void **state)
{
	(void)state;
	node_start("A");
	configure("A");
	run_for(1000, NULL);
	int puts = world.puts;
	run_for(10000, write_one);
	assert_in_range(world.puts - puts, 12, 20);
}

static void a_lost_record_comes_back(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	run_for(2000, NULL);
	find_key(CLUSTER_MEMBERS_PREFIX "A")->used = false;
	run_for(1500, NULL);
	assert_true(has_record("A"));
	world.lease_until_ms[a->keeper.pulse.lease] = 0;
	assert_false(has_record("A"));
	run_for(1500, NULL);
	assert_true(has_record("A"));
	node_stop(a);
	assert_false(has_record("A"));
}

static void says_who_comes_and_goes(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("AB");
	run_for(1000, NULL);
	struct node *b = node_start("B");
	configure("AB");
	run_for(2000, NULL);
	b->runs = false;              /* killed */
	run_for(5000, NULL);
	b->runs = true;
	run_for(2000, NULL);
	configure("A");
	run_for(1000, NULL);
	assert_int_equal(phase_of(b), NODE_NOT_A_MEMBER);
	assert_int_equal(phase_of(a), NODE_READY);
	configure("AB");
	run_for(1000, NULL);
	assert_int_equal(phase_of(b), NODE_READY);
	char *log = log_of(a);
	assert_int_equal(times_in(log, "present A phase="), 1);
	assert_int_equal(times_in(log, "joined B phase="), 1);
	assert_int_equal(times_in(log, "left B\n"), 1);
	assert_int_equal(times_in(log, "came back B phase="), 1);
	assert_int_equal(times_in(log, "removed B\n"), 1);
	assert_int_equal(times_in(log, "added B\n"), 1);
	free(log);
}

static void a_lost_etcd_says_nothing_about_anybody(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	node_start("B");
	configure("AB");
	run_for(3000, NULL);
	for (int i = 0; i < 3; i++)
		world.endpoints[i] = ENDPOINT_HANGS;
	run_for(60000, NULL);
	for (int i = 0; i < 3; i++)
		world.endpoints[i] = ENDPOINT_GOOD;
	run_for(5000, NULL);
	char *log = log_of(a);
	assert_int_equal(times_in(log, "left"), 0);
	assert_int_equal(times_in(log, "came back"), 0);
	assert_true(times_in(log, "\n") <= 8);
	free(log);
}

static void a_database_that_can_not_be_read_is_waited_for(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	a->unreadable = true;
	run_for(5000, NULL);
	assert_int_equal(record_of("A").applied, 0);
	a->unreadable = false;
	run_for(2000, NULL);
	assert_int_equal(record_of("A").applied, a->applied);
}

/* ---- audits --------------------------------------------------------------------------------------------- */

static void the_smallest_name_audits(void **state)
{
	(void)state;
	struct node *b = node_start("B"), *a = node_start("A");
	configure("AB");
	run_for(60000, apply_all);
	assert_in_range(a->audits, 5, 8);
	assert_int_equal(b->audits, 0);
	a->runs = false;
	run_for(30000, apply_all);
	assert_in_range(b->audits, 1, 4);
}

static void audits_follow_writes(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	run_for(15000, apply_all);
	int audits = a->audits;
	int64_t wrote_ms = now_ms;
	write_entries(1);
	while (a->audits == audits)
		run_for(1, apply_all);
	assert_true(now_ms - wrote_ms <= KEEPER_AUDIT_MS + KEEPER_CARE_MS);
	audits = a->audits;
	run_for(20000, write_one);
	assert_in_range(a->audits - audits, 8, 10);
}

static void no_audit_without_quorum(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	run_for(3000, apply_all);
	for (int i = 0; i < 3; i++)
		world.endpoints[i] = ENDPOINT_REFUSES;
	run_for(3000, apply_all);
	int audits = a->audits;
	run_for(30000, apply_all);
	assert_int_equal(a->audits, audits);
}

/* ---- compaction ----------------------------------------------------------------------------------------- */

static void write_ten(void)
{
	write_entries(10);
	for (int i = 0; i < node_count; i++)
		if (nodes[i].runs)
			nodes[i].durable = nodes[i].applied - 1000 > nodes[i].applied ? 0 : nodes[i].applied - 1000;
}

static uint64_t compacted_index(void)
{
	return world.compacted_revision == 0 ? 0 : (world.compacted_revision - CREATED) / 3;
}

static void compacts_behind_a_majority(void **state)
{
	(void)state;
	struct node *a = node_start("A"), *b = node_start("B"), *c = node_start("C");
	configure("ABC");
	run_for(2000, NULL);
	run_for(4000, write_ten);
	assert_true(compacted_index() > 0);
	assert_true(compacted_index() <= a->durable - COMPACTION_MARGIN_ENTRIES);
	/* No more often than once a second. */
	assert_true(world.compactions <= 8);
	/* With two of three gone nothing is known to be durable at a majority. */
	b->runs = c->runs = false;
	run_for(4000, NULL);
	uint64_t compacted = compacted_index();
	run_for(3000, write_ten);
	assert_int_equal(compacted_index(), compacted);
}

static void who_holds_another_state_is_no_copy_to_rely_on(void **state)
{
	(void)state;
	node_start("A");
	struct node *b = node_start("B"), *c = node_start("C");
	configure("ABC");
	run_for(2000, NULL);
	c->runs = false;
	node_state_set_phase(b->keeper.state, NODE_INCOMPATIBLE);
	run_for(4000, write_ten);
	assert_int_equal(compacted_index(), 0);
	node_state_set_phase(b->keeper.state, NODE_READY);
	run_for(4000, write_ten);
	assert_true(compacted_index() > 0);
}

static void small_steps_are_not_worth_it(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	run_for(1000, NULL);
	run_for(500, write_ten);
	a->durable = a->applied;
	run_for(5000, NULL);
	int compactions = world.compactions;
	assert_true(compactions >= 1);
	write_entries(100);
	a->durable = a->applied;
	run_for(5000, NULL);
	assert_int_equal(world.compactions, compactions);
}

/* ---- space ---------------------------------------------------------------------------------------------- */

static void fill_up(void)
{
	world.full = true;
	world.alarm_count = 2;
	world.alarms[0] = (struct etcd_alarm){ 11, ETCD_ALARM_NO_SPACE };
	world.alarms[1] = (struct etcd_alarm){ 12, ETCD_ALARM_NO_SPACE };
}

static void one_node_cures_a_full_etcd(void **state)
{
	(void)state;
	struct node *a = node_start("A"), *b = node_start("B");
	configure("AB");
	run_for(1000, NULL);
	write_entries(300);
	a->durable = b->durable = a->applied;
	run_for(2000, NULL);
	fill_up();
	run_for(5000, NULL);
	assert_false(world.full);
	assert_string_equal(world.order, "e1 e2 e3 -11 -12 ");
	assert_true(compacted_index() >= a->durable - 60 && compacted_index() <= a->durable - COMPACTION_SHORT_MARGIN_ENTRIES);
	char *log = log_of(a);
	assert_int_equal(times_in(log, "space short A"), 1);
	assert_int_equal(times_in(log, "space back A"), 1);
	free(log);
	log = log_of(b);
	assert_int_equal(times_in(log, "space"), 0);
	free(log);
}

static void without_leases_too(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	world.full = true;
	fill_up();
	run_for(4000, NULL);
	assert_false(world.full);
	assert_true(has_record("A"));
	assert_int_equal(phase_of(a), NODE_READY);
}

static void a_member_that_hangs_is_not_joined_by_another(void **state)
{
	(void)state;
	node_start("A");
	configure("A");
	run_for(1000, NULL);
	world.defragment_hangs = true;
	fill_up();
	/* One member per round, and no alarm is taken back before all had their turn. */
	run_for(7000, NULL);
	assert_int_equal(times_in(world.order, "-"), 0);
	assert_true(times_in(world.order, "e") >= 2);
	world.defragment_hangs = false;
	run_for(60000, NULL);
	assert_false(world.full);
}

static void what_can_not_be_cured_is_tried_ever_less(void **state)
{
	(void)state;
	struct node *a = node_start("A");
	configure("A");
	run_for(1000, NULL);
	world.stays_full = true;
	fill_up();
	run_for(300000, NULL);
	assert_in_range(world.defragmented[0], 6, 20);
	char *log = log_of(a);
	assert_int_equal(times_in(log, "space short"), 1);
	free(log);
}

static void members_that_are_down_are_skipped(void **state)
{
	(void)state;
	node_start("A");
	configure("A");
	run_for(1000, NULL);
	world.endpoints[1] = ENDPOINT_HANGS;
	fill_up();
	run_for(8000, NULL);
	assert_false(world.full);
	assert_string_equal(world.order, "e2 e3 -11 -12 ");
}

static void an_etcd_that_is_corrupt_is_left_to_people(void **state)
{
	(void)state;
	node_start("A");
	configure("A");
	world.alarm_count = 1;
	world.alarms[0] = (struct etcd_alarm){ 11, ETCD_ALARM_CORRUPT };
	run_for(10000, NULL);
	assert_string_equal(world.order, "");
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	const struct CMUnitTest tests[] = {
		frame_test(reads_are_fresh),
		frame_test(endpoints_that_hang_do_not_matter),
		frame_test(nor_do_four_of_nine),
		frame_test(a_lost_quorum_is_seen_and_its_return),
		frame_test(of_another_log_no_end_is_told),
		frame_test(a_watch_that_stands_is_dropped),
		frame_test(one_that_catches_up_is_left_alone),
		frame_test(publishes_what_changed),
		frame_test(at_most_twice_a_second),
		frame_test(a_lost_record_comes_back),
		frame_test(says_who_comes_and_goes),
		frame_test(a_lost_etcd_says_nothing_about_anybody),
		frame_test(a_database_that_can_not_be_read_is_waited_for),
		frame_test(the_smallest_name_audits),
		frame_test(audits_follow_writes),
		frame_test(no_audit_without_quorum),
		frame_test(compacts_behind_a_majority),
		frame_test(who_holds_another_state_is_no_copy_to_rely_on),
		frame_test(small_steps_are_not_worth_it),
		frame_test(one_node_cures_a_full_etcd),
		frame_test(without_leases_too),
		frame_test(a_member_that_hangs_is_not_joined_by_another),
		frame_test(what_can_not_be_cured_is_tried_ever_less),
		frame_test(members_that_are_down_are_skipped),
		frame_test(an_etcd_that_is_corrupt_is_left_to_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
