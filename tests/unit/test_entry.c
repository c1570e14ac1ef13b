/* entry: the envelope's bytes, and what is no envelope. */
#include "tests/unit/support.h"

#define BODY "the commands"

static char *sealed(char bytes[ENTRY_HEAD_BYTES + sizeof BODY])
{
	memcpy(bytes + ENTRY_HEAD_BYTES, BODY, sizeof BODY);
	entry_seal((struct slice){ bytes + ENTRY_HEAD_BYTES, sizeof BODY - 1 }, bytes);
	return bytes;
}

#define SEALED_LEN (ENTRY_HEAD_BYTES + sizeof BODY - 1)

static void test_seal_and_open(void **state)
{
	(void)state;
	char bytes[ENTRY_HEAD_BYTES + sizeof BODY];
	struct slice body;
	assert_int_equal(entry_open((struct slice){ sealed(bytes), SEALED_LEN }, &body), ENTRY_OK);
	assert_true(slice_equal(body, SLICE_LITERAL(BODY)));
	assert_ptr_equal(body.ptr, bytes + ENTRY_HEAD_BYTES);
	/* Logs keep these bytes: BLAKE2b-128 of the body was computed by another program. */
	static const char head[] = "PGMY\x01\0\0\0\x0c\0\0\0";
	assert_memory_equal(bytes, head, 12);
}

static void test_the_empty_body(void **state)
{
	(void)state;
	char bytes[ENTRY_HEAD_BYTES];
	struct slice body = SLICE_LITERAL("x");
	entry_seal(SLICE_EMPTY, bytes);
	assert_int_equal(entry_open((struct slice){ bytes, sizeof bytes }, &body), ENTRY_OK);
	assert_int_equal(body.len, 0);
	/* RFC 7693's function with a 16 byte digest, over nothing (b2sum -l 128 /dev/null) */
	assert_memory_equal(bytes + 12, "\xca\xe6\x69\x41\xd9\xef\xbd\x40\x4e\x4d\x88\x75\x8e\xa6\x76\x70", 16);
}

static void test_every_changed_bit_is_noticed(void **state)
{
	(void)state;
	char bytes[ENTRY_HEAD_BYTES + sizeof BODY];
	struct slice body;
	for (size_t bit = 0; bit < 8 * SEALED_LEN; bit++) {
		sealed(bytes);
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << (bit % 8)));
		bool format = bit / 8 >= 4 && bit / 8 < 8;
		assert_int_equal(entry_open((struct slice){ bytes, SEALED_LEN }, &body), format ? ENTRY_UNKNOWN_FORMAT : ENTRY_DAMAGED);
	}
}

/* A torn entry may have any bytes where its format stood: that is damage, not a newer version. */
static void test_damage_comes_before_the_format(void **state)
{
	(void)state;
	char bytes[ENTRY_HEAD_BYTES + sizeof BODY];
	struct slice body;
	sealed(bytes)[4] = 9;
	bytes[SEALED_LEN - 1] = 'S';
	assert_int_equal(entry_open((struct slice){ bytes, SEALED_LEN }, &body), ENTRY_DAMAGED);
}

static void test_every_other_length_is_damaged(void **state)
{
	(void)state;
	char bytes[ENTRY_HEAD_BYTES + sizeof BODY];
	struct slice body;
	sealed(bytes);
	for (size_t len = 0; len <= SEALED_LEN + 1; len++)
		assert_int_equal(entry_open((struct slice){ bytes, len }, &body), len == SEALED_LEN ? ENTRY_OK : ENTRY_DAMAGED);
	assert_int_equal(entry_open(SLICE_EMPTY, &body), ENTRY_DAMAGED);
}

static void test_the_largest_entry(void **state)
{
	(void)state;
	struct slice body;
	char *bytes = calloc(1, ENTRY_MAX_BYTES + 1);
	assert_non_null(bytes);
	entry_seal((struct slice){ bytes + ENTRY_HEAD_BYTES, ENTRY_MAX_BYTES - ENTRY_HEAD_BYTES }, bytes);
	assert_int_equal(entry_open((struct slice){ bytes, ENTRY_MAX_BYTES }, &body), ENTRY_OK);
	assert_int_equal(body.len, ENTRY_MAX_BYTES - ENTRY_HEAD_BYTES);
	entry_seal((struct slice){ bytes + ENTRY_HEAD_BYTES, ENTRY_MAX_BYTES + 1 - ENTRY_HEAD_BYTES }, bytes);
	assert_int_equal(entry_open((struct slice){ bytes, ENTRY_MAX_BYTES + 1 }, &body), ENTRY_DAMAGED);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seal_and_open),
		cmocka_unit_test(test_the_empty_body),
		cmocka_unit_test(test_every_changed_bit_is_noticed),
		cmocka_unit_test(test_damage_comes_before_the_format),
		cmocka_unit_test(test_every_other_length_is_damaged),
		cmocka_unit_test(test_the_largest_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
