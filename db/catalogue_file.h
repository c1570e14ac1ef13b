/*
 * catalogue_file: the JSON file of a store's first catalogue, as import commands.
 *
 *     [ {"id": 1, "title": "...", "topic": "...", "cost": 10, "count": 100}, ... ]
 *
 * Ids must be unique. What is wrong is logged with the item's place in the list, and nothing of the file is used.
 */
#ifndef PYGMY_DB_CATALOGUE_FILE_H
#define PYGMY_DB_CATALOGUE_FILE_H

#include <jansson.h>

#include "db/arena.h"
#include "db/error.h"
#include "db/item.h"

/* A file larger than this is for `pygmy import`. */
#define CATALOGUE_FILE_MAX_BYTES ((size_t)64 * 1024 * 1024)

/*
 * One item of a catalogue or an import request: exactly the members id, title, topic, cost and count. Texts point into object.
 * On false *wrong is a static text that names what is wrong.
 */
bool catalogue_item_of_json(const json_t *object, struct item *out, const char **wrong);

/* A title or topic: UTF-8 of 1 to max_bytes without control characters. */
bool catalogue_text_is_valid(struct slice text, size_t max_bytes);

typedef enum pygmy_error (*catalogue_part)(void *context, struct slice entry, struct arena *arena);

/*
 * Reads the file and gives it to part as sealed log entries, each with one import command of the first catalogue; the
 * last one says so. Stops at part's first error. Errors: INVALID_FIELD, BAD_JSON, STORAGE_FAILED (unreadable), OUT_OF_MEMORY.
 */
enum pygmy_error catalogue_file_load(const char *path, catalogue_part part, void *context);

#endif
