/* text and safe_text: bounded strings; nothing that a terminal would obey comes through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "client/pygmy/safe_text.h"
#include "client/pygmy/text.h"

static void it_keeps_its_maximum(void **state)
{
	struct text text = TEXT_INIT(5);
	(void)state;
	assert_string_equal(text_borrow(&text), "");
	assert_true(text_append_string(&text, "abc"));
	assert_false(text_append_string(&text, "def"));
	assert_true(text.failed);
	assert_false(text_append_string(&text, ""));
	assert_string_equal(text_borrow(&text), "abc");
	text_clear(&text);
	assert_true(text_append_format(&text, "%d%s", 12, "345"));
	assert_false(text_append_format(&text, "%d", 6));
	assert_string_equal(text_borrow(&text), "12345");
	text_close(&text);
	assert_int_equal(text.max_len, 5);
}

static void it_percent_encodes(void **state)
{
	struct text text = TEXT_INIT(100);
	(void)state;
	assert_true(text_append_percent_encoded(&text, "aZ0-._~ &=%+/\xC3\xA4"));
	assert_string_equal(text_borrow(&text), "aZ0-._~%20%26%3D%25%2B%2F%C3%A4");
	text_close(&text);
}

static void check_safe(const char *bytes, const char *safe)
{
	struct text text = TEXT_INIT(1000);
	assert_true(safe_text_append(&text, bytes, strlen(bytes)));
	assert_string_equal(text_borrow(&text), safe);
	text_close(&text);
}

static void terminals_are_safe(void **state)
{
	(void)state;
	check_safe("plain text, \xE7\xB5\xB1\xE8\xA8\x88 \xC3\xA4", "plain text, \xE7\xB5\xB1\xE8\xA8\x88 \xC3\xA4");
	check_safe("\x1B[31mred\x1B[0m\a\r\n\t\x7F", "\\x1B[31mred\\x1B[0m\\x07\\x0D\\x0A\\x09\\x7F");
	check_safe("c1 \xC2\x9B", "c1 \\u{009B}");
	check_safe("turn \xE2\x80\xAE back", "turn \\u{202E} back");
	check_safe("\xE2\x81\xA6\xEF\xBB\xBF", "\\u{2066}\\u{FEFF}");
	check_safe("bad \xFF \xC0\x80 \xE2\x82 \xED\xA0\x80 \xF4\x90\x80\x80 \xC3",
		   "bad \\xFF \\xC0\\x80 \\xE2\\x82 \\xED\\xA0\\x80 \\xF4\\x90\\x80\\x80 \\xC3");
}

static void widths_are_columns(void **state)
{
	const char *wide = "a\xE7\xB5\xB1" "b";
	size_t width;
	(void)state;
	assert_int_equal(safe_text_width(wide, strlen(wide)), 4);
	assert_int_equal(safe_text_prefix(wide, strlen(wide), 2, &width), 1);
	assert_int_equal(width, 1);
	assert_int_equal(safe_text_prefix(wide, strlen(wide), 3, &width), 4);
	assert_int_equal(width, 3);
	assert_int_equal(safe_text_width("", 0), 0);
	assert_int_equal(safe_text_width("e\xCC\x81", 3), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_keeps_its_maximum),
		cmocka_unit_test(it_percent_encodes),
		cmocka_unit_test(terminals_are_safe),
		cmocka_unit_test(widths_are_columns),
	};
	safe_text_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
