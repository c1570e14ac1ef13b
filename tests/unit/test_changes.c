/* changes: the text round trips, and whatever is not exactly that text changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/changes.h"
#include "db/limits.h"

#define LOG "0123456789abcdef"

struct seen {
	size_t count;
	uint32_t slots[4096];
	uint64_t revisions[4096];
};

static struct seen seen;

static void see(void *context, uint32_t slot, uint64_t revision)
{
	struct seen *s = context;
	assert_true(s->count < 4096);
	s->slots[s->count] = slot;
	s->revisions[s->count++] = revision;
}

static bool parse_bytes(const char *text, size_t len, struct changes_head *head)
{
	char *copy = malloc(len == 0 ? 1 : len);
	assert_non_null(copy);
	memcpy(copy, text, len);
	seen.count = 0;
	bool ok = changes_parse((struct slice){ copy, len }, head, see, &seen);
	free(copy);
	return ok;
}

static bool parse(const char *text, struct changes_head *head)
{
	return parse_bytes(text, strlen(text), head);
}

static void test_parses(void **state)
{
	(void)state;
	struct changes_head head;
	assert_true(parse("pygmy-changes 1 " LOG " push 42\n41 1 65535\n42 0\n", &head));
	assert_string_equal(head.log_id, LOG);
	assert_int_equal(head.kind, CHANGES_PUSH);
	assert_int_equal(head.position, 42);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.slots[0], 1);
	assert_int_equal(seen.revisions[0], 41);
	assert_int_equal(seen.slots[1], 65535);
	assert_int_equal(seen.revisions[1], 41);
	assert_int_equal(seen.slots[2], 0);
	assert_int_equal(seen.revisions[2], 42);

	assert_true(parse("pygmy-changes 1 " LOG " delta 0\n", &head));
	assert_int_equal(head.kind, CHANGES_DELTA);
	assert_int_equal(seen.count, 0);
	assert_true(parse("pygmy-changes 1 " LOG " reset 18446744073709551615\n", &head));
	assert_int_equal(head.kind, CHANGES_RESET);
	assert_true(head.position == UINT64_MAX);
	assert_true(changes_parse(SLICE_LITERAL("pygmy-changes 1 " LOG " push 1\n1 2\n"), &head, NULL, NULL));
}

static void test_writes_what_it_parses(void **state)
{
	(void)state;
	for (int kind = CHANGES_PUSH; kind <= CHANGES_RESET; kind++) {
		struct changes_head head = { LOG, (enum changes_kind)kind, UINT64_C(18446744073709551615) };
		struct changes_head back;
		uint32_t slots[CHANGES_LINE_SLOTS_MAX];
		char text[16384];

		for (uint32_t i = 0; i < CHANGES_LINE_SLOTS_MAX; i++)
			slots[i] = 65535 - i * 3;
		size_t len = changes_write_head(&head, text, 128);
		assert_true(len > 0);
		size_t line = changes_write_line(7, slots, CHANGES_LINE_SLOTS_MAX, text + len, sizeof text - len);
		assert_true(line > 0);
		assert_true(parse_bytes(text, len + line, &back));
		assert_memory_equal(head.log_id, back.log_id, sizeof head.log_id);
		assert_int_equal(back.kind, kind);
		assert_true(back.position == head.position);
		assert_int_equal(seen.count, CHANGES_LINE_SLOTS_MAX);
		assert_memory_equal(seen.slots, slots, sizeof slots);
	}
}

static void test_writing_respects_the_buffer(void **state)
{
	(void)state;
	struct changes_head head = { LOG, CHANGES_DELTA, 123456 };
	uint32_t slots[] = { 1, 22, 333 };
	char text[128];

	size_t len = changes_write_head(&head, text, sizeof text);
	for (size_t size = 0; size <= len; size++) {
		char *small = malloc(size + 1);
		assert_non_null(small);
		assert_int_equal(changes_write_head(&head, small, size), 0);
		free(small);
	}
	len = changes_write_line(9, slots, 3, text, sizeof text);
	assert_int_equal(len, strlen("9 1 22 333\n"));
	assert_memory_equal(text, "9 1 22 333\n", len);
	for (size_t size = 0; size <= len; size++) {
		char *small = malloc(size == 0 ? 1 : size);
		assert_non_null(small);
		assert_int_equal(changes_write_line(9, slots, 3, small, size), size == len ? len : 0);
		free(small);
	}
	assert_int_equal(changes_write_line(9, slots, 0, text, sizeof text), 0);
	assert_int_equal(changes_write_line(9, slots, CHANGES_LINE_SLOTS_MAX + 1, text, sizeof text), 0);
}

static void test_refuses_everything_else(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", "\n", "pygmy-changes", "pygmy-changes 2 " LOG " push 1\n", "Pygmy-changes 1 " LOG " push 1\n",
		"pygmy-changes 1 0123456789ABCDEF push 1\n", "pygmy-changes 1 0123456789abcde push 1\n",
		"pygmy-changes 1 0123456789abcdef0 push 1\n", "pygmy-changes 1 " LOG " pull 1\n",
		"pygmy-changes 1 " LOG " push\n", "pygmy-changes 1 " LOG " push \n", "pygmy-changes 1 " LOG " push 01\n",
		"pygmy-changes 1 " LOG " push -1\n", "pygmy-changes 1 " LOG " push +1\n",
		"pygmy-changes 1 " LOG " push 18446744073709551616\n", "pygmy-changes 1 " LOG " push 1",
		"pygmy-changes 1 " LOG " push 1 \n", "pygmy-changes 1 " LOG " push 1\r\n",
		"pygmy-changes 1  " LOG " push 1\n", "pygmy-changes 1 " LOG " push 1\n\n",
		"pygmy-changes 1 " LOG " push 1\n1\n", "pygmy-changes 1 " LOG " push 1\n1 \n",
		"pygmy-changes 1 " LOG " push 1\n1 2 \n", "pygmy-changes 1 " LOG " push 1\n1  2\n",
		"pygmy-changes 1 " LOG " push 1\n 1 2\n", "pygmy-changes 1 " LOG " push 1\n1 2",
		"pygmy-changes 1 " LOG " push 1\n1 65536\n", "pygmy-changes 1 " LOG " push 1\n1 02\n",
		"pygmy-changes 1 " LOG " push 1\n1 a\n", "pygmy-changes 1 " LOG " push 1\n01 2\n",
		"pygmy-changes 1 " LOG " push 1\n1 18446744073709551617\n",
		"pygmy-changes 1 " LOG " push 1\n2 1\n",      /* a revision past the position */
		"pygmy-changes 1 " LOG " push 1\n1 2\nx\n",   /* sound pairs before the fault are not handed out */
		"pygmy-changes 1 " LOG " push 1\n1 2\n1 3"
	};
	struct changes_head head;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_false(parse(texts[i], &head));
		assert_int_equal(seen.count, 0);
	}
	assert_false(parse_bytes("pygmy-changes 1 " LOG " push 1\n1 2\0\n", 45, &head));
}

/* A prefix is sound only when it ends with a line. */
static void test_broken_off(void **state)
{
	(void)state;
	static const char text[] = "pygmy-changes 1 " LOG " delta 42\n41 1 65535\n42 7\n";
	struct changes_head head;
	for (size_t len = 0; len < sizeof text - 1; len++) {
		bool whole_lines = len > 0 && text[len - 1] == '\n';
		assert_int_equal(parse_bytes(text, len, &head), whole_lines);
	}
}

static void test_limits(void **state)
{
	(void)state;
	struct changes_head head;
	size_t size = CHANGES_TEXT_MAX_BYTES + 16;
	char *text = malloc(size);
	assert_non_null(text);

	size_t len = (size_t)snprintf(text, size, "pygmy-changes 1 %s push 9\n9", LOG);
	for (int i = 0; i <= CHANGES_LINE_SLOTS_MAX; i++)
		len += (size_t)snprintf(text + len, size - len, " 5");
	text[len] = '\n';
	assert_false(parse_bytes(text, len + 1, &head));       /* one slot too many in a line */
	text[len - 2] = '\n';
	assert_true(parse_bytes(text, len - 1, &head));
	assert_int_equal(seen.count, CHANGES_LINE_SLOTS_MAX);

	len = (size_t)snprintf(text, size, "pygmy-changes 1 %s push 9\n", LOG);
	while (len + 4 <= CHANGES_TEXT_MAX_BYTES)
		len += (size_t)snprintf(text + len, size - len, "9 5\n");
	assert_true(changes_parse((struct slice){ text, len }, &head, NULL, NULL));
	while (len <= CHANGES_TEXT_MAX_BYTES)
		len += (size_t)snprintf(text + len, size - len, "9 5\n");
	assert_false(changes_parse((struct slice){ text, len }, &head, NULL, NULL));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parses),
		cmocka_unit_test(test_writes_what_it_parses),
		cmocka_unit_test(test_writing_respects_the_buffer),
		cmocka_unit_test(test_refuses_everything_else),
		cmocka_unit_test(test_broken_off),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
