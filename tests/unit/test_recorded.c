/* recorded: what a proposer is told is what apply decided, for every kind of command, and never something that is not known. */
#include "tests/unit/applier_fixture.h"

#include "db/recorded.h"

struct kept {
	struct result results[FIXTURE_VALUES_MAX][8];
	size_t counts[FIXTURE_VALUES_MAX];
};

static void keep(void *context, uint64_t index, const struct result *results, size_t count)
{
	struct kept *kept = context;
	assert_true(count <= 8);
	memcpy(kept->results[index], results, count * sizeof *results);
	kept->counts[index] = count;
}

static void assert_result_equal(const struct result *a, const struct result *b)
{
	assert_int_equal(a->error, b->error);
	assert_int_equal(a->revision, b->revision);
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->quantity, b->quantity);
	assert_int_equal(a->slot_count, b->slot_count);
	for (uint32_t i = 0; a->slot_count != SLOTS_ALL_CHANGED && i < a->slot_count; i++)
		assert_int_equal(a->slots[i], b->slots[i]);
}

/* Also those that are asked for long after, when other entries with the same keys have come. */
static void test_it_tells_what_apply_decided(void **state)
{
	struct applier_test *test = *state;
	static struct kept kept;
	struct recorded *recorded;
	struct result results[BATCH_MAX_COMMANDS];
	size_t count, repeated = 0, refused = 0;
	uint64_t seed = test_seed(__func__);
	value_log_put_random(&test->log, &seed, 300);
	assert_int_equal(recorded_open(test->path, &recorded), PYGMY_OK);
	for (size_t v = 0; v < test->log.count; v++) {
		assert_int_equal(applier_apply(test->applier, &test->log.values[v], 1, keep, &kept), PYGMY_OK);
		assert_int_equal(recorded_results(recorded, test->log.values[v].bytes, v + 1, &test->log.arena, results, &count), PYGMY_OK);
		assert_int_equal(count, kept.counts[v + 1]);
		for (size_t i = 0; i < count; i++) {
			assert_result_equal(&kept.results[v + 1][i], &results[i]);
			repeated += results[i].repeated ? 1 : 0;
			refused += results[i].error != PYGMY_OK ? 1 : 0;
		}
	}
	for (size_t v = 0; v < test->log.count; v++) {
		assert_int_equal(recorded_results(recorded, test->log.values[v].bytes, v + 1, &test->log.arena, results, &count), PYGMY_OK);
		for (size_t i = 0; i < count; i++)
			assert_result_equal(&kept.results[v + 1][i], &results[i]);
	}
	assert_true(repeated > 20 && refused > 20);
	recorded_close(recorded);
}

static enum pygmy_error ask(struct applier_test *test, struct command command, uint64_t index, struct result *result)
{
	struct recorded *recorded;
	size_t count = 0;
	assert_int_equal(recorded_open(test->path, &recorded), PYGMY_OK);
	enum pygmy_error error = recorded_results(recorded, entry_of(&test->log.arena, &command, 1), index, &test->log.arena, result, &count);
	assert_true(error != PYGMY_OK || count == 1);
	recorded_close(recorded);
	return error;
}

static void test_what_came_too_late(void **state)
{
	struct applier_test *test = *state;
	struct result result;
	struct command buy = buy_of("buy/0/late", 1, 1);
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	sql_run(applier_database(test->applier), "UPDATE store SET log_index = 200000");
	assert_int_equal(ask(test, buy, RESULT_WINDOW_ENTRIES + 1, &result), PYGMY_OK);
	assert_int_equal(result.error, PYGMY_KEY_TOO_OLD);
	/* A missing record within the window would mean that the order may exist: nothing is said then. */
	assert_int_equal(ask(test, buy, RESULT_WINDOW_ENTRIES, &result), PYGMY_INTERNAL);
	assert_int_equal(ask(test, audit_of("audit/0/a", 5), 5, &result), PYGMY_OK);
	assert_int_equal(result.error, PYGMY_OK);
}

/* Between the applying and the asking the database was rebuilt: no record is no refusal. */
static void test_a_database_that_went_back(void **state)
{
	struct applier_test *test = *state;
	struct result result;
	struct command buy = buy_of("buy/0/x", 1, 1);
	assert_int_equal(ask(test, buy, 1, &result), PYGMY_BEHIND);
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	assert_int_equal(ask(test, buy, 3, &result), PYGMY_BEHIND);
	value_log_put_one(&test->log, buy);
	assert_int_equal(apply_rest(test->applier, &test->log, 2), PYGMY_OK);
	assert_int_equal(ask(test, buy, 3, &result), PYGMY_OK);
	assert_int_equal(result.id, 1);
	assert_false(result.repeated);
	assert_int_equal(ask(test, buy_of("buy/0/x", 1, 2), 3, &result), PYGMY_OK);
	assert_int_equal(result.error, PYGMY_KEY_REUSED);
}

static void test_no_sound_entry(void **state)
{
	struct applier_test *test = *state;
	struct recorded *recorded;
	struct result result;
	struct command buy = buy_of("buy/0/x", 1, 1);
	size_t count;
	struct slice entry = entry_of(&test->log.arena, &buy, 1);
	assert_int_equal(recorded_open(test->path, &recorded), PYGMY_OK);
	entry.len--;
	assert_int_equal(recorded_results(recorded, entry, 0, &test->log.arena, &result, &count), PYGMY_INTERNAL);
	assert_int_equal(recorded_results(recorded, SLICE_EMPTY, 0, &test->log.arena, &result, &count), PYGMY_INTERNAL);
	recorded_close(recorded);
	assert_int_equal(recorded_open("/nowhere/store.db", &recorded), PYGMY_STORAGE_FAILED);
	assert_null(recorded);
	recorded_close(NULL);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR + 1);
	const struct CMUnitTest tests[] = {
		applier_test(test_it_tells_what_apply_decided),
		applier_test(test_what_came_too_late),
		applier_test(test_a_database_that_went_back),
		applier_test(test_no_sound_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
