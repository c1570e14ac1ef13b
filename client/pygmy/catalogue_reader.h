/*
 * catalogue_reader: a catalogue file, one item after the other, in constant memory.
 *
 * Formats: an array of items `[{...}, ...]`, an object `{"items": [...]}`, or one object after the other (a line each, as a rule). An item
 * is `{"id", "title", "topic", "cost", "count"}`, all present, nothing else, no field twice. The file may be of any size; one item
 * has at most CATALOGUE_READER_ITEM_MAX_BYTES. Whatever is wrong is told with its line and byte.
 */
#ifndef PYGMY_CLIENT_CATALOGUE_READER_H
#define PYGMY_CLIENT_CATALOGUE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CATALOGUE_READER_ITEM_MAX_BYTES (32 * 1024)
#define CATALOGUE_READER_BUFFER_BYTES (256 * 1024)
#define CATALOGUE_READER_ERROR_MAX_BYTES 384

enum catalogue_read {
	CATALOGUE_READ_ITEM,
	CATALOGUE_READ_END,           /* the file is complete and well-formed */
	CATALOGUE_READ_BROKEN,        /* its content is wrong: reader->error */
	CATALOGUE_READ_FAILED         /* it could not be read: reader->error */
};

struct catalogue_entry {
	const char *json;             /* the item as it stands in the file; valid until the next call */
	size_t json_len;
	int64_t id;
	uint64_t number;              /* of the item, from 1 */
	uint64_t line;                /* where it starts, from 1 */
	uint64_t end_offset;          /* byte behind it */
};

struct catalogue_reader {
	int fd;                       /* the caller's */
	char *buffer;
	size_t start, end;            /* unread bytes */
	bool at_eof;
	int state;
	bool wrapped;                 /* in {"items": ...} */
	uint64_t line, offset;        /* of buffer[start]; line from 1, offset from 0 */
	uint64_t item_count;
	char error[CATALOGUE_READER_ERROR_MAX_BYTES];   /* safe for a terminal */
};

/* Errors: false without memory. Close it in any case. */
bool catalogue_reader_init(struct catalogue_reader *reader, int fd);
void catalogue_reader_close(struct catalogue_reader *reader);

/* Blocks as read() on fd does. After anything but ITEM it is not called again. */
enum catalogue_read catalogue_reader_next(struct catalogue_reader *reader, struct catalogue_entry *entry);

#endif
