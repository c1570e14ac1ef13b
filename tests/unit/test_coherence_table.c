/* coherence_table: the lease, eras, and answers that come late or in another order than they were asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/limits.h"
#include "nginx/coherence_table.h"

#define LOG_X UINT64_C(0x1111111111111111)
#define LOG_Y UINT64_C(0x2222222222222222)
#define LEASE_MS 2000

static struct coherence_table *table;
static struct coherence_view view;

static int make_table(void **state)
{
	(void)state;
	table = coherence_table_create();
	return table == NULL;
}

static int end_table(void **state)
{
	(void)state;
	coherence_table_destroy(table);
	return 0;
}

/* A text with one line, or none when revision is 0. */
static struct slice text(uint64_t log, const char *kind, uint64_t position, uint64_t revision, uint32_t slot)
{
	static char buf[256];
	int len = snprintf(buf, sizeof buf, "pygmy-changes 1 %016" PRIx64 " %s %" PRIu64 "\n", log, kind, position);
	if (revision > 0)
		len += snprintf(buf + len, sizeof buf - (size_t)len, "%" PRIu64 " %" PRIu32 "\n", revision, slot);
	return (struct slice){ buf, (size_t)len };
}

static enum coherence_outcome answer(const struct coherence_question *question, struct slice bytes)
{
	return coherence_table_answer(table, question, bytes);
}

static struct coherence_question ask(int64_t now_ms)
{
	struct coherence_question question;
	coherence_table_ask(table, now_ms, &question);
	return question;
}

/* Brings the table to a lease from now_ms on, of log at position. */
static void lease(uint64_t log, uint64_t position, int64_t now_ms)
{
	for (int i = 0; i < 3; i++) {
		struct coherence_question question = ask(now_ms);
		const char *kind = question.has_position && question.since <= position ? "delta" : "reset";
		enum coherence_outcome outcome = answer(&question, text(log, kind, position, 0, 0));
		if (outcome == COHERENCE_DONE)
			return;
		assert_int_equal(outcome, COHERENCE_ASK_AGAIN);
	}
	fail_msg("no lease after three questions");
}

static void look(uint32_t slot, int64_t now_ms)
{
	coherence_table_view(table, slot, now_ms, LEASE_MS, &view);
}

static void test_a_new_table_has_no_lease(void **state)
{
	(void)state;
	look(5, 0);
	assert_false(view.leased);
	assert_int_equal(view.revision, 0);
	struct coherence_question question = ask(10);
	assert_false(question.has_position);
	assert_int_equal(question.since, 0);
	assert_string_equal(question.log_id, "0000000000000000");
	/* It can't be leased by a delta: nothing says from where on. */
	assert_int_equal(answer(&question, text(LOG_X, "delta", 7, 0, 0)), COHERENCE_REFUSED);
	/* The first answer opens an era, the next gives the lease. */
	assert_int_equal(answer(&question, text(LOG_X, "reset", 7, 0, 0)), COHERENCE_ASK_AGAIN);
	look(5, 10);
	assert_false(view.leased);
	question = ask(20);
	assert_int_equal(answer(&question, text(LOG_X, "reset", 7, 0, 0)), COHERENCE_DONE);
	look(5, 20);
	assert_true(view.leased);
	assert_int_equal(view.revision, 7);
}

static void test_the_lease_ends_T_after_the_question_was_sent(void **state)
{
	(void)state;
	lease(LOG_X, 7, 1000);
	look(1, 1000 + LEASE_MS - 1);
	assert_true(view.leased);
	look(1, 1000 + LEASE_MS);
	assert_false(view.leased);
	struct coherence_question question = ask(2500);
	assert_true(question.has_position);
	assert_int_equal(question.since, 7);
	assert_string_equal(question.log_id, "1111111111111111");
	/* Answered long after: only the time of sending counts. */
	assert_int_equal(answer(&question, text(LOG_X, "delta", 9, 8, 1)), COHERENCE_DONE);
	look(1, 2500 + LEASE_MS - 1);
	assert_true(view.leased);
	assert_int_equal(view.revision, 8);
	look(1, 2500 + LEASE_MS);
	assert_false(view.leased);
}

static void test_a_push_raises_slots_only(void **state)
{
	(void)state;
	lease(LOG_X, 7, 0);
	assert_int_equal(coherence_table_push(table, text(LOG_X, "push", 12, 12, 3)), COHERENCE_DONE);
	look(3, 1);
	assert_int_equal(view.revision, 12);
	look(4, 1);
	assert_int_equal(view.revision, 7);
	/* Pushes of others may be missing below 12: the next question still begins at 7. */
	assert_int_equal(ask(1).since, 7);
	/* An older push that comes later lowers nothing. */
	assert_int_equal(coherence_table_push(table, text(LOG_X, "push", 9, 9, 3)), COHERENCE_DONE);
	look(3, 1);
	assert_int_equal(view.revision, 12);
}

static void test_a_push_of_everything_raises_the_floor(void **state)
{
	(void)state;
	lease(LOG_X, 7, 0);
	assert_int_equal(coherence_table_push(table, text(LOG_X, "reset", 12, 0, 0)), COHERENCE_DONE);
	look(3, 1);
	assert_true(view.leased);
	assert_int_equal(view.revision, 12);
	assert_int_equal(ask(1).since, 7);
}

static void test_a_push_is_not_forgotten_by_a_table_without_lease(void **state)
{
	(void)state;
	assert_int_equal(coherence_table_push(table, text(LOG_X, "push", 12, 12, 3)), COHERENCE_DONE);
	look(3, 1);
	assert_false(view.leased);
	lease(LOG_X, 12, 5);
	look(3, 6);
	assert_true(view.leased);
	assert_int_equal(view.revision, 12);
}

static void test_another_log_ends_the_lease_at_once(void **state)
{
	(void)state;
	lease(LOG_X, 700, 0);
	struct coherence_question late = ask(1);
	assert_int_equal(coherence_table_push(table, text(LOG_Y, "push", 3, 3, 5)), COHERENCE_DONE);
	look(5, 2);
	assert_false(view.leased);
	/* What was asked of the old log before can't bring it back. */
	assert_int_equal(answer(&late, text(LOG_X, "delta", 800, 0, 0)), COHERENCE_LATE);
	look(5, 3);
	assert_false(view.leased);
	uint32_t old_era = late.era;
	lease(LOG_Y, 4, 10);
	look(5, 11);
	assert_true(view.leased);
	assert_true(view.era > old_era);
	assert_int_equal(view.revision, 4);      /* nothing of the old log's 700 */
	/* A straggler of the old log closes the new era, too: then nobody is served until it is clear who is right. */
	assert_int_equal(coherence_table_push(table, text(LOG_X, "push", 701, 701, 5)), COHERENCE_DONE);
	look(5, 12);
	assert_false(view.leased);
}

static void test_a_log_that_went_back_opens_an_era(void **state)
{
	(void)state;
	lease(LOG_X, 700, 0);
	assert_int_equal(coherence_table_push(table, text(LOG_X, "push", 701, 701, 5)), COHERENCE_DONE);
	uint32_t era = ask(0).era;
	struct coherence_question question = ask(10);
	assert_int_equal(answer(&question, text(LOG_X, "reset", 300, 0, 0)), COHERENCE_ASK_AGAIN);
	look(5, 11);
	assert_false(view.leased);
	lease(LOG_X, 301, 12);
	look(5, 13);
	assert_true(view.leased);
	assert_true(view.era > era);
	assert_int_equal(view.revision, 301);
}

/* A write that was pushed while the answer that opens an era was on its way is in the era's first lease all the same. */
static void test_no_lease_comes_from_before_its_era(void **state)
{
	(void)state;
	lease(LOG_X, 700, 0);
	struct coherence_question early = ask(10);
	/* The log goes back to 300; the answer is made; then 301 is written and its push confirmed, in the old era. */
	assert_int_equal(coherence_table_push(table, text(LOG_X, "push", 301, 301, 5)), COHERENCE_DONE);
	assert_int_equal(answer(&early, text(LOG_X, "reset", 300, 0, 0)), COHERENCE_ASK_AGAIN);
	look(5, 11);
	assert_false(view.leased);
	/* Asking again within the new era sees it. */
	lease(LOG_X, 301, 12);
	look(5, 13);
	assert_int_equal(view.revision, 301);
}

static void test_answers_in_another_order(void **state)
{
	(void)state;
	lease(LOG_X, 10, 0);
	struct coherence_question first = ask(100), second = ask(200);
	assert_int_equal(answer(&second, text(LOG_X, "delta", 14, 13, 1)), COHERENCE_DONE);
	assert_int_equal(answer(&first, text(LOG_X, "delta", 12, 11, 2)), COHERENCE_DONE);
	struct coherence_question third = ask(300);
	assert_int_equal(third.since, 14);
	look(1, 200 + LEASE_MS - 1);
	assert_true(view.leased);
	look(1, 200 + LEASE_MS);
	assert_false(view.leased);
	/* A delta that ends before its own beginning proves nothing. */
	assert_int_equal(answer(&third, text(LOG_X, "delta", 13, 0, 0)), COHERENCE_REFUSED);
	/* A late reset of this era is harmless. */
	assert_int_equal(answer(&first, text(LOG_X, "reset", 12, 0, 0)), COHERENCE_DONE);
	look(7, 1);
	assert_int_equal(view.revision, 12);
	look(1, 1);
	assert_int_equal(view.revision, 13);
	assert_int_equal(ask(300).since, 14);
}

static void test_what_is_no_text_changes_nothing(void **state)
{
	(void)state;
	lease(LOG_X, 10, 0);
	struct coherence_question question = ask(100);
	assert_int_equal(answer(&question, SLICE_LITERAL("")), COHERENCE_REFUSED);
	assert_int_equal(answer(&question, SLICE_LITERAL("pygmy-changes 1 1111111111111111 delta 12\n12 1\n12 65536\n")),
		COHERENCE_REFUSED);
	assert_int_equal(answer(&question, text(LOG_X, "push", 12, 12, 1)), COHERENCE_REFUSED);
	assert_int_equal(answer(&question, text(0, "delta", 12, 12, 1)), COHERENCE_REFUSED);
	assert_int_equal(answer(&question, text(LOG_X, "delta", COHERENCE_REVISION_MAX + 1, 0, 0)), COHERENCE_REFUSED);
	assert_int_equal(coherence_table_push(table, text(LOG_X, "delta", 12, 12, 1)), COHERENCE_REFUSED);
	assert_int_equal(coherence_table_push(table, SLICE_LITERAL("x")), COHERENCE_REFUSED);
	look(1, LEASE_MS - 1);
	assert_true(view.leased);
	assert_int_equal(view.revision, 10);
	look(1, LEASE_MS);
	assert_false(view.leased);
	struct coherence_status status;
	coherence_table_status(table, 0, LEASE_MS, &status);
	assert_int_equal(status.refused, 7);
}

static void test_raise_belongs_to_an_era(void **state)
{
	(void)state;
	lease(LOG_X, 10, 0);
	uint32_t era = ask(0).era;
	coherence_table_raise(table, era, 9, 11, 1);
	look(9, 1);
	assert_int_equal(view.revision, 11);
	coherence_table_raise(table, era, SLOT_COUNT, 12, 1);
	coherence_table_raise(table, era, 9, COHERENCE_REVISION_MAX + 1, 1);
	coherence_table_raise(table, 0, 9, 12, 1);
	coherence_table_raise(table, COHERENCE_ERAS_MAX - 1, 9, 12, 1);
	look(9, 1);
	assert_int_equal(view.revision, 11);
	lease(LOG_Y, 3, 5);
	coherence_table_raise(table, era, 9, 500, 1);
	look(9, 6);
	assert_int_equal(view.revision, 3);
}

/* What a reader saw who began in an era that has passed may be in no lease's answer yet. */
static void test_a_late_answer_puts_the_lease_in_doubt(void **state)
{
	(void)state;
	lease(LOG_X, 10, 100);
	uint32_t era = ask(100).era;
	lease(LOG_Y, 3, 200);
	look(9, 210);
	assert_true(view.leased);
	coherence_table_raise(table, era, 9, 500, 220);
	look(9, 221);
	assert_false(view.leased);
	/* Neither does a question help that was sent before. */
	lease(LOG_Y, 4, 220);
	look(9, 222);
	assert_false(view.leased);
	lease(LOG_Y, 4, 221);
	look(9, 223);
	assert_true(view.leased);
	/* Who begins now is not late. */
	coherence_table_raise(table, ask(230).era, 9, 5, 230);
	look(9, 231);
	assert_true(view.leased);
}

static void test_claims(void **state)
{
	(void)state;
	assert_true(coherence_table_claim(table, 1000, 250));
	assert_false(coherence_table_claim(table, 1000, 250));
	assert_false(coherence_table_claim(table, 1249, 250));
	assert_true(coherence_table_claim(table, 1250, 250));
	assert_false(coherence_table_claim(table, 1300, 250));
}

/* Two stores that both tell the table about their log: at worst the cache is off for good. */
static void test_eras_run_out(void **state)
{
	(void)state;
	for (int i = 0; i < COHERENCE_ERAS_MAX + 10; i++) {
		uint64_t log = i % 2 == 0 ? LOG_X : LOG_Y;
		assert_int_equal(coherence_table_push(table, text(log, "push", 5, 5, 1)), COHERENCE_DONE);
	}
	look(1, 0);
	assert_int_equal(view.era, COHERENCE_ERAS_MAX - 1);
	assert_false(view.leased);
	struct coherence_question question = ask(1);
	assert_int_equal(answer(&question, text(LOG_X, "reset", 9, 0, 0)), COHERENCE_SEALED);
	look(1, 2);
	assert_false(view.leased);
}

static void test_processes_share_it(void **state)
{
	(void)state;
	lease(LOG_X, 10, 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(coherence_table_push(table, text(LOG_X, "push", 12, 12, 3)) == COHERENCE_DONE ? 0 : 1);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	look(3, 1);
	assert_int_equal(view.revision, 12);
}

static void test_status(void **state)
{
	(void)state;
	struct coherence_status status;
	coherence_table_status(table, 0, LEASE_MS, &status);
	assert_int_equal(status.era, 0);
	assert_false(status.leased);
	assert_string_equal(status.log_id, "0000000000000000");
	lease(LOG_X, 10, 100);
	lease(LOG_X, 11, 200);
	assert_int_equal(coherence_table_push(table, text(LOG_X, "push", 12, 12, 3)), COHERENCE_DONE);
	coherence_table_status(table, 300, LEASE_MS, &status);
	assert_true(status.leased);
	assert_int_equal(status.lease_left_ms, 1900);
	assert_int_equal(status.position, 11);
	assert_int_equal(status.floor, 10);
	assert_int_equal(status.pushes, 1);
	assert_int_equal(status.renewals, 1);
	assert_int_equal(status.resets, 1);
	assert_string_equal(status.log_id, "1111111111111111");
	struct coherence_table *other = coherence_table_create();
	assert_non_null(other);
	assert_string_not_equal(coherence_table_nonce(other), coherence_table_nonce(table));
	coherence_table_destroy(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_table, end_table)

/* ---- joining ------------------------------------------------------------------------------------ */

static void test_fenced_gets_no_lease_and_joins(void **state)
{
	(void)state;
	struct coherence_question question;
	struct coherence_status status;
	char text[96];
	coherence_table_ask(table, 1000, &question);
	assert_int_equal(question.joined, 0);
	coherence_table_joined(table, 1000, 41);
	/* The answer is about who asked, which is somebody else by now. */
	snprintf(text, sizeof text, "pygmy-changes 1 %016" PRIx64 " fenced 50\n", LOG_X);
	assert_int_equal(coherence_table_answer(table, &question, slice_of(text)), COHERENCE_ASK_AGAIN);
	coherence_table_ask(table, 1001, &question);
	assert_int_equal(question.joined, 41);
	assert_int_equal(coherence_table_answer(table, &question, slice_of(text)), COHERENCE_FENCED);
	assert_int_equal(coherence_table_push(table, slice_of(text)), COHERENCE_REFUSED);
	coherence_table_status(table, 1002, LEASE_MS, &status);
	assert_false(status.leased);
	assert_int_equal(status.era, 0);
	assert_int_equal(status.fences, 1);
	assert_int_equal(status.joined, 41);
	/* Another log may have lower indexes. */
	coherence_table_joined(table, 1003, 7);
	coherence_table_ask(table, 1004, &question);
	assert_int_equal(question.joined, 7);
}

static void test_joining_is_held_back(void **state)
{
	(void)state;
	int64_t now_ms = 5000, pause_ms = COHERENCE_JOIN_PAUSE_MS;
	for (int i = 0; i < 12; i++) {
		assert_true(coherence_table_claim_join(table, now_ms));
		assert_false(coherence_table_claim_join(table, now_ms + COHERENCE_JOIN_RETRY_MS - 1));
		/* One that nobody answered is tried again soon. */
		now_ms += COHERENCE_JOIN_RETRY_MS;
		assert_true(coherence_table_claim_join(table, now_ms));
		coherence_table_joined(table, now_ms, 1);
		assert_false(coherence_table_claim_join(table, now_ms + pause_ms - 1));
		now_ms += pause_ms;
		pause_ms = 2 * pause_ms < COHERENCE_JOIN_PAUSE_MAX_MS ? 2 * pause_ms : COHERENCE_JOIN_PAUSE_MAX_MS;
	}
	now_ms += COHERENCE_JOIN_CALM_MS;
	assert_true(coherence_table_claim_join(table, now_ms));
	coherence_table_joined(table, now_ms, 1);
	assert_true(coherence_table_claim_join(table, now_ms + COHERENCE_JOIN_PAUSE_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_new_table_has_no_lease),
		TEST(test_the_lease_ends_T_after_the_question_was_sent),
		TEST(test_a_push_raises_slots_only),
		TEST(test_a_push_of_everything_raises_the_floor),
		TEST(test_a_push_is_not_forgotten_by_a_table_without_lease),
		TEST(test_another_log_ends_the_lease_at_once),
		TEST(test_a_log_that_went_back_opens_an_era),
		TEST(test_no_lease_comes_from_before_its_era),
		TEST(test_answers_in_another_order),
		TEST(test_what_is_no_text_changes_nothing),
		TEST(test_raise_belongs_to_an_era),
		TEST(test_a_late_answer_puts_the_lease_in_doubt),
		TEST(test_claims),
		TEST(test_eras_run_out),
		TEST(test_processes_share_it),
		TEST(test_status),
		TEST(test_fenced_gets_no_lease_and_joins),
		TEST(test_joining_is_held_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
