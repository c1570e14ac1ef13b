/*
 * push_text: the slots of many results as one push text (changes.h): each slot once, at its highest revision.
 */
#ifndef PYGMY_DB_PUSH_TEXT_H
#define PYGMY_DB_PUSH_TEXT_H

#include "db/result.h"
#include "db/slice.h"

struct push_text;

/* NULL without memory. */
struct push_text *push_text_create(const char *log_id);
void push_text_destroy(struct push_text *text);

/* The log whose revisions the next text names: 16 hex digits. */
void push_text_set_log(struct push_text *text, const char *log_id);

void push_text_clear(struct push_text *text);
void push_text_add(struct push_text *text, const struct result *result);
bool push_text_is_empty(const struct push_text *text);

/*
 * The text of what was added since the last clear; valid until the next call. When everything changed, or too much for one
 * text, it is a reset: the frontend raises its floor.
 */
struct slice push_text_render(struct push_text *text);

#endif
