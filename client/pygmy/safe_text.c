/*
 * safe_text: decodes UTF-8 strictly (RFC 3629) and decides per character.
 */
#include "client/pygmy/safe_text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#define NOT_A_CHARACTER UINT32_MAX

void safe_text_init(void)
{
	if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		(void)setlocale(LC_CTYPE, "C.UTF-8");
}

/* Decodes the first character. Gives its length, 1 and NOT_A_CHARACTER when the first byte starts none. len > 0. */
static size_t decode_utf8(const char *bytes, size_t len, uint32_t *character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)bytes[0];
	size_t wanted = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
	*character = NOT_A_CHARACTER;
	if (wanted == 0 || wanted > len)
		return 1;
	uint32_t value = wanted == 1 ? first : first & (0x7Fu >> wanted);
	for (size_t i = 1; i < wanted; i++) {
		unsigned char next = (unsigned char)bytes[i];
		if ((next & 0xC0) != 0x80)
			return 1;
		value = (value << 6) | (next & 0x3F);
	}
	if (value < least[wanted] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
		return 1;
	*character = value;
	return wanted;
}

/* Characters that change more than the cell they are in. */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || c == 0x61C || (c >= 0x200B && c <= 0x200F) ||
	       (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) ||
	       (c >= 0xE0000 && c <= 0xE007F);
}

bool safe_text_append(struct text *out, const char *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		uint32_t character;
		size_t size = decode_utf8(bytes + at, len - at, &character);
		if (character == NOT_A_CHARACTER || character < 0x20 || character == 0x7F)
			text_append_format(out, "\\x%02X", (unsigned)(unsigned char)bytes[at]);
		else if (is_unsafe(character) || (character >= 0x80 && wcwidth((wchar_t)character) < 0))
			text_append_format(out, "\\u{%04X}", (unsigned)character);
		else
			text_append(out, bytes + at, size);
		if (out->failed)
			return false;
		at += size;
	}
	return true;
}

size_t safe_text_prefix(const char *bytes, size_t len, size_t width, size_t *prefix_width)
{
	size_t used = 0;
	size_t at = 0;
	while (at < len) {
		uint32_t character;
		size_t size = decode_utf8(bytes + at, len - at, &character);
		int columns = character < 0x80 || character == NOT_A_CHARACTER ? 1 : wcwidth((wchar_t)character);
		size_t needed = columns < 0 ? 1 : (size_t)columns;
		if (needed > width - used)
			break;
		used += needed;
		at += size;
	}
	*prefix_width = used;
	return at;
}

size_t safe_text_width(const char *bytes, size_t len)
{
	size_t width;
	(void)safe_text_prefix(bytes, len, SIZE_MAX, &width);
	return width;
}
