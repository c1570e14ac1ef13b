/* catalogue_file: what is a catalogue, what is none, and how it becomes log entries. */
#include "tests/unit/support.h"

#include "db/catalogue_file.h"

struct frame {
	char folder[FOLDER_MAX];
	char path[PATH_BYTES];
	int parts, last_parts;        /* what catalogue_file_load gave out */
	uint64_t items;
	int64_t last_id;
	int fail_at;
	int64_t first_cost;
	struct bare_store *store;     /* when set, the entries are applied to it */
};

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	assert_non_null(frame);
	folder_make(frame->folder);
	path_in(frame->path, frame->folder, "catalogue.json");
	*state = frame;
	return 0;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	folder_remove(frame->folder);
	free(frame);
	return 0;
}

static enum pygmy_error note_part(void *context, struct slice entry, struct arena *arena)
{
	struct frame *frame = context;
	struct slice body;
	struct command command;
	assert_int_equal(entry_open(entry, &body), ENTRY_OK);
	assert_int_equal(command_decode(&body, arena, &command), COMMAND_OK);
	assert_int_equal(body.len, 0);
	assert_int_equal(command.type, COMMAND_IMPORT);
	assert_true(command.import.first_catalogue);
	assert_int_equal(frame->last_parts, 0);
	frame->last_parts += command.import.last_part ? 1 : 0;
	for (uint64_t i = 0; i < command.import.item_count; i++) {
		assert_true(command.import.items[i].id > frame->last_id);
		frame->first_cost = frame->last_id == 0 ? command.import.items[i].cost_minor : frame->first_cost;
		frame->last_id = command.import.items[i].id;
	}
	frame->items += command.import.item_count;
	if (frame->store != NULL) {
		assert_int_equal(bare_store_apply(frame->store, entry), PYGMY_OK);
		assert_int_equal(frame->store->results[0].error, PYGMY_OK);
	}
	return ++frame->parts == frame->fail_at ? PYGMY_STORAGE_FULL : PYGMY_OK;
}

static enum pygmy_error load(struct frame *frame, const char *text)
{
	file_write(frame->path, text);
	frame->parts = frame->last_parts = 0;
	frame->items = 0;
	frame->last_id = 0;
	return catalogue_file_load(frame->path, note_part, frame);
}

#define ITEM(id) "{\"id\": " #id ", \"title\": \"Title\", \"topic\": \"topic\", \"cost\": 11.85, \"count\": 3}"

static void test_a_catalogue(void **state)
{
	struct frame *frame = *state;
	assert_int_equal(load(frame, "[" ITEM(9) "," ITEM(2) "," ITEM(999999999999999999) "]"), PYGMY_OK);
	assert_int_equal(frame->parts, 1);
	assert_int_equal(frame->last_parts, 1);
	assert_int_equal(frame->items, 3);
	assert_int_equal(frame->last_id, ID_MAX);
	assert_int_equal(frame->first_cost, 1185);
}

/* A store without items counts as loaded too: else the next start would try again. */
static void test_an_empty_catalogue(void **state)
{
	struct frame *frame = *state;
	assert_int_equal(load(frame, "[]"), PYGMY_OK);
	assert_int_equal(frame->parts, 1);
	assert_int_equal(frame->last_parts, 1);
	assert_int_equal(frame->items, 0);
}

static char *large_catalogue(int count)
{
	char *text = malloc((size_t)count * 100 + 10);
	assert_non_null(text);
	size_t len = 0;
	text[len++] = '[';
	for (int i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, 100, "%s{\"id\":%d,\"title\":\"T\",\"topic\":\"t\",\"cost\":1,\"count\":1}",
					i > 0 ? "," : "", count - i);
	memcpy(text + len, "]", 2);
	return text;
}

static void test_a_large_catalogue_comes_in_parts(void **state)
{
	struct frame *frame = *state;
	static const int counts[] = { 999, 1000, 1001, 2500 };
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct bare_store store;
		char *text = large_catalogue(counts[i]);
		bare_store_open(&store);
		frame->store = &store;
		assert_int_equal(load(frame, text), PYGMY_OK);
		assert_int_equal(frame->parts, (counts[i] + 999) / 1000);
		assert_int_equal(frame->last_parts, 1);
		assert_int_equal(frame->items, counts[i]);
		assert_int_equal(sql_number(&store.database, "SELECT count(*) FROM items"), counts[i]);
		assert_true(store.position.catalogue_loaded);
		bare_store_close(&store);
		free(text);
	}
}

static void test_it_stops_at_the_first_error(void **state)
{
	struct frame *frame = *state;
	char *text = large_catalogue(3500);
	frame->fail_at = 2;
	assert_int_equal(load(frame, text), PYGMY_STORAGE_FULL);
	assert_int_equal(frame->parts, 2);
	free(text);
}

static void test_what_is_no_catalogue(void **state)
{
	struct frame *frame = *state;
	static const char *const texts[] = { "", "[", "{}", "null", "[" ITEM(1) "] x", "[{\"id\": 1, \"id\": 2}]", "[\"\xff\"]" };
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_int_equal(load(frame, texts[i]), PYGMY_BAD_JSON);
		assert_int_equal(frame->parts, 0);
	}
}

static void test_what_is_no_item(void **state)
{
	struct frame *frame = *state;
	static const char *const items[] = {
		"1", "[]", "{}",
		"{\"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": 1, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1}",
		"{\"id\": 1, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"count\": 1, \"more\": 1}",
		"{\"id\": 1, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"Count\": 1}",
		"{\"id\": 0, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": 1000000000000000000, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": 1.0, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": \"1\", \"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": 1, \"title\": \"\", \"topic\": \"t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": 1, \"title\": 1, \"topic\": \"t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": 1, \"title\": \"a\\nb\", \"topic\": \"t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": 1, \"title\": \"a\\u007fb\", \"topic\": \"t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": 1, \"title\": \"T\", \"topic\": \"\\t\", \"cost\": 1, \"count\": 1}",
		"{\"id\": 1, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1.005, \"count\": 1}",
		"{\"id\": 1, \"title\": \"T\", \"topic\": \"t\", \"cost\": -1, \"count\": 1}",
		"{\"id\": 1, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"count\": -1}",
		"{\"id\": 1, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"count\": 1.5}",
		"{\"id\": 1, \"title\": \"T\", \"topic\": \"t\", \"cost\": 1, \"count\": 1000000001}",
	};
	for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
		char text[400];
		snprintf(text, sizeof text, "[" ITEM(7) ", %s]", items[i]);
		assert_int_equal(load(frame, text), PYGMY_INVALID_FIELD);
		assert_int_equal(frame->parts, 0);
	}
	assert_int_equal(load(frame, "[" ITEM(7) "," ITEM(1) "," ITEM(7) "]"), PYGMY_INVALID_FIELD);
	assert_int_equal(frame->parts, 0);
}

static void test_what_is_no_file(void **state)
{
	struct frame *frame = *state;
	assert_int_equal(catalogue_file_load(frame->folder, note_part, frame), PYGMY_STORAGE_FAILED);
	assert_int_equal(catalogue_file_load("/nonexistent", note_part, frame), PYGMY_STORAGE_FAILED);
	file_write(frame->path, "[]");
	assert_int_equal(truncate(frame->path, (off_t)CATALOGUE_FILE_MAX_BYTES + 1), 0);
	assert_int_equal(catalogue_file_load(frame->path, note_part, frame), PYGMY_STORAGE_FAILED);
	assert_int_equal(frame->parts, 0);
}

static void test_texts(void **state)
{
	(void)state;
	char longest[101];
	memset(longest, 'x', sizeof longest);
	assert_true(catalogue_text_is_valid((struct slice){ longest, 100 }, 100));
	assert_false(catalogue_text_is_valid((struct slice){ longest, 101 }, 100));
	assert_true(catalogue_text_is_valid(SLICE_LITERAL("Bücher & \xf0\x9f\x93\x9a"), 100));
	assert_false(catalogue_text_is_valid(SLICE_EMPTY, 100));
	assert_false(catalogue_text_is_valid(SLICE_LITERAL("a\0b"), 100));
	assert_false(catalogue_text_is_valid(SLICE_LITERAL("a\x1f"), 100));
	assert_false(catalogue_text_is_valid(SLICE_LITERAL("\xc0\xaf"), 100));
}

/* The catalogue that the store comes with: the seven books of the course. */
static void test_the_seven_books(void **state)
{
	struct frame *frame = *state;
	assert_int_equal(catalogue_file_load("db/catalogue.json", note_part, frame), PYGMY_OK);
	assert_int_equal(frame->items, 7);
	assert_int_equal(frame->last_id, 7);
	assert_int_equal(frame->first_cost, 1000);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_catalogue),
		TEST(test_an_empty_catalogue),
		TEST(test_a_large_catalogue_comes_in_parts),
		TEST(test_it_stops_at_the_first_error),
		TEST(test_what_is_no_catalogue),
		TEST(test_what_is_no_item),
		TEST(test_what_is_no_file),
		TEST(test_texts),
		TEST(test_the_seven_books),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
