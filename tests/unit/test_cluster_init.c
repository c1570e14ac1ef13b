/* cluster_init against a real etcd: a log is begun once, completed after an interruption at any entry, and never touched otherwise. */
#include "tests/unit/etcd_server.h"

#include <curl/curl.h>
#include <sodium.h>

#include "db/applier.h"
#include "db/cluster.h"
#include "db/cluster_init.h"
#include "db/monotonic.h"
#include "db/reader.h"
#include "db/snapshot.h"

#define ITEMS 2500                   /* three parts */

struct frame {
	struct etcd_server server;
	struct etcd *etcd;
	struct arena arena;
	char folder[FOLDER_MAX];
	char catalogue[PATH_BYTES], other_catalogue[PATH_BYTES];
	struct cluster_init_result result;
};

static const struct cluster_init_member members[] = {
	{ SLICE_LITERAL("A"), SLICE_LITERAL("http://127.0.1.1:8011"), SLICE_LITERAL("http://127.0.1.1:8013") },
	{ SLICE_LITERAL("B"), SLICE_LITERAL("http://127.0.1.2:8011"), SLICE_LITERAL("http://127.0.1.2:8013") },
	{ SLICE_LITERAL("C"), SLICE_LITERAL("http://127.0.1.3:8011"), SLICE_LITERAL("http://127.0.1.3:8013") },
};

static void write_catalogue(const char *path, int items, int cost)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	for (int i = 1; i <= items; i++)
		fprintf(file, "%s{\"id\":%d,\"title\":\"T%d\",\"topic\":\"odd\",\"cost\":%d,\"count\":5}", i == 1 ? "[" : ",", i, i, cost);
	fprintf(file, "]");
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	struct frame *frame = calloc(1, sizeof *frame);
	assert_non_null(frame);
	*state = frame;
	arena_init(&frame->arena, (size_t)16 * 1024 * 1024);
	folder_make(frame->folder);
	path_in(frame->catalogue, frame->folder, "catalogue.json");
	path_in(frame->other_catalogue, frame->folder, "other.json");
	write_catalogue(frame->catalogue, ITEMS, 10);
	write_catalogue(frame->other_catalogue, ITEMS, 11);
	etcd_server_start(&frame->server, 1);
	assert_true(etcd_create(frame->server.endpoints, NULL, &frame->etcd));
	return 0;
}

static int teardown(void **state)
{
	struct frame *frame = *state;
	etcd_destroy(frame->etcd);
	etcd_server_stop(&frame->server);
	arena_close(&frame->arena);
	folder_remove(frame->folder);
	free(frame);
	return 0;
}

static int64_t soon(void)
{
	return monotonic_ms() + 10000;
}

static uint64_t log_length(struct frame *frame)
{
	struct etcd_position position;
	assert_int_equal(etcd_log_position(frame->etcd, CLUSTER_LOG_KEY, soon(), &position), ETCD_OK);
	return position.version;
}

static enum cluster_init_outcome init_with(struct frame *frame, const char *catalogue, size_t member_count)
{
	const struct cluster_init init = { .members = members, .member_count = member_count, .catalogue_path = catalogue };
	enum cluster_init_outcome outcome = cluster_init_run(frame->etcd, &init, &frame->result);
	assert_true((outcome == CLUSTER_INIT_DONE) == (frame->result.why[0] == '\0'));
	return outcome;
}

/* ---- what a replica makes of the log ---------------------------------------------------------------------- */

/* Applies the whole log to the database at path (which may not be there). Returns its applied index. */
static uint64_t replay(struct frame *frame, const char *path)
{
	struct applier *applier;
	struct etcd_position end;
	uint64_t revision;
	assert_int_equal(etcd_log_position(frame->etcd, CLUSTER_LOG_KEY, soon(), &end), ETCD_OK);
	assert_int_equal(applier_open(path, NULL, &applier), PYGMY_OK);
	uint64_t revisions[64];
	assert_true(end.version <= 64);
	revision = end.mod_revision;
	for (uint64_t version = end.version; version >= 1; version--) {
		struct etcd_value value;
		arena_reset(&frame->arena);
		assert_int_equal(etcd_log_read(frame->etcd, CLUSTER_LOG_KEY, revision, soon(), &frame->arena, &value), ETCD_OK);
		assert_int_equal(value.position.version, version);
		revisions[version - 1] = value.position.mod_revision;
		revision = value.position.mod_revision - 1;
	}
	for (uint64_t version = 1; version <= end.version; version++) {
		struct etcd_value value;
		arena_reset(&frame->arena);
		assert_int_equal(etcd_log_read(frame->etcd, CLUSTER_LOG_KEY, revisions[version - 1], soon(), &frame->arena, &value), ETCD_OK);
		assert_int_equal(applier_apply(applier, &value, 1, NULL, NULL), PYGMY_OK);
	}
	uint64_t index = applier_position(applier)->index;
	applier_close(applier);
	return index;
}

static int64_t number_in(const char *path, const char *sql)
{
	struct database database;
	assert_int_equal(database_open(&database, path, DATABASE_READ), PYGMY_OK);
	int64_t number = sql_number(&database, sql);
	database_close(&database);
	return number;
}

static void assert_store(struct frame *frame, const char *name, int64_t items, int64_t member_count)
{
	char path[PATH_BYTES];
	path_in(path, frame->folder, name);
	replay(frame, path);
	assert_int_equal(number_in(path, "SELECT count(*) FROM items"), items);
	assert_int_equal(number_in(path, "SELECT count(*) FROM items WHERE cost_minor <> 1000"), 0);
	assert_int_equal(number_in(path, "SELECT catalogue_loaded FROM store"), items > 0);
	assert_int_equal(number_in(path, "SELECT count(*) FROM members"), member_count);
}

/* ---- tests ------------------------------------------------------------------------------------------------- */

static void begins_once(void **state)
{
	struct frame *frame = *state;
	assert_int_equal(init_with(frame, frame->catalogue, 3), CLUSTER_INIT_DONE);
	assert_int_equal(frame->result.entries, 5);
	assert_int_equal(frame->result.found, 0);
	assert_int_equal(log_length(frame), 5);
	assert_true(frame->result.cluster_id != 0);
	assert_int_equal(init_with(frame, frame->catalogue, 3), CLUSTER_INIT_EXISTS);
	assert_int_equal(init_with(frame, NULL, 1), CLUSTER_INIT_EXISTS);
	assert_int_equal(log_length(frame), 5);
	assert_store(frame, "a.db", ITEMS, 3);
}

static void without_a_catalogue(void **state)
{
	struct frame *frame = *state;
	assert_int_equal(init_with(frame, NULL, 1), CLUSTER_INIT_DONE);
	assert_int_equal(log_length(frame), 2);
	assert_store(frame, "a.db", 0, 1);
}

static int entries_left;

static bool goes_on(void *context)
{
	(void)context;
	return entries_left-- > 0;
}

static void is_completed_after_any_interruption(void **state)
{
	struct frame *frame = *state;
	const struct cluster_init init = { .members = members, .member_count = 3, .catalogue_path = frame->catalogue, .go_on = goes_on };
	uint64_t length = 1;
	for (entries_left = 0; length < 5; length++) {
		assert_int_equal(cluster_init_run(frame->etcd, &init, &frame->result), CLUSTER_INIT_STOPPED);
		assert_int_equal(log_length(frame), length);
		entries_left = 1;
		if (length == 4)
			break;
	}
	/* With anything else than before nothing is done. */
	assert_int_equal(init_with(frame, frame->other_catalogue, 3), CLUSTER_INIT_DIFFERS);
	assert_int_equal(init_with(frame, frame->catalogue, 2), CLUSTER_INIT_DIFFERS);
	assert_int_equal(init_with(frame, NULL, 3), CLUSTER_INIT_DIFFERS);
	assert_int_equal(log_length(frame), 4);
	entries_left = 100;
	assert_int_equal(cluster_init_run(frame->etcd, &init, &frame->result), CLUSTER_INIT_DONE);
	assert_int_equal(frame->result.found, 4);
	assert_int_equal(log_length(frame), 5);
	assert_store(frame, "a.db", ITEMS, 3);
}

/* The put of the last entry was sent and not answered; nodes run already and audit. */
static void repeated_and_foreign_entries_do_not_matter(void **state)
{
	struct frame *frame = *state;
	const struct cluster_init init = { .members = members, .member_count = 3, .catalogue_path = frame->catalogue, .go_on = goes_on };
	struct etcd_position position;
	struct etcd_value value;
	entries_left = 1;
	assert_int_equal(cluster_init_run(frame->etcd, &init, &frame->result), CLUSTER_INIT_STOPPED);
	assert_int_equal(etcd_log_read(frame->etcd, CLUSTER_LOG_KEY, 0, soon(), &frame->arena, &value), ETCD_OK);
	assert_int_equal(etcd_log_append(frame->etcd, CLUSTER_LOG_KEY, value.position.create_revision, value.bytes, soon(), &position), ETCD_OK);
	struct command audit = command_of(COMMAND_AUDIT, "audit/0/x");
	audit.audit.rows = 10;
	assert_int_equal(etcd_log_append(frame->etcd, CLUSTER_LOG_KEY, value.position.create_revision, entry_of(&frame->arena, &audit, 1), soon(),
					 &position), ETCD_OK);
	assert_int_equal(log_length(frame), 4);
	entries_left = 100;
	assert_int_equal(cluster_init_run(frame->etcd, &init, &frame->result), CLUSTER_INIT_DONE);
	assert_int_equal(log_length(frame), 7);
	assert_store(frame, "a.db", ITEMS, 3);
}

static void another_log_is_left_alone(void **state)
{
	struct frame *frame = *state;
	struct etcd_position position;
	assert_int_equal(etcd_log_create(frame->etcd, CLUSTER_LOG_KEY, SLICE_LITERAL("something else"), soon(), &position), ETCD_OK);
	assert_int_equal(init_with(frame, frame->catalogue, 3), CLUSTER_INIT_DIFFERS);
	struct command buy = buy_of("k", 1, 1);
	assert_int_equal(etcd_log_append(frame->etcd, CLUSTER_LOG_KEY, position.create_revision, entry_of(&frame->arena, &buy, 1), soon(), &position),
			 ETCD_OK);
	assert_int_equal(etcd_compact(frame->etcd, position.mod_revision, soon()), ETCD_OK);
	assert_int_equal(init_with(frame, frame->catalogue, 3), CLUSTER_INIT_DIFFERS);
	assert_int_equal(log_length(frame), 2);
}

static void bad_files_are_found_before_anything_is_done(void **state)
{
	struct frame *frame = *state;
	char path[PATH_BYTES];
	path_in(path, frame->folder, "bad.json");
	file_write(path, "[{\"id\":1}]");
	assert_int_equal(init_with(frame, path, 3), CLUSTER_INIT_BAD_INPUT);
	assert_int_equal(init_with(frame, "/does/not/exist", 3), CLUSTER_INIT_BAD_INPUT);
	const struct cluster_init init = { .members = members, .member_count = 3, .continue_path = path };
	assert_int_equal(cluster_init_run(frame->etcd, &init, &frame->result), CLUSTER_INIT_BAD_INPUT);
	assert_int_equal(log_length(frame), 0);
}

static void an_etcd_that_is_away_is_said(void **state)
{
	struct frame *frame = *state;
	etcd_server_kill(&frame->server, 0);
	struct etcd *etcd;
	assert_true(etcd_create("http://127.0.0.1:1", NULL, &etcd));
	const struct cluster_init init = { .members = members, .member_count = 3, .call_ms = 200 };
	assert_int_equal(cluster_init_run(etcd, &init, &frame->result), CLUSTER_INIT_UNREACHABLE);
	etcd_destroy(etcd);
}

/* A backup of one cluster begins another one: its position goes on, its members are replaced. */
static void continues_a_database(void **state)
{
	struct frame *frame = *state;
	char first[PATH_BYTES], copy[PATH_BYTES], restored[PATH_BYTES], why[SNAPSHOT_WHY_BYTES], maker_folder[FOLDER_MAX], snapshot[PATH_MAX];
	struct snapshot_info info;
	struct snapshot_maker *maker;
	folder_make(maker_folder);
	path_in(first, frame->folder, "first.db");
	path_in(restored, frame->folder, "restored.db");
	path_in(copy, frame->folder, "copy.db");
	assert_int_equal(init_with(frame, frame->catalogue, 3), CLUSTER_INIT_DONE);
	assert_int_equal(replay(frame, first), 5);
	assert_int_equal(snapshot_maker_create(first, maker_folder, &maker), PYGMY_OK);
	assert_int_equal(snapshot_make(maker, snapshot, &info), PYGMY_OK);
	assert_int_equal(snapshot_restore(snapshot, restored, &info, why), PYGMY_OK);
	snapshot_maker_destroy(maker);
	/* (maker_folder holds snapshots/ with the copies) */
	assert_int_equal(unlink(snapshot), 0);
	snprintf(snapshot, sizeof snapshot, "%s/snapshots", maker_folder);
	assert_int_equal(rmdir(snapshot), 0);
	assert_int_equal(rmdir(maker_folder), 0);

	etcd_destroy(frame->etcd);
	etcd_server_stop(&frame->server);
	etcd_server_start(&frame->server, 1);
	assert_true(etcd_create(frame->server.endpoints, NULL, &frame->etcd));
	const struct cluster_init init = { .members = members + 1, .member_count = 1, .continue_path = restored, .go_on = goes_on };
	entries_left = 0;
	assert_int_equal(cluster_init_run(frame->etcd, &init, &frame->result), CLUSTER_INIT_STOPPED);
	entries_left = 9;
	assert_int_equal(cluster_init_run(frame->etcd, &init, &frame->result), CLUSTER_INIT_DONE);
	assert_int_equal(frame->result.base_index, 5);
	assert_int_equal(log_length(frame), 2);
	assert_int_equal(replay(frame, restored), 7);
	assert_int_equal(number_in(restored, "SELECT count(*) FROM items"), ITEMS);
	assert_int_equal(number_in(restored, "SELECT count(*) FROM members"), 1);
	assert_int_equal(number_in(restored, "SELECT count(*) FROM members WHERE name = 'B'"), 1);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(begins_once),
		TEST(without_a_catalogue),
		TEST(is_completed_after_any_interruption),
		TEST(repeated_and_foreign_entries_do_not_matter),
		TEST(another_log_is_left_alone),
		TEST(bad_files_are_found_before_anything_is_done),
		TEST(an_etcd_that_is_away_is_said),
		TEST(continues_a_database),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return failed;
}
