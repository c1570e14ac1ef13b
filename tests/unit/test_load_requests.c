/* The load generator's requests and answers: what is asked, in which bytes, and how an answer is read however it is cut into pieces. */
#include "tests/unit/support.h"

#include "client/load/best.h"
#include "client/load/plan.h"
#include "client/load/response.h"

/* ---- answers ---------------------------------------------------------------------------------- */

/* Reads an answer in pieces of a size; returns the outcome behind its last byte. */
static enum response_outcome read_in_pieces(struct response *response, const char *text, size_t piece)
{
	enum response_outcome outcome = RESPONSE_MORE;
	size_t len = strlen(text);
	response_begin(response);
	for (size_t at = 0; at < len && outcome == RESPONSE_MORE; at += piece)
		outcome = response_take(response, text + at, len - at < piece ? len - at : piece);
	return outcome;
}

static void assert_read(const char *text, enum response_outcome wanted, int status)
{
	struct response response;
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		assert_int_equal(read_in_pieces(&response, text, piece), wanted);
		if (wanted == RESPONSE_DONE)
			assert_int_equal(response.status, status);
	}
}

static void test_whole_answers(void **state)
{
	(void)state;
	assert_read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", RESPONSE_DONE, 200);
	assert_read("HTTP/1.1 404 Not Found\r\ncontent-length:0\r\nX: y\r\n\r\n", RESPONSE_DONE, 404);
	assert_read("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", RESPONSE_DONE, 304);
	assert_read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nT: 1\r\n\r\n",
		RESPONSE_DONE, 200);
}

static void test_broken_answers(void **state)
{
	(void)state;
	assert_read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", RESPONSE_MORE, 0);
	assert_read("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", RESPONSE_MALFORMED, 0);
	assert_read("HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n", RESPONSE_MALFORMED, 0);
	assert_read("SSH-2.0-OpenSSH\r\n\r\n", RESPONSE_MALFORMED, 0);
	assert_read("HTTP/1.1 2x0 OK\r\n\r\n", RESPONSE_MALFORMED, 0);
	assert_read("\r\n\r\n", RESPONSE_MALFORMED, 0);
	assert_read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", RESPONSE_MALFORMED, 0);
	assert_read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", RESPONSE_MALFORMED, 0);
	struct response response;
	assert_int_equal(read_in_pieces(&response, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", 1000), RESPONSE_MALFORMED);
	char *endless = malloc(2 * RESPONSE_HEAD_MAX);
	assert_non_null(endless);
	memset(endless, 'a', 2 * RESPONSE_HEAD_MAX - 1);
	endless[2 * RESPONSE_HEAD_MAX - 1] = '\0';
	assert_int_equal(read_in_pieces(&response, endless, 100), RESPONSE_MALFORMED);
	free(endless);
}

static void test_what_is_kept(void **state)
{
	struct response response;
	(void)state;
	read_in_pieces(&response, "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Status: pygmy; hit\r\nContent-Length: 44\r\n\r\n"
		"{\"message\":\"bought\",\"order\":{\"id\":196},\"a\":1}", 7);
	assert_true(response.closes);
	assert_true(response.hit);
	assert_int_equal(response_order_id(&response), 196);
	read_in_pieces(&response, "HTTP/1.1 200 OK\r\nCache-Status: pygmy; fwd=uri-miss\r\nContent-Length: 2\r\n\r\n{}", 7);
	assert_false(response.closes);
	assert_false(response.hit);
	assert_int_equal(response_order_id(&response), 0);
	assert_int_equal(read_in_pieces(&response, "HTTP/1.1 200 OK\r\n\r\nto the end", 3), RESPONSE_MORE);
	assert_true(response_is_ended_by_close(&response));
	assert_true(response.closes);
}

/* ---- requests --------------------------------------------------------------------------------- */

static char folder[FOLDER_MAX], items[PATH_BYTES], topics[PATH_BYTES];

static void write_file(const char *path, const char *text)
{
	FILE *stream = fopen(path, "we");
	assert_non_null(stream);
	assert_true(fputs(text, stream) >= 0);
	assert_int_equal(fclose(stream), 0);
}

static int setup(void **state)
{
	(void)state;
	folder_make(folder);
	path_in(items, folder, "items");
	path_in(topics, folder, "topics");
	write_file(items, "7\n12\n\n999\n");
	write_file(topics, "distributed systems\nfish & ch\xc3\xafps\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	folder_remove(folder);
	return 0;
}

static const struct load_target target = { .host = "shop:8010", .prefix = "/books" };

static void assert_written(const struct load_plan *plan, const struct load_job *job, const char *wanted)
{
	char request[LOAD_REQUEST_MAX];
	size_t len = load_plan_write(plan, job, &target, request);
	assert_int_equal(len, strlen(wanted));
	assert_string_equal(request, wanted);
}

static void test_requests(void **state)
{
	struct load_plan plan;
	char why[200];
	(void)state;
	assert_true(load_plan_open(&plan, items, topics, 0, 1, why, sizeof why));
	assert_int_equal(plan.item_count, 3);
	assert_int_equal(plan.topic_count, 2);
	assert_written(&plan, &(struct load_job){ .operation = LOAD_LOOKUP, .item_index = 1 }, "GET /books/lookup?id=12 HTTP/1.1\r\nHost: shop:8010\r\n\r\n");
	assert_written(&plan, &(struct load_job){ .operation = LOAD_SEARCH, .item_index = 1 },
		"GET /books/search?topic=fish%20%26%20ch%C3%AFps HTTP/1.1\r\nHost: shop:8010\r\n\r\n");
	assert_written(&plan, &(struct load_job){ .operation = LOAD_BUY, .item_index = 2 },
		"POST /books/buy?id=999 HTTP/1.1\r\nHost: shop:8010\r\nContent-Length: 0\r\n\r\n");
	plan.keys = "load-1";
	plan.strict = true;
	assert_written(&plan, &(struct load_job){ .operation = LOAD_BUY, .item_index = 2, .purchase = 5 },
		"POST /books/buy?id=999 HTTP/1.1\r\nHost: shop:8010\r\nContent-Length: 0\r\nIdempotency-Key: load-1-5\r\n\r\n");
	assert_written(&plan, &(struct load_job){ .operation = LOAD_NEXT_READ },
		"GET /books/lookup?id=7 HTTP/1.1\r\nHost: shop:8010\r\nX-Pygmy-Consistency: strict\r\n\r\n");
	load_plan_close(&plan);
}

static void test_unusable_files(void **state)
{
	struct load_plan plan;
	char why[200];
	(void)state;
	write_file(items, "7\nseven\n");
	assert_false(load_plan_open(&plan, items, NULL, 0, 1, why, sizeof why));
	assert_non_null(strstr(why, "seven"));
	load_plan_close(&plan);
	assert_false(load_plan_open(&plan, "/nowhere/at/all", NULL, 0, 1, why, sizeof why));
	load_plan_close(&plan);
	write_file(items, "7\n12\n\n999\n");
}

static void test_mix_and_steps(void **state)
{
	struct load_plan plan;
	struct load_job job = { 0 };
	char why[200];
	int counts[LOAD_OPERATIONS] = { 0 };
	(void)state;
	assert_true(load_plan_open(&plan, items, topics, 0, 3, why, sizeof why));
	memcpy(plan.weights, (unsigned[]){ 30, 60, 10 }, sizeof plan.weights);
	for (int i = 0; i < 10000; i++) {
		load_plan_next(&plan, &job);
		counts[job.operation]++;
	}
	assert_in_range(counts[LOAD_SEARCH], 2800, 3200);
	assert_in_range(counts[LOAD_LOOKUP], 5800, 6200);
	assert_int_equal(counts[LOAD_BUY], plan.purchases);
	plan.after_write = true;
	job = (struct load_job){ 0 };
	for (int i = 0; i < 50; i++) {
		load_plan_next(&plan, &job);
		size_t item = job.item_index;
		assert_int_equal(job.operation, LOAD_BUY);
		load_plan_next(&plan, &job);
		assert_int_equal(job.operation, LOAD_FIRST_READ);
		load_plan_next(&plan, &job);
		assert_int_equal(job.operation, LOAD_NEXT_READ);
		assert_int_equal(job.item_index, item);
	}
	load_plan_close(&plan);
}

static void test_targets(void **state)
{
	struct load_target read;
	(void)state;
	assert_true(load_target_read(&read, "http://127.0.0.1:8010"));
	assert_string_equal(read.host, "127.0.0.1:8010");
	assert_string_equal(read.prefix, "");
	assert_true(load_target_read(&read, "https://shop.example/books/"));
	assert_string_equal(read.host, "shop.example:443");
	assert_string_equal(read.prefix, "/books");
	assert_false(load_target_read(&read, "http://"));
}

/* ---- what a cache can know -------------------------------------------------------------------- */

static void test_possible_hits(void **state)
{
	struct load_best best;
	(void)state;
	assert_true(load_best_open(&best, 3, 2));
	assert_false(load_best_read(&best, 1, 0));
	assert_true(load_best_read(&best, 1, 0));
	assert_false(load_best_read(&best, 1, 1));    /* the other frontend has never seen it */
	assert_false(load_best_read(&best, 2, 0));
	load_best_write(&best, 1);
	assert_false(load_best_read(&best, 1, 0));    /* a purchase through whichever frontend changes it at both */
	assert_true(load_best_read(&best, 1, 0));
	load_best_write(&best, 1);
	load_best_write(&best, 1);
	assert_false(load_best_read(&best, 1, 0));
	assert_false(load_best_read(&best, 1, 1));
	assert_true(load_best_read(&best, 1, 1));
	assert_true(load_best_read(&best, 2, 0));
	load_best_close(&best);
}

/* The first ranks of Zipf's distribution over a hundred thousand come as often as they should: rank r with 1 / (r + 1) of their harmonic sum. */
static void test_skew(void **state)
{
	enum { RANKS = 100000, DRAWS = 400000, FIRST = 5 };
	struct zipf zipf;
	struct chance chance = { 11 };
	int counts[FIRST] = { 0 }, below_1000 = 0;
	(void)state;
	assert_true(zipf_init(&zipf, RANKS, 1.0));
	for (int i = 0; i < DRAWS; i++) {
		size_t rank = zipf_rank(&zipf, &chance);
		assert_in_range(rank, 0, RANKS - 1);
		if (rank < FIRST)
			counts[rank]++;
		below_1000 += rank < 1000 ? 1 : 0;
	}
	const double sum = 12.090146;         /* of 1/1 + 1/2 + ... + 1/100000 */
	for (int rank = 0; rank < FIRST; rank++) {
		double expected = DRAWS / sum / (rank + 1);
		assert_in_range(counts[rank], (int)(0.95 * expected), (int)(1.05 * expected));
	}
	assert_in_range(below_1000, (int)(0.61 * DRAWS), (int)(0.63 * DRAWS));        /* 7.485471 / 12.090146 = 0.619 */
	zipf_close(&zipf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_answers),
		cmocka_unit_test(test_broken_answers),
		cmocka_unit_test(test_what_is_kept),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_unusable_files),
		cmocka_unit_test(test_mix_and_steps), cmocka_unit_test(test_possible_hits), cmocka_unit_test(test_skew),
		cmocka_unit_test(test_targets),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
