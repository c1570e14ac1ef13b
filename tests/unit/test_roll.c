/* roll: the events of members that come and go, and none while nobody knows. */
#include "tests/unit/support.h"

#include "db/roll.h"

static struct roll roll;
static char events[1024];

static int clear(void **state)
{
	(void)state;
	roll_init(&roll);
	events[0] = '\0';
	return 0;
}

static void note(void *context, enum roll_event event, const char *name, const struct member *member)
{
	(void)context;
	assert_true(member == NULL || strcmp(member->name, name) == 0);
	size_t len = strlen(events);
	snprintf(events + len, sizeof events - len, "%s%s %s", len > 0 ? ", " : "", name, roll_event_text(event));
}

static struct member up(const char *name, enum node_phase phase, int64_t since_ms)
{
	struct member member = { .phase = phase, .since_ms = since_ms };
	snprintf(member.name, sizeof member.name, "%s", name);
	return member;
}

/* The events of a list of heartbeats. */
static const char *live(bool is_sure, const struct member *members, size_t count)
{
	events[0] = '\0';
	roll_take_live(&roll, members, count, is_sure, note, NULL);
	return events;
}

static const char *configured(const char *names)
{
	struct configured_member members[8];
	size_t count = strlen(names);
	events[0] = '\0';
	memset(members, 0, sizeof members);
	for (size_t i = 0; i < count; i++)
		members[i].name[0] = names[i];
	roll_take_configured(&roll, members, count, note, NULL);
	return events;
}

static void come_and_go(void **state)
{
	(void)state;
	struct member a = up("A", NODE_READY, 1), b = up("B", NODE_READY, 2), c = up("C", NODE_READY, 3);
	assert_string_equal(live(true, (struct member[]){ a, b }, 2), "A present, B present");
	assert_string_equal(live(true, (struct member[]){ a, b, c }, 3), "C joined");
	assert_string_equal(live(true, (struct member[]){ a, b, c }, 3), "");
	assert_string_equal(live(true, (struct member[]){ a, c }, 2), "");
	assert_string_equal(live(true, (struct member[]){ a, c }, 2), "B left");
	assert_string_equal(live(true, (struct member[]){ a, c }, 2), "");
	assert_string_equal(live(true, (struct member[]){ a, b, c }, 3), "B came back");
	b.since_ms = 9;
	assert_string_equal(live(true, (struct member[]){ a, b, c }, 3), "B restarted");
}

static void nobody_leaves_while_nobody_knows(void **state)
{
	(void)state;
	struct member a = up("A", NODE_READY, 1);
	assert_string_equal(live(true, &a, 1), "A present");
	for (int i = 0; i < 10; i++)
		assert_string_equal(live(false, NULL, 0), "");
	assert_string_equal(live(true, NULL, 0), "");
	assert_string_equal(live(false, NULL, 0), "");
	assert_string_equal(live(true, NULL, 0), "");
	assert_string_equal(live(true, NULL, 0), "A left");
}

static void phases(void **state)
{
	(void)state;
	static const enum node_phase path[] = { NODE_STARTING, NODE_CATCHING_UP, NODE_READY, NODE_IN_DOUBT, NODE_DIVERGED,
		NODE_LOADING_SNAPSHOT, NODE_STORAGE_FAILED, NODE_READY };
	static const char *const expected[] = { "A present", "A catching up", "A ready", "A in doubt", "A diverged", "A loading a snapshot",
		"A not ready", "A ready" };
	for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
		struct member a = up("A", path[i], 1);
		assert_string_equal(live(true, &a, 1), expected[i]);
		assert_string_equal(live(true, &a, 1), "");
	}
}

static void added_and_removed(void **state)
{
	(void)state;
	assert_string_equal(configured("AB"), "");
	assert_string_equal(configured("ABC"), "C added");
	assert_string_equal(configured("AC"), "B removed");
	assert_string_equal(configured("AC"), "");
	assert_string_equal(configured("ABC"), "B added");
}

static void strangers_make_room(void **state)
{
	(void)state;
	assert_string_equal(configured("A"), "");
	assert_string_equal(live(true, NULL, 0), "");
	for (int i = 0; i < 3 * ROLL_MAX; i++) {
		char name[NODE_NAME_MAX_BYTES + 1], expected[64];
		snprintf(name, sizeof name, "n%d", i);
		struct member stranger = up(name, NODE_READY, 1);
		snprintf(expected, sizeof expected, "n%d joined", i);
		assert_string_equal(live(true, &stranger, 1), expected);
		live(true, NULL, 0);
		live(true, NULL, 0);
		assert_true(roll.count <= ROLL_MAX);
	}
	assert_string_equal(configured(""), "A removed");
}

#define TEST(name) cmocka_unit_test_setup(name, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(come_and_go), TEST(nobody_leaves_while_nobody_knows), TEST(phases), TEST(added_and_removed), TEST(strangers_make_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
