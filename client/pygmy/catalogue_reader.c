/*
 * catalogue_reader: a small state machine finds where items begin and end (braces outside of strings); jansson then decides
 * whether the piece is good JSON and catalogue_item whether it is a good item.
 */
#include "client/pygmy/catalogue_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/pygmy/catalogue_item.h"
#include "client/pygmy/safe_text.h"
#include "client/pygmy/wait.h"

enum state {
	STATE_START,                  /* nothing read */
	STATE_FIRST,                  /* behind [ : an item or ] */
	STATE_COMMA,                  /* behind an item of an array: , or ] */
	STATE_ITEM,                   /* behind a comma: an item */
	STATE_LINES,                  /* one object after the other */
	STATE_WRAPPER_END,            /* behind the ] of {"items": [...] */
	STATE_END                     /* only blanks may follow */
};

#define END_OF_FILE (-1)
#define READ_ERROR (-2)

bool catalogue_reader_init(struct catalogue_reader *reader, int fd)
{
	*reader = (struct catalogue_reader){ .fd = fd, .state = STATE_START, .line = 1 };
	reader->buffer = malloc(CATALOGUE_READER_BUFFER_BYTES);
	return reader->buffer != NULL;
}

void catalogue_reader_close(struct catalogue_reader *reader)
{
	free(reader->buffer);
	reader->buffer = NULL;
}

/* Makes one more byte available behind end. False at the end of the file, on errors (error is set) and when the buffer is full. */
static bool fill(struct catalogue_reader *reader)
{
	if (reader->at_eof || reader->error[0] != '\0')
		return false;
	if (reader->start > 0) {
		memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
		reader->end -= reader->start;
		reader->start = 0;
	}
	if (reader->end == CATALOGUE_READER_BUFFER_BYTES)
		return false;
	ssize_t got;
	do
		got = read(reader->fd, reader->buffer + reader->end, CATALOGUE_READER_BUFFER_BYTES - reader->end);
	while (got < 0 && errno == EINTR && !wait_is_interrupted());
	if (got < 0) {
		(void)snprintf(reader->error, sizeof(reader->error), "can't read on at byte %" PRIu64 ": %s",
			       reader->offset + reader->end, strerror(errno));
		return false;
	}
	reader->at_eof = got == 0;
	reader->end += (size_t)got;
	return got > 0;
}

/* The byte at start + ahead, END_OF_FILE or READ_ERROR. */
static int peek_at(struct catalogue_reader *reader, size_t ahead)
{
	while (reader->end - reader->start <= ahead) {
		if (!fill(reader))
			return reader->error[0] != '\0' ? READ_ERROR : END_OF_FILE;
	}
	return (unsigned char)reader->buffer[reader->start + ahead];
}

static void consume(struct catalogue_reader *reader, size_t len)
{
	const char *at = reader->buffer + reader->start;
	const char *end = at + len;
	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		reader->line++;
		at++;
	}
	reader->start += len;
	reader->offset += len;
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next byte that is no blank, not consumed. */
static int peek_token(struct catalogue_reader *reader)
{
	int c;
	while (is_blank(c = peek_at(reader, 0)))
		consume(reader, 1);
	return c;
}

/* Errors are told where the reader stands now. */
__attribute__((format(printf, 2, 3))) static enum catalogue_read broken(struct catalogue_reader *reader, const char *format, ...)
{
	char sentence[CATALOGUE_READER_ERROR_MAX_BYTES / 2];
	if (reader->error[0] != '\0')
		return CATALOGUE_READ_FAILED;
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	(void)snprintf(reader->error, sizeof(reader->error), "line %" PRIu64 ", byte %" PRIu64 " (item %" PRIu64 "): %s", reader->line,
		       reader->offset, reader->item_count + 1, sentence);
	return CATALOGUE_READ_BROKEN;
}

static enum catalogue_read unexpected(struct catalogue_reader *reader, int c, const char *expected)
{
	if (c == END_OF_FILE)
		return broken(reader, "the file ends where %s should be", expected);
	if (c > ' ' && c < 0x7F)
		return broken(reader, "there is '%c' where %s should be", c, expected);
	return broken(reader, "there is the byte 0x%02X where %s should be", (unsigned)(c & 0xFF), expected);
}

/* Behind {: whether "items" : [ follows. Nothing is consumed; *len is the length of all that, the brace included. */
static bool matches_wrapper(struct catalogue_reader *reader, size_t *len)
{
	static const char *const words[] = { "\"items\"", ":", "[" };
	size_t at = 1;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		while (is_blank(peek_at(reader, at)))
			at++;
		for (const char *c = words[i]; *c != '\0'; c++) {
			if (peek_at(reader, at++) != *c)
				return false;
		}
	}
	*len = at;
	return true;
}

/* The length of the object at start, by its braces. 0 when it does not end, or not soon enough. */
static size_t object_len(struct catalogue_reader *reader)
{
	size_t depth = 0;
	bool in_string = false;
	for (size_t at = 0; at < CATALOGUE_READER_ITEM_MAX_BYTES; at++) {
		int c = at < reader->end - reader->start ? (unsigned char)reader->buffer[reader->start + at] : peek_at(reader, at);
		if (c < 0)
			return 0;
		if (in_string) {
			if (c == '\\')
				at++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{') {
			depth++;
		} else if (c == '}' && --depth == 0) {
			return at + 1;
		}
	}
	return 0;
}

static enum catalogue_read broken_json(struct catalogue_reader *reader, size_t len, const json_error_t *error)
{
	struct text safe = TEXT_INIT(sizeof(reader->error) / 3);
	(void)safe_text_append(&safe, error->text, strlen(error->text));
	consume(reader, error->position > 0 && (size_t)error->position <= len ? (size_t)error->position - 1 : 0);
	enum catalogue_read result = broken(reader, "the item is not well-formed JSON: %s", text_borrow(&safe));
	text_close(&safe);
	return result;
}

static bool has_control_character(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7F)
			return true;
	}
	return false;
}

/* What the store will take; told here with the line, before anything is sent. */
static bool check_item(const json_t *object, struct catalogue_item *item, char error[CATALOGUE_ITEM_ERROR_MAX_BYTES])
{
	if (!catalogue_item_from_json(object, item, error))
		return false;
	const char *problem = NULL;
	if (json_object_size(object) != CATALOGUE_ITEM_FIELDS)
		problem = "there is a field other than id, title, topic, cost and count";
	else if (has_control_character(item->title, item->title_len) || has_control_character(item->topic, item->topic_len))
		problem = "\"title\" or \"topic\" has a control character";
	if (problem != NULL)
		(void)snprintf(error, CATALOGUE_ITEM_ERROR_MAX_BYTES, "%s", problem);
	return problem == NULL;
}

static enum catalogue_read take_item(struct catalogue_reader *reader, struct catalogue_entry *entry)
{
	size_t len = object_len(reader);
	if (len == 0 && reader->error[0] == '\0' && !reader->at_eof)
		return broken(reader, "the item is longer than %d bytes", CATALOGUE_READER_ITEM_MAX_BYTES);
	if (len == 0)
		return broken(reader, "the file ends inside of the item that starts here");
	json_error_t json_error;
	json_t *object = json_loadb(reader->buffer + reader->start, len, JSON_REJECT_DUPLICATES, &json_error);
	if (object == NULL)
		return broken_json(reader, len, &json_error);
	struct catalogue_item item;
	char item_error[CATALOGUE_ITEM_ERROR_MAX_BYTES];
	bool good = check_item(object, &item, item_error);
	json_decref(object);
	if (!good)
		return broken(reader, "%s", item_error);
	*entry = (struct catalogue_entry){ .json = reader->buffer + reader->start, .json_len = len, .id = item.id,
					   .number = ++reader->item_count, .line = reader->line, .end_offset = reader->offset + len };
	consume(reader, len);
	reader->state = reader->state == STATE_LINES ? STATE_LINES : STATE_COMMA;
	return CATALOGUE_READ_ITEM;
}

/* Decides which of the three formats it is. False: it is none of them, *result says so. */
static bool start(struct catalogue_reader *reader, enum catalogue_read *result)
{
	if (peek_at(reader, 0) == 0xEF && peek_at(reader, 1) == 0xBB && peek_at(reader, 2) == 0xBF)
		consume(reader, 3);
	int c = peek_token(reader);
	size_t wrapper_len;
	if (c == '[') {
		consume(reader, 1);
		reader->state = STATE_FIRST;
	} else if (c == '{' && matches_wrapper(reader, &wrapper_len)) {
		consume(reader, wrapper_len);
		reader->wrapped = true;
		reader->state = STATE_FIRST;
	} else if (c == '{') {
		reader->state = STATE_LINES;
	} else {
		*result = unexpected(reader, c, "an array of items");
		return false;
	}
	return true;
}

/* Moves over punctuation until an item starts (true) or something else is decided (*result). */
static bool reach_item(struct catalogue_reader *reader, enum catalogue_read *result)
{
	for (;;) {
		int c = peek_token(reader);
		int state = reader->state;
		if ((state == STATE_FIRST || state == STATE_ITEM || state == STATE_LINES) && c == '{')
			return true;
		if ((state == STATE_LINES || state == STATE_END) && c == END_OF_FILE) {
			*result = CATALOGUE_READ_END;
			return false;
		}
		if (state == STATE_COMMA && c == ',') {
			reader->state = STATE_ITEM;
		} else if ((state == STATE_COMMA || state == STATE_FIRST) && c == ']') {
			reader->state = reader->wrapped ? STATE_WRAPPER_END : STATE_END;
		} else if (state == STATE_WRAPPER_END && c == '}') {
			reader->state = STATE_END;
		} else {
			*result = unexpected(reader, c, state == STATE_COMMA ? "a comma or ]" : state == STATE_WRAPPER_END ? "}" :
					     state == STATE_END ? "the end of the file" : "an item {...}");
			return false;
		}
		consume(reader, 1);
	}
}

enum catalogue_read catalogue_reader_next(struct catalogue_reader *reader, struct catalogue_entry *entry)
{
	enum catalogue_read result = CATALOGUE_READ_BROKEN;
	if (reader->state == STATE_START && !start(reader, &result))
		return result;
	return reach_item(reader, &result) ? take_item(reader, entry) : result;
}
