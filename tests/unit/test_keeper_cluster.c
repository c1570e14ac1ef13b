/* The keepers of a real cluster: flipped bits are found and healed, the log is compacted, an etcd without space is cured. */
#include "tests/unit/cluster_frame.h"

#include "db/compaction.h"

#define FLIPS 3

static struct cluster_frame *frame;
static char log_folder[FOLDER_MAX];

static int teardown(void **state)
{
	(void)state;
	cluster_stop(frame);
	if (log_folder[0] != '\0')
		folder_remove(log_folder);
	log_folder[0] = '\0';
	return 0;
}

static enum node_phase phase_of(const struct cluster_node *node)
{
	struct node_view view;
	node_state_view(replica_node_state(node->replica), &view);
	return view.phase;
}

/* ---- flipped bits --------------------------------------------------------------------------------------- */

static void flip(const struct cluster_node *node, const char *sql)
{
	struct database database;
	assert_int_equal(database_open(&database, node->db_path, DATABASE_WRITE), PYGMY_OK);
	sql_run(&database, sql);
	database_close(&database);
}

static void start_with_snapshots(void)
{
	cluster_start(frame, 3, 3);
	cluster_init_log(frame);
	for (int i = 0; i < 3; i++)
		cluster_node_serve_snapshots(&frame->nodes[i]);
	cluster_open_all(frame);
}

static void assert_healed(const struct cluster_node *node)
{
	cluster_node_await(node);
	for (int i = 0; i < 3; i++)
		cluster_assert_same(&frame->nodes[0], &frame->nodes[i]);
}

static void a_flipped_bit_is_found_by_the_next_write(void **state)
{
	(void)state;
	start_with_snapshots();
	for (int i = 0; i < FLIPS; i++) {
		struct cluster_node *wrong = &frame->nodes[(i + 1) % 3], *right = &frame->nodes[i % 3];
		char key[32];
		flip(wrong, "UPDATE items SET title = replace(title, 'O', 'P') WHERE id = 1");
		snprintf(key, sizeof key, "buy/0/flip-%d", i);
		cluster_do(right, buy_of(key, 1, 1));
		int64_t wrote_ms = test_now_ms();
		assert_true(WAIT_FOR(phase_of(wrong) != NODE_READY, CLUSTER_LONG_MS));
		printf("# found after %" PRId64 " ms\n", test_now_ms() - wrote_ms);
		assert_int_equal(phase_of(right), NODE_READY);
		assert_healed(wrong);
		struct reader *reader = cluster_read(wrong);
		struct item item;
		assert_int_equal(reader_item(reader, 1, &item), PYGMY_OK);
		assert_true(slice_equal(item.title, SLICE_LITERAL("One")));
		reader_end(reader);
	}
}

static void or_by_an_audit(void **state)
{
	(void)state;
	start_with_snapshots();
	cluster_do(&frame->nodes[0], buy_of("buy/0/a", 1, 1));
	flip(&frame->nodes[2], "UPDATE orders SET unit_cost_minor = unit_cost_minor + 1 WHERE id = 1");
	assert_true(WAIT_FOR(phase_of(&frame->nodes[2]) != NODE_READY, CLUSTER_LONG_MS));
	assert_healed(&frame->nodes[2]);
}

/* ---- the log's size --------------------------------------------------------------------------------------- */

static char long_title[TITLE_MAX_BYTES + 1];

/* About a megabyte. */
static struct command large_import(const char *key)
{
	static struct item items[1900];
	memset(long_title, 'x', TITLE_MAX_BYTES);
	for (int i = 0; i < 1900; i++)
		items[i] = item_of(100 + i, long_title, "large", 1, 1);
	return import_of(key, items, 1900);
}

static bool has_alarm(void)
{
	struct etcd_alarm alarms[8];
	int count = 0;
	assert_int_equal(etcd_alarms(frame->etcd, test_now_ms() + CLUSTER_LONG_MS, alarms, 8, &count), ETCD_OK);
	return count > 0;
}

static void write_large(int number)
{
	char key[32];
	snprintf(key, sizeof key, "import/0/large-%d", number);
	struct result result = cluster_do(&frame->nodes[number % frame->count], large_import(key));
	assert_int_equal(result.error, PYGMY_OK);
}

/* Other writers fill etcd: no entries of ours, and more than what a compaction of ours would free. */
static void fill_up(void)
{
	static char bytes[1024 * 1024];
	enum etcd_outcome outcome;
	char key[32];
	int number = 0;
	do {
		snprintf(key, sizeof key, "/filler/%d", number++ % 3);
		outcome = etcd_put(frame->etcd, key, (struct slice){ bytes, sizeof bytes }, 0, test_now_ms() + CLUSTER_LONG_MS);
	} while (outcome == ETCD_OK && number < 1000);
	assert_int_equal(outcome, ETCD_NO_SPACE);
}

static bool is_logged(const char *text)
{
	char path[PATH_BYTES], line[600];
	bool found = false;
	path_in(path, log_folder, "heartbeat.log");
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		found = found || strstr(line, text) != NULL;
	if (file != NULL)
		fclose(file);
	return found;
}

static void an_etcd_without_space_is_cured(void **state)
{
	(void)state;
	static const char *const options[] = { "--quota-backend-bytes", "33554432", NULL };
	cluster_start_with(frame, options, 3, 2);
	folder_make(log_folder);
	frame->nodes[0].config.log_dir = log_folder;
	cluster_init_log(frame);
	cluster_open_all(frame);
	for (int i = 0; i < 4; i++)
		write_large(i);
	fill_up();
	assert_true(has_alarm());
	/* Writes come back by themselves, and the alarms are gone. */
	struct result result = cluster_do(&frame->nodes[1], buy_of("buy/0/after", 1, 1));
	assert_int_equal(result.error, PYGMY_OK);
	assert_false(has_alarm());
	cluster_assert_same(&frame->nodes[0], &frame->nodes[1]);
	assert_true(WAIT_FOR(is_logged(" space short A ") && is_logged(" space back A "), CLUSTER_LONG_MS));
}

static bool is_compacted(uint64_t revision)
{
	struct etcd_value value;
	arena_reset(&frame->arena);
	return etcd_log_read(frame->etcd, CLUSTER_LOG_KEY, revision, test_now_ms() + CLUSTER_LONG_MS, &frame->arena, &value) == ETCD_COMPACTED;
}

static void the_log_is_compacted(void **state)
{
	(void)state;
	cluster_start(frame, 1, 2);
	cluster_init_log(frame);
	uint64_t first = frame->log.mod_revision;
	cluster_open_all(frame);
	for (int i = 0; i < (int)(COMPACTION_MARGIN_ENTRIES + 3 * COMPACTION_STEP_ENTRIES); i++) {
		char key[32];
		snprintf(key, sizeof key, "buy/0/%d", i);
		struct command buy = buy_of(key, 1, 1);
		cluster_append(frame, &buy, 1);
	}
	assert_true(WAIT_FOR(is_compacted(first), CLUSTER_LONG_MS));
	cluster_assert_same(&frame->nodes[0], &frame->nodes[1]);
}

int main(void)
{
	frame = calloc(1, sizeof *frame);
	if (frame == NULL)
		return 1;
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
#define TEST(function) cmocka_unit_test_teardown(function, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_flipped_bit_is_found_by_the_next_write),
		TEST(or_by_an_audit),
		TEST(an_etcd_without_space_is_cured),
		TEST(the_log_is_compacted),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(frame);
	return failed;
}
