/*
 * safe_text: what came from outside, made safe for a terminal.
 *
 * A title may hold escape sequences that move the cursor, change the window title or turn the reading direction. Here
 * they become visible text: control characters, DEL, C1 controls, line separators and bidirectional controls are
 * written as \xNN or \u{NNNN}, bytes that are no UTF-8 as \xNN. Everything that the command shows to people
 * and did not write itself goes through here.
 */
#ifndef PYGMY_CLIENT_SAFE_TEXT_H
#define PYGMY_CLIENT_SAFE_TEXT_H

#include <stddef.h>

#include "client/pygmy/text.h"

/* Makes wcwidth() know Unicode. Once, before the functions below. */
void safe_text_init(void);

/* Errors: false as text_append. */
bool safe_text_append(struct text *out, const char *bytes, size_t len);

/* Columns on a terminal of bytes that safe_text_append wrote. */
size_t safe_text_width(const char *bytes, size_t len);

/* The longest prefix (bytes) that is at most width columns wide; *prefix_width gets its columns. */
size_t safe_text_prefix(const char *bytes, size_t len, size_t width, size_t *prefix_width);

#endif
