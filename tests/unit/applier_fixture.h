/*
 * applier_fixture: a log as etcd would hand it out, value by value, and an applier on a fresh database file.
 */
#ifndef PYGMY_TESTS_UNIT_APPLIER_FIXTURE_H
#define PYGMY_TESTS_UNIT_APPLIER_FIXTURE_H

#include "tests/unit/support.h"

#include "db/applier.h"

#define FIXTURE_VALUES_MAX 1500
#define FIXTURE_CLUSTER UINT64_C(0xfedcba9876543210)     /* no int64_t */

/* Every value of one log; revisions have gaps, since other keys are written too. */
struct value_log {
	struct arena arena;
	struct etcd_value values[FIXTURE_VALUES_MAX];
	size_t count;
	uint64_t cluster_id, create_revision;
	uint64_t base_index;
};

static inline void value_log_init(struct value_log *log, uint64_t create_revision, uint64_t base_index)
{
	*log = (struct value_log){ .cluster_id = FIXTURE_CLUSTER, .create_revision = create_revision, .base_index = base_index };
	arena_init(&log->arena, (size_t)64 * 1024 * 1024);
}

static inline void value_log_close(struct value_log *log)
{
	arena_close(&log->arena);
}

static inline const struct etcd_value *value_log_put(struct value_log *log, const struct command *commands, size_t count)
{
	assert_true(log->count < FIXTURE_VALUES_MAX);
	struct etcd_value *value = &log->values[log->count];
	value->position = (struct etcd_position){ .cluster_id = log->cluster_id,
						  .create_revision = log->create_revision,
						  .mod_revision = log->create_revision + 3 * log->count,
						  .version = log->count + 1 };
	value->position.header_revision = value->position.mod_revision + 1;
	value->bytes = entry_of(&log->arena, commands, count);
	log->count++;
	return value;
}

static inline const struct etcd_value *value_log_put_one(struct value_log *log, struct command command)
{
	if (command.base_index == 0)
		command.base_index = log->base_index + log->count;
	return value_log_put(log, &command, 1);
}

static inline void value_log_put_genesis(struct value_log *log, const uint8_t *chain)
{
	value_log_put_one(log, genesis_of("init/0/genesis", log->base_index, chain));
}

/* Any commands on few items under few keys. */
static inline void value_log_put_random(struct value_log *log, uint64_t *seed, size_t values)
{
	for (size_t v = 0; v < values; v++) {
		struct command batch[8];
		size_t count = (size_t)test_random_in(seed, 1, 8);
		for (size_t i = 0; i < count; i++) {
			const char *key = arena_printf(&log->arena, "k/0/%d", (int)test_random_in(seed, 0, 200)).ptr;
			int64_t id = test_random_in(seed, 1, 6);
			switch (test_random_in(seed, 0, 9)) {
			case 0:
				batch[i] = create_of(key, "Created", "topic", 5, test_random_in(seed, 0, 9));
				break;
			case 1:
				batch[i] = delta_of(key, id, test_random_in(seed, -5, 9));
				break;
			case 2:
				batch[i] = delete_of(key, id);
				break;
			case 3:
				batch[i] = member_set_of(key, id % 2 == 0 ? "A" : "B", "http://127.0.1.1:1", "http://127.0.1.1:2");
				break;
			case 4:
				batch[i] = audit_of(key, test_random_in(seed, 1, 5));
				break;
			default:
				batch[i] = buy_of(key, id, test_random_in(seed, 1, 3));
			}
			batch[i].base_index = log->base_index + log->count;
		}
		value_log_put(log, batch, count);
	}
}

/* ---- the applier ------------------------------------------------------------------------------------ */

struct applier_test {
	char folder[FOLDER_MAX];
	char path[PATH_BYTES];
	struct applier *applier;
	struct value_log log;
	uint8_t zeros[CHAIN_BYTES];
};

/* The applier is open on an empty database; the log holds a genesis that fits it and one item of 1000. */
static inline int applier_setup(void **state)
{
	struct applier_test *test = calloc(1, sizeof *test);
	assert_non_null(test);
	folder_make(test->folder);
	path_in(test->path, test->folder, "store.db");
	assert_int_equal(applier_open(test->path, NULL, &test->applier), PYGMY_OK);
	sql_run(applier_database(test->applier), "PRAGMA synchronous = OFF");
	value_log_init(&test->log, 17, 0);
	value_log_put_genesis(&test->log, test->zeros);
	value_log_put_one(&test->log, create_of("item/0/make", "Title", "topic", 100, 1000));
	*state = test;
	return 0;
}

static inline int applier_teardown(void **state)
{
	struct applier_test *test = *state;
	applier_close(test->applier);
	value_log_close(&test->log);
	folder_remove(test->folder);
	free(test);
	return 0;
}

#define applier_test(function) cmocka_unit_test_setup_teardown(function, applier_setup, applier_teardown)

/* Applies what the log holds beyond the applier's position, in groups of at most `group`. */
static inline enum pygmy_error apply_rest(struct applier *applier, const struct value_log *log, size_t group)
{
	enum pygmy_error error = PYGMY_OK;
	while (error == PYGMY_OK && applier_position(applier)->index < log->base_index + log->count) {
		size_t next = (size_t)(applier_position(applier)->index - log->base_index);
		size_t count = log->count - next < group ? log->count - next : group;
		error = applier_apply(applier, &log->values[next], count, NULL, NULL);
	}
	return error;
}

static inline void assert_same_content(struct database *one, struct database *two)
{
	char *a = database_dump(one), *b = database_dump(two);
	assert_string_equal(a, b);
	sqlite3_free(a);
	sqlite3_free(b);
}

static inline void file_copy(const char *from, const char *to)
{
	char bytes[65536];
	FILE *in = fopen(from, "rbe"), *out = fopen(to, "wbe");
	assert_non_null(in);
	assert_non_null(out);
	for (size_t len; (len = fread(bytes, 1, sizeof bytes, in)) > 0;)
		assert_int_equal(fwrite(bytes, 1, len, out), len);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

/* A database file of its own with the content of database, as a snapshot would be. */
static inline void snapshot_of(struct database *database, const char *path)
{
	char sql[2 * PATH_BYTES];
	snprintf(sql, sizeof sql, "VACUUM INTO '%s'", path);
	sql_run(database, sql);
}

#endif
