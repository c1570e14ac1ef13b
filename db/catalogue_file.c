/* catalogue_file: see catalogue_file.h. */
#include "db/catalogue_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "db/command.h"
#include "db/diagnostics.h"
#include "db/entry.h"
#include "db/limits.h"
#include "db/money.h"
#include "db/monotonic.h"
#include "db/query_string.h"
#include "db/request_key.h"

#define PART_ITEMS 1000       /* of at most about 650 bytes each: well below ENTRY_MAX_BYTES */
#define PART_ARENA_BYTES ((size_t)8 * 1024 * 1024)

bool catalogue_text_is_valid(struct slice text, size_t max_bytes)
{
	if (text.len == 0 || text.len > max_bytes || !utf8_is_valid(text))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return false;
	return true;
}

static bool text_member(const json_t *object, const char *name, size_t max_bytes, struct slice *out)
{
	const json_t *value = json_object_get(object, name);
	if (!json_is_string(value))
		return false;
	*out = (struct slice){ json_string_value(value), json_string_length(value) };
	return catalogue_text_is_valid(*out, max_bytes);
}

static bool integer_member(const json_t *object, const char *name, int64_t min, int64_t max, int64_t *out)
{
	const json_t *value = json_object_get(object, name);
	*out = json_is_integer(value) ? json_integer_value(value) : min - 1;
	return *out >= min && *out <= max;
}

bool catalogue_item_of_json(const json_t *object, struct item *out, const char **wrong)
{
	if (!json_is_object(object) || json_object_size(object) != 5)
		*wrong = "an item has exactly the members id, title, topic, cost and count";
	else if (!integer_member(object, "id", 1, ID_MAX, &out->id))
		*wrong = "id must be an integer from 1 to 999999999999999999";
	else if (!text_member(object, "title", TITLE_MAX_BYTES, &out->title))
		*wrong = "title must be a text of 1 to 500 bytes without control characters";
	else if (!text_member(object, "topic", TOPIC_MAX_BYTES, &out->topic))
		*wrong = "topic must be a text of 1 to 100 bytes without control characters";
	else if (!money_of_json(json_object_get(object, "cost"), &out->cost_minor))
		*wrong = "cost must be a number from 0 to 1000000000 with at most two decimals";
	else if (!integer_member(object, "count", 0, COUNT_MAX, &out->count))
		*wrong = "count must be an integer from 0 to 1000000000";
	else
		return true;
	return false;
}

static int compare_ids(const void *a, const void *b)
{
	int64_t x = ((const struct item *)a)->id, y = ((const struct item *)b)->id;
	return (x > y) - (x < y);
}

/* Reads all items, sorted by id. The caller frees *items, whose texts point into list. */
static enum pygmy_error read_items(const char *path, const json_t *list, struct item **items)
{
	size_t count = json_array_size(list);
	struct item *all = calloc(count > 0 ? count : 1, sizeof *all);
	if (all == NULL)
		return PYGMY_OUT_OF_MEMORY;
	for (size_t i = 0; i < count; i++) {
		const char *wrong = "";
		if (!catalogue_item_of_json(json_array_get(list, i), &all[i], &wrong)) {
			diagnose_error("%s: item %zu of the list: %s", path, i + 1, wrong);
			free(all);
			return PYGMY_INVALID_FIELD;
		}
	}
	qsort(all, count, sizeof *all, compare_ids);
	for (size_t i = 1; i < count; i++)
		if (all[i].id == all[i - 1].id) {
			diagnose_error("%s: the id %lld stands in it twice", path, (long long)all[i].id);
			free(all);
			return PYGMY_INVALID_FIELD;
		}
	*items = all;
	return PYGMY_OK;
}

static enum pygmy_error load_part(const struct item *items, size_t count, size_t number, bool last, catalogue_part part, void *context)
{
	struct arena arena;
	arena_init(&arena, PART_ARENA_BYTES);
	struct slice name = arena_printf(&arena, "catalogue-%zu", number);
	struct command command = { .type = COMMAND_IMPORT,
				   .time_ms = wallclock_ms(),
				   .request_key = request_key_scope(&arena, "import", 0, name),
				   .import = { true, last, count, items } };
	struct slice body = command_encode(&command, &arena);
	char *entry = body.ptr == NULL ? NULL : arena_take(&arena, ENTRY_HEAD_BYTES + body.len);
	enum pygmy_error error = PYGMY_OUT_OF_MEMORY;
	if (entry != NULL) {
		entry_seal(body, entry);
		memcpy(entry + ENTRY_HEAD_BYTES, body.ptr, body.len);
		error = part(context, (struct slice){ entry, ENTRY_HEAD_BYTES + body.len }, &arena);
	}
	arena_close(&arena);
	return error;
}

static enum pygmy_error load_parts(const struct item *items, size_t count, catalogue_part part, void *context)
{
	enum pygmy_error error = PYGMY_OK;
	size_t done = 0, number = 0;
	do {
		size_t now = count - done < PART_ITEMS ? count - done : PART_ITEMS;
		error = load_part(items + done, now, number++, done + now == count, part, context);
		done += now;
	} while (error == PYGMY_OK && done < count);
	return error;
}

static enum pygmy_error open_file(const char *path, FILE **file)
{
	struct stat status;
	*file = fopen(path, "rbe");
	if (*file == NULL || fstat(fileno(*file), &status) != 0) {
		diagnose_error("the catalogue %s can't be read: %s", path, strerror(errno));
	} else if (!S_ISREG(status.st_mode) || (size_t)status.st_size > CATALOGUE_FILE_MAX_BYTES) {
		diagnose_error("the catalogue %s is no file of at most 64 MiB: start with a small one, and load it by `pygmy import`", path);
	} else {
		return PYGMY_OK;
	}
	if (*file != NULL)
		fclose(*file);
	return PYGMY_STORAGE_FAILED;
}

enum pygmy_error catalogue_file_load(const char *path, catalogue_part part, void *context)
{
	FILE *file;
	json_error_t where;
	struct item *items = NULL;
	enum pygmy_error error = open_file(path, &file);
	if (error != PYGMY_OK)
		return error;
	json_t *list = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
	fclose(file);
	if (!json_is_array(list)) {
		diagnose_error("%s, line %d: %s", path, list == NULL ? where.line : 1, list == NULL ? where.text : "the catalogue must be a list of items");
		json_decref(list);
		return PYGMY_BAD_JSON;
	}
	error = read_items(path, list, &items);
	if (error == PYGMY_OK)
		error = load_parts(items, json_array_size(list), part, context);
	free(items);
	json_decref(list);
	return error;
}
