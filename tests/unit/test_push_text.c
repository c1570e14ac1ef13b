/* push_text: each slot once, at its highest revision, in a text that frontends accept. */
#include "tests/unit/support.h"

#include "db/changes.h"
#include "db/push_text.h"

#define LOG_ID "0123456789abcdef"
#define HEAD "pygmy-changes 1 " LOG_ID " "

static int setup(void **state)
{
	*state = push_text_create(LOG_ID);
	assert_non_null(*state);
	return 0;
}

static int teardown(void **state)
{
	push_text_destroy(*state);
	return 0;
}

static void add(struct push_text *text, uint64_t revision, uint32_t slot_count, const uint32_t *slots)
{
	struct result result = { .revision = revision, .slot_count = slot_count };
	for (uint32_t i = 0; i < slot_count && slot_count <= SLOTS_PER_RESULT_MAX; i++)
		result.slots[i] = slots[i];
	push_text_add(text, &result);
}

static void assert_text(struct push_text *text, const char *wanted)
{
	struct slice rendered = push_text_render(text);
	struct changes_head head;
	assert_int_equal(rendered.len, strlen(wanted));
	assert_memory_equal(rendered.ptr, wanted, rendered.len);
	assert_true(changes_parse(rendered, &head, NULL, NULL));
}

static void test_each_slot_once_at_its_highest_revision(void **state)
{
	struct push_text *text = *state;
	assert_true(push_text_is_empty(text));
	add(text, 5, 3, (const uint32_t[]){ 30, 10, 20 });
	add(text, 7, 2, (const uint32_t[]){ 20, 65535 });
	add(text, 6, 2, (const uint32_t[]){ 20, 30 });
	add(text, 7, 1, (const uint32_t[]){ 20 });
	assert_false(push_text_is_empty(text));
	assert_text(text, HEAD "push 7\n5 10\n6 30\n7 20 65535\n");
}

static void test_refusals_add_nothing(void **state)
{
	struct push_text *text = *state;
	add(text, 9, 0, NULL);
	assert_true(push_text_is_empty(text));
	add(text, 5, 1, (const uint32_t[]){ 0 });
	assert_text(text, HEAD "push 5\n5 0\n");
}

static void test_clear(void **state)
{
	struct push_text *text = *state;
	add(text, 9, SLOTS_ALL_CHANGED, NULL);
	push_text_clear(text);
	assert_true(push_text_is_empty(text));
	add(text, 5, 1, (const uint32_t[]){ 1 });
	assert_text(text, HEAD "push 5\n5 1\n");
}

static void test_everything_changed_is_a_reset(void **state)
{
	struct push_text *text = *state;
	add(text, 5, 1, (const uint32_t[]){ 1 });
	add(text, 6, SLOTS_ALL_CHANGED, NULL);
	add(text, 7, 1, (const uint32_t[]){ 2 });
	assert_false(push_text_is_empty(text));
	assert_text(text, HEAD "reset 7\n");
}

/* As many pairs as fit, at revisions with as many digits as there are, and one more. */
static void test_too_much_is_a_reset(void **state)
{
	struct push_text *text = *state;
	struct changes_head head;
	uint32_t slot = 0;
	for (uint64_t i = 0; i < 512; i++, slot += 8)
		add(text, UINT64_MAX - i, 8, (const uint32_t[]){ 65535 - slot, 65534 - slot, 65533 - slot, 65532 - slot, 65531 - slot,
								 65530 - slot, 65529 - slot, 65528 - slot });
	struct slice rendered = push_text_render(text);
	assert_true(changes_parse(rendered, &head, NULL, NULL));
	assert_int_equal(head.kind, CHANGES_PUSH);
	assert_true(head.position == UINT64_MAX);
	push_text_clear(text);
	for (uint32_t i = 0; i < 4096; i++)
		add(text, UINT64_MAX - i, 1, (const uint32_t[]){ 65535 - i });
	rendered = push_text_render(text);
	assert_true(changes_parse(rendered, &head, NULL, NULL));
	assert_int_equal(head.kind, CHANGES_PUSH);
	add(text, 3, 1, (const uint32_t[]){ 5 });
	rendered = push_text_render(text);
	assert_true(changes_parse(rendered, &head, NULL, NULL));
	assert_int_equal(head.kind, CHANGES_RESET);
	assert_true(head.position == UINT64_MAX);
}

/* A revision with more slots than a line takes gets several lines. */
static void test_long_lines_are_split(void **state)
{
	struct push_text *text = *state;
	struct changes_head head;
	for (uint32_t i = 0; i < CHANGES_LINE_SLOTS_MAX + 1; i++)
		add(text, 4, 1, &i);
	struct slice rendered = push_text_render(text);
	assert_true(changes_parse(rendered, &head, NULL, NULL));
	assert_int_equal(head.kind, CHANGES_PUSH);
	size_t lines = 0;
	for (size_t i = 0; i < rendered.len; i++)
		lines += rendered.ptr[i] == '\n' ? 1 : 0;
	assert_int_equal(lines, 3);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_each_slot_once_at_its_highest_revision),
		TEST(test_refusals_add_nothing),
		TEST(test_clear),
		TEST(test_everything_changed_is_a_reset),
		TEST(test_too_much_is_a_reset),
		TEST(test_long_lines_are_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
