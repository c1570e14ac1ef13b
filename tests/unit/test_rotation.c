/* rotation: the list of nodes, verdicts that come in any order, and which node is chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nginx/rotation.h"
#include "nginx/rotation_file.h"
#include "nginx/rotation_show.h"

#define LOG_X "1111111111111111"
#define LOG_Y "2222222222222222"

static struct rotation *rotation;
static struct rotation_list list;

static int make_rotation(void **state)
{
	(void)state;
	rotation = rotation_create();
	memset(&list, 0, sizeof list);
	return rotation == NULL;
}

static int end_rotation(void **state)
{
	(void)state;
	rotation_destroy(rotation);
	return 0;
}

/* The worker of node 'A' + n, as the seeds have it. */
static struct rotation_worker worker_of(char node, int port)
{
	struct rotation_worker worker = { .address_len = 0 };
	snprintf(worker.place, sizeof worker.place, "127.0.1.%d:%d", node - 'A' + 1, port);
	assert_true(rotation_read_place(worker.place, &worker.address, &worker.address_len));
	return worker;
}

static void seed(const char *nodes)
{
	struct rotation_seed seeds[ROTATION_NODES_MAX];
	uint32_t count = 0;
	for (; nodes[count] != '\0'; count++) {
		seeds[count].workers[ROTATION_CATALOG] = worker_of(nodes[count], 8011);
		seeds[count].workers[ROTATION_ORDER] = worker_of(nodes[count], 8013);
	}
	assert_true(rotation_set_seeds(rotation, seeds, count));
	rotation_look(rotation, &list);
}

static struct slice text_of(const char *log, uint64_t revision, const char *nodes)
{
	static char text[4096];
	int len = snprintf(text, sizeof text, "pygmy-nodes 1 %s %" PRIu64 "\n", log, revision);
	for (; *nodes != '\0'; nodes++)
		len += snprintf(text + len, sizeof text - (size_t)len, "%c http://127.0.1.%d:8011 http://127.0.1.%d:8013\n", *nodes, *nodes - 'A' + 1,
			*nodes - 'A' + 1);
	return (struct slice){ text, (size_t)len };
}

static enum rotation_outcome take(const char *log, uint64_t revision, const char *nodes)
{
	enum rotation_outcome outcome = rotation_take(rotation, text_of(log, revision, nodes));
	rotation_look(rotation, &list);
	return outcome;
}

static const char *names(void)
{
	static char text[ROTATION_NODES_MAX + 1];
	uint32_t i;
	for (i = 0; i < list.count; i++)
		text[i] = list.nodes[i].name[0] != '\0' ? list.nodes[i].name[0] : '?';
	text[i] = '\0';
	return text;
}

static const struct rotation_node *node_of(char name)
{
	for (uint32_t i = 0; i < list.count; i++)
		if (list.nodes[i].name[0] == name)
			return &list.nodes[i];
	fail_msg("no node %c", name);
	return NULL;
}

static bool judge(char node, enum rotation_state state, int64_t asked_at_ms)
{
	const struct rotation_node *of = node_of(node);
	return rotation_judge(rotation, of->slot, of->id, ROTATION_CATALOG, state, asked_at_ms);
}

static enum rotation_state state_of(char node)
{
	return rotation_state(rotation, node_of(node), ROTATION_CATALOG);
}

/* The nodes that `count` requests would be sent to, with `tries` tries of each behind one another. */
static const char *chosen(enum rotation_policy policy, int count, int tries)
{
	static char text[64];
	int len = 0;
	for (int turn = 0; turn < count; turn++) {
		uint32_t tried = 0;
		for (int i = 0; i < tries; i++) {
			int index = rotation_choose(rotation, &list, ROTATION_CATALOG, policy, tried, (uint32_t)turn);
			text[len++] = index < 0 ? '-' : list.nodes[index].name[0];
			tried |= index < 0 ? 0 : UINT32_C(1) << list.nodes[index].slot;
		}
	}
	text[len] = '\0';
	return text;
}

/* ---- the list --------------------------------------------------------------------------------- */

static void test_it_begins_with_the_seeds_all_of_them_in(void **state)
{
	(void)state;
	assert_int_equal(rotation_choose(rotation, &list, ROTATION_CATALOG, ROTATION_TURNS, 0, 0), -1);
	seed("ABC");
	assert_int_equal(list.count, 3);
	assert_string_equal(list.nodes[2].workers[ROTATION_ORDER].place, "127.0.1.3:8013");
	assert_int_equal(rotation_count_in(rotation, &list, ROTATION_CATALOG), 3);
	assert_int_equal(rotation_choose(rotation, &list, ROTATION_CATALOG, ROTATION_TURNS, 0, 1), 1);
}

static void test_the_nodes_tell_the_list(void **state)
{
	(void)state;
	seed("AB");
	uint32_t id = list.nodes[1].id;
	assert_int_equal(take(LOG_X, 5, "AB"), ROTATION_CHANGED);
	assert_string_equal(names(), "AB");
	assert_int_equal(node_of('B')->id, id);
	assert_int_equal(take(LOG_X, 6, "AB"), ROTATION_SAME);
	assert_int_equal(take(LOG_X, 7, "ABD"), ROTATION_CHANGED);
	assert_int_equal(take(LOG_X, 6, "AB"), ROTATION_OLD);
	assert_string_equal(names(), "ABD");
	assert_int_equal(take(LOG_X, 8, "BD"), ROTATION_CHANGED);
	assert_string_equal(names(), "BD");
	assert_int_equal(node_of('B')->id, id);
	/* Another log. */
	assert_int_equal(take(LOG_Y, 1, "A"), ROTATION_CHANGED);
	assert_string_equal(names(), "A");
}

static void test_what_is_no_list_is_refused(void **state)
{
	static const char *const WRONG[] = {
		"", "nonsense", "pygmy-nodes 1 1111111111111111 5\n", "pygmy-nodes 1 111111111111111 5\nA http://a:1 http://a:2\n",
		"pygmy-nodes 1 1111111111111111 05\nA http://a:1 http://a:2\n", "pygmy-nodes 1 1111111111111111 0\nA http://a:1 http://a:2\n",
		"pygmy-nodes 1 1111111111111111 5\nA http://a:1 http://a:2", "pygmy-nodes 1 1111111111111111 5\nA http://a:1\n",
		"pygmy-nodes 1 1111111111111111 5\nB http://a:1 http://a:2\nA http://b:1 http://b:2\n",
		"pygmy-nodes 1 1111111111111111 5\nA http://a:1 http://a:2\nA http://b:1 http://b:2\n",
		"pygmy-nodes 1 1111111111111111 5\nA ftp://a:1 http://a:2\n", "pygmy-nodes 1 1111111111111111 5\nA  http://a:1 http://a:2\n",
		"pygmy-nodes 1 1111111111111111 5\nA http://a:1 http://a:2\n\n", "pygmy-nodes 1 1111111111111111 99999999999999999999\nA http://a:1 http://a:2\n",
	};
	(void)state;
	seed("A");
	for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
		assert_int_equal(rotation_take(rotation, slice_of(WRONG[i])), ROTATION_REFUSED);
	assert_false(rotation_look(rotation, &list));
}

static void test_other_seeds_make_the_list_anew_the_same_do_not(void **state)
{
	(void)state;
	seed("AB");
	take(LOG_X, 5, "ABC");
	seed("AB");
	assert_string_equal(names(), "ABC");
	uint64_t hash = rotation_seeds_hash(rotation);
	seed("AC");
	assert_string_equal(names(), "??");
	assert_true(hash != rotation_seeds_hash(rotation));
	/* What was told at an older revision may be so of another cluster. */
	assert_int_equal(take(LOG_X, 2, "AC"), ROTATION_CHANGED);
}

static void test_seeds_are_asked_again_when_told(void **state)
{
	(void)state;
	seed("AB");
	take(LOG_X, 5, "BC");
	assert_true(rotation_add_seeds(rotation));
	rotation_look(rotation, &list);
	assert_string_equal(names(), "BC?");
	assert_false(rotation_add_seeds(rotation));
	assert_int_equal(take(LOG_X, 6, "BC"), ROTATION_CHANGED);
	assert_string_equal(names(), "BC");
}

static void test_a_name_is_not_asked_until_it_has_an_address(void **state)
{
	static const char text[] = "pygmy-nodes 1 1111111111111111 5\nA http://a.example:8011 http://[::1]:8013\n";
	struct rotation_worker worker = worker_of('A', 8011);
	(void)state;
	seed("B");
	assert_int_equal(rotation_take(rotation, slice_of(text)), ROTATION_CHANGED);
	rotation_look(rotation, &list);
	assert_string_equal(chosen(ROTATION_TURNS, 1, 1), "-");
	assert_true(rotation_claim_name(rotation, node_of('A'), ROTATION_CATALOG, 1000));
	assert_false(rotation_claim_name(rotation, node_of('A'), ROTATION_CATALOG, 1999));
	assert_true(rotation_claim_name(rotation, node_of('A'), ROTATION_CATALOG, 2000));
	assert_false(rotation_claim_name(rotation, node_of('A'), ROTATION_ORDER, 2000));
	assert_int_equal(node_of('A')->workers[ROTATION_ORDER].address.any.sa_family, AF_INET6);
	assert_true(rotation_resolved(rotation, node_of('A')->slot, node_of('A')->id, ROTATION_CATALOG, &worker.address, worker.address_len));
	assert_false(rotation_resolved(rotation, node_of('A')->slot, node_of('A')->id + 1, ROTATION_CATALOG, &worker.address, worker.address_len));
	rotation_look(rotation, &list);
	assert_string_equal(chosen(ROTATION_TURNS, 1, 1), "A");
	assert_false(rotation_claim_name(rotation, node_of('A'), ROTATION_CATALOG, 3000));
	assert_true(rotation_claim_name(rotation, node_of('A'), ROTATION_CATALOG, 12000));
	/* It is kept when the list is told again. */
	assert_int_equal(rotation_take(rotation, slice_of(text)), ROTATION_SAME);
	rotation_look(rotation, &list);
	assert_string_equal(chosen(ROTATION_TURNS, 1, 1), "A");
}

/* ---- verdicts --------------------------------------------------------------------------------- */

static void test_a_later_verdict_wins_whenever_it_comes(void **state)
{
	(void)state;
	seed("A");
	take(LOG_X, 5, "AB");
	assert_true(judge('B', ROTATION_SILENT, 1000));
	/* A probe that was sent before the request failed. */
	assert_false(judge('B', ROTATION_IN, 999));
	assert_int_equal(state_of('B'), ROTATION_SILENT);
	assert_false(judge('B', ROTATION_UNREADY, 1100));
	assert_true(judge('B', ROTATION_IN, 1200));
	assert_false(judge('B', ROTATION_SILENT, 1150));
	assert_int_equal(state_of('B'), ROTATION_IN);
	assert_int_equal(rotation_leaves(rotation, node_of('B'), ROTATION_CATALOG), 1);
	assert_false(rotation_is_doubtful(rotation, node_of('B'), ROTATION_CATALOG, 1300));
	assert_true(judge('B', ROTATION_UNREADY, 2000));
	assert_false(judge('B', ROTATION_SILENT, 2500));
	assert_true(rotation_is_doubtful(rotation, node_of('B'), ROTATION_CATALOG, 2000 + ROTATION_DOUBT_MS - 1));
	assert_false(rotation_is_doubtful(rotation, node_of('B'), ROTATION_CATALOG, 2000 + ROTATION_DOUBT_MS));
	assert_true(judge('B', ROTATION_IN, 5000));
	assert_int_equal(rotation_state(rotation, node_of('B'), ROTATION_ORDER), ROTATION_IN);
}

static void test_what_comes_late_about_a_node_that_left_has_no_effect(void **state)
{
	(void)state;
	seed("A");
	take(LOG_X, 5, "AB");
	struct rotation_node left = *node_of('B');
	take(LOG_X, 6, "A");
	take(LOG_X, 7, "AC");
	assert_int_equal(node_of('C')->slot, left.slot);
	assert_false(rotation_judge(rotation, left.slot, left.id, ROTATION_CATALOG, ROTATION_SILENT, 5000));
	assert_int_equal(state_of('C'), ROTATION_IN);
	assert_int_equal(rotation_state(rotation, &left, ROTATION_CATALOG), ROTATION_SILENT);
}

static void test_one_of_all_workers_probes_at_a_time(void **state)
{
	(void)state;
	seed("AB");
	assert_true(rotation_claim_probe(rotation, &list.nodes[0], ROTATION_CATALOG, 1000, 250));
	assert_false(rotation_claim_probe(rotation, &list.nodes[0], ROTATION_CATALOG, 1249, 250));
	assert_true(rotation_claim_probe(rotation, &list.nodes[0], ROTATION_ORDER, 1001, 250));
	assert_true(rotation_claim_probe(rotation, &list.nodes[1], ROTATION_CATALOG, 1001, 250));
	assert_true(rotation_claim_probe(rotation, &list.nodes[0], ROTATION_CATALOG, 1250, 250));
	assert_false(rotation_claim_name(rotation, &list.nodes[0], ROTATION_CATALOG, 1000));
	assert_true(rotation_claim_list(rotation, 1000, 1000));
	assert_false(rotation_claim_list(rotation, 1999, 1000));
}

/* ---- the choice ------------------------------------------------------------------------------- */

static void test_reads_go_round_those_that_are_in(void **state)
{
	(void)state;
	seed("A");
	take(LOG_X, 5, "ABC");
	assert_string_equal(chosen(ROTATION_TURNS, 6, 1), "ABCABC");
	judge('B', ROTATION_SILENT, 1);
	assert_string_equal(chosen(ROTATION_TURNS, 4, 1), "ACAC");
	/* What failed twice goes to the one that is left. */
	assert_string_equal(chosen(ROTATION_TURNS, 1, 4), "ACB-");
}

static void test_purchases_go_to_the_first_that_is_in(void **state)
{
	(void)state;
	seed("A");
	take(LOG_X, 5, "ABC");
	assert_string_equal(chosen(ROTATION_FIRST, 3, 2), "ABABAB");
	judge('A', ROTATION_UNREADY, 1);
	assert_string_equal(chosen(ROTATION_FIRST, 3, 1), "BBB");
	assert_string_equal(chosen(ROTATION_FIRST, 1, 3), "BCA");
}

static void test_when_none_is_in_all_are_asked_those_that_answer_first(void **state)
{
	(void)state;
	seed("A");
	take(LOG_X, 5, "ABCD");
	judge('A', ROTATION_SILENT, 1);
	judge('B', ROTATION_UNREADY, 1);
	judge('C', ROTATION_SILENT, 1);
	judge('D', ROTATION_UNREADY, 1);
	assert_int_equal(rotation_count_in(rotation, &list, ROTATION_CATALOG), 0);
	assert_string_equal(chosen(ROTATION_TURNS, 2, 4), "BDACDBCA");
	assert_string_equal(chosen(ROTATION_FIRST, 1, 4), "BDAC");
}

/* A process that changes the list all the time, until it is killed; it does not outlive the test. */
static pid_t begin_changes(const char *even, const char *odd)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint64_t revision = 2;; revision++)
		rotation_take(rotation, text_of(LOG_X, revision, revision % 2 == 0 ? even : odd));
}

/* ---- shared by processes ---------------------------------------------------------------------- */

static void test_a_process_that_dies_with_the_lock_holds_up_nobody(void **state)
{
	(void)state;
	seed("A");
	for (int i = 0; i < 40; i++) {
		pid_t child = begin_changes("ABC", "ABD");
		usleep((useconds_t)(rand() % 500));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		/* At most one change was broken off; the next one is whole. */
		enum rotation_outcome outcome = take(LOG_Y, (uint64_t)i + 1, i % 2 == 0 ? "AB" : "BC");
		assert_int_equal(outcome, ROTATION_CHANGED);
		assert_string_equal(names(), i % 2 == 0 ? "AB" : "BC");
	}
}

static void test_a_worker_never_copies_half_a_list(void **state)
{
	(void)state;
	seed("A");
	pid_t child = begin_changes("ABCDEFGH", "IJKLMNOP");
	for (int copies = 0; copies < 1000;) {
		if (!rotation_look(rotation, &list))
			continue;
		copies++;
		if (list.revision != 0)
			assert_string_equal(names(), list.nodes[0].name[0] == 'A' ? "ABCDEFGH" : "IJKLMNOP");
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* ---- the file, and the text for people --------------------------------------------------------- */

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void test_the_list_is_kept_over_a_restart(void **state)
{
	char folder[] = "/tmp/pygmy-test.XXXXXX", path[64], file[4096];
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/nodes", folder);
	seed("AB");
	assert_false(rotation_file_save(rotation, &list, path));      /* the seeds need not be kept */
	assert_false(rotation_file_load(rotation, path));
	take(LOG_X, 9, "CDE");
	assert_true(rotation_file_save(rotation, &list, path));

	/* The next life. */
	rotation_destroy(rotation);
	assert_int_equal(make_rotation(NULL), 0);
	seed("AB");
	assert_true(rotation_file_load(rotation, path));
	rotation_look(rotation, &list);
	assert_string_equal(names(), "CDE");

	/* Of other seeds, damaged in any byte, cut anywhere, or too long: as if there were none. */
	seed("AC");
	assert_false(rotation_file_load(rotation, path));
	seed("AB");
	FILE *saved = fopen(path, "rb");
	size_t len = fread(file, 1, sizeof file, saved);
	fclose(saved);
	assert_true(len > 0 && len < sizeof file);
	for (size_t i = 0; i < len; i++) {
		file[i] ^= 1;
		write_file(path, file, len);
		assert_false(rotation_file_load(rotation, path));
		file[i] ^= 1;
		write_file(path, file, i);
		assert_false(rotation_file_load(rotation, path));
	}
	file[len] = '\n';
	write_file(path, file, len + 1);
	assert_false(rotation_file_load(rotation, path));
	write_file(path, file, len);
	assert_true(rotation_file_load(rotation, path));
	unlink(path);
	rmdir(folder);
}

static void test_the_rotation_is_shown(void **state)
{
	static char text[ROTATION_SHOW_MAX_BYTES + 1];
	(void)state;
	seed("A");
	take(LOG_X, 9, "AB");
	judge('B', ROTATION_UNREADY, 1);
	size_t len = rotation_show(rotation, &list, text);
	assert_int_equal(len, strlen(text));
	assert_string_equal(text, "{\"message\":{},\"nodes\":["
		"{\"catalog\":\"in\",\"catalog_place\":\"127.0.1.1:8011\",\"name\":\"A\",\"order\":\"in\",\"order_place\":\"127.0.1.1:8013\"},"
		"{\"catalog\":\"unready\",\"catalog_place\":\"127.0.1.2:8011\",\"name\":\"B\",\"order\":\"in\",\"order_place\":\"127.0.1.2:8013\"}"
		"],\"revision\":9,\"status\":\"Success\",\"validation_code\":200}\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_rotation, end_rotation)
	const struct CMUnitTest tests[] = {
		TEST(test_it_begins_with_the_seeds_all_of_them_in),
		TEST(test_the_nodes_tell_the_list),
		TEST(test_what_is_no_list_is_refused),
		TEST(test_other_seeds_make_the_list_anew_the_same_do_not),
		TEST(test_seeds_are_asked_again_when_told),
		TEST(test_a_name_is_not_asked_until_it_has_an_address),
		TEST(test_a_later_verdict_wins_whenever_it_comes),
		TEST(test_what_comes_late_about_a_node_that_left_has_no_effect),
		TEST(test_one_of_all_workers_probes_at_a_time),
		TEST(test_reads_go_round_those_that_are_in),
		TEST(test_purchases_go_to_the_first_that_is_in),
		TEST(test_when_none_is_in_all_are_asked_those_that_answer_first),
		TEST(test_a_process_that_dies_with_the_lock_holds_up_nobody),
		TEST(test_a_worker_never_copies_half_a_list),
		TEST(test_the_list_is_kept_over_a_restart),
		TEST(test_the_rotation_is_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
