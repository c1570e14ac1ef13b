/* position_reader: an answer is never older than the question, and many askers share one. */
#include "tests/unit/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "db/position_reader.h"

#define ASKERS 8
#define ROUNDS 50
#define LONG_MS 60000

/* A log that grows; an answer tells where it ended when the question was sent, and takes a while. */
struct model {
	struct position_reader *reader;
	atomic_uint_fast64_t end;
	atomic_int questions, at_once, failures, wrong;
	atomic_bool fails;
};

static enum etcd_outcome ask(void *context, int64_t deadline_ms, struct etcd_position *out)
{
	struct model *model = context;
	(void)deadline_ms;
	if (atomic_fetch_add(&model->at_once, 1) != 0)
		atomic_fetch_add(&model->wrong, 1);
	atomic_fetch_add(&model->questions, 1);
	out->version = atomic_load(&model->end);
	test_pause_ms(1);
	atomic_fetch_sub(&model->at_once, 1);
	return atomic_load(&model->fails) ? ETCD_UNREACHABLE : ETCD_OK;
}

static void *run_asker(void *context)
{
	struct model *model = context;
	for (int i = 0; i < ROUNDS; i++) {
		struct etcd_position position;
		uint64_t written = atomic_fetch_add(&model->end, 1) + 1;
		if (!position_reader_ask(model->reader, test_now_ms() + LONG_MS, &position))
			atomic_fetch_add(&model->failures, 1);
		else if (position.version < written)
			atomic_fetch_add(&model->wrong, 1);
	}
	return NULL;
}

static void open_model(struct model *model)
{
	memset(model, 0, sizeof *model);
	assert_int_equal(position_reader_create(ask, model, &model->reader), PYGMY_OK);
}

static void test_no_answer_is_older_than_its_question(void **state)
{
	struct model model;
	pthread_t askers[ASKERS];
	(void)state;
	open_model(&model);
	for (int i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_create(&askers[i], NULL, run_asker, &model), 0);
	for (int i = 0; i < ASKERS; i++)
		pthread_join(askers[i], NULL);
	assert_int_equal(atomic_load(&model.wrong), 0);
	assert_int_equal(atomic_load(&model.failures), 0);
	assert_true(atomic_load(&model.questions) <= ASKERS * ROUNDS);
	position_reader_destroy(model.reader);
}

static void test_a_question_that_fails_ends(void **state)
{
	struct model model;
	pthread_t askers[ASKERS];
	struct etcd_position position;
	(void)state;
	open_model(&model);
	atomic_store(&model.fails, true);
	for (int i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_create(&askers[i], NULL, run_asker, &model), 0);
	for (int i = 0; i < ASKERS; i++)
		pthread_join(askers[i], NULL);
	assert_int_equal(atomic_load(&model.failures), ASKERS * ROUNDS);
	/* Nobody asks more than once. */
	assert_true(atomic_load(&model.questions) <= ASKERS * ROUNDS);
	atomic_store(&model.fails, false);
	assert_true(position_reader_ask(model.reader, test_now_ms() + LONG_MS, &position));
	assert_false(position_reader_ask(model.reader, test_now_ms(), &position));
	position_reader_destroy(model.reader);
	position_reader_destroy(NULL);
}

int main(void)
{
	diagnostics_init("test", DIAGNOSTICS_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_answer_is_older_than_its_question),
		cmocka_unit_test(test_a_question_that_fails_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
