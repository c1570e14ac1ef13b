/*
 * compare: whether all replicas hold the same, and what was acknowledged to customers.
 *
 *     compare --node A=http://127.0.1.1:8011,http://127.0.1.1:8013 --node B=... --db FILE --db ... --acks FILE --supplied 7=1000
 *
 * --node      a replica's catalog and order port; all are asked once they are ready at one index
 * --db        a replica's database file, if it is on this machine: looks at every table and at the request keys as well
 * --acks      what tests/tools/traffic.c wrote: each order must be there once, with its item and quantity
 * --supplied  item=count: what is left and what is ordered must be that, and all its orders stand in the acks
 * --wait-seconds   how long replicas may take until they are at one index
 * --ca, --cert, --key   for https addresses
 *
 * Prints one line of JSON. Code 0: all the same and right, 1: not, 2: could not run.
 *
 * The parts: compare/replicas.c over HTTP, compare/files.c in the files, compare/books.c what must be there.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/tools/compare/compare.h"

#define PROBLEMS_MAX 20

static const char *nodes[NODES_MAX], *dbs[NODES_MAX], *acks[ACKS_MAX], *supplies[SUPPLIES_MAX];
static int node_count, db_count, acks_count, supply_count;
static int64_t wait_seconds = 30, problem_count;
static json_t *problems;

void problem(const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (problem_count++ < PROBLEMS_MAX)
		json_array_append_new(problems, json_sprintf("%s", text));
}

static void read_options(int argc, char **argv)
{
	const struct tool_option options[] = {
		{ .name = "node", .texts = nodes, .text_count = &node_count, .text_max = NODES_MAX },
		{ .name = "db", .texts = dbs, .text_count = &db_count, .text_max = NODES_MAX },
		{ .name = "acks", .texts = acks, .text_count = &acks_count, .text_max = ACKS_MAX },
		{ .name = "supplied", .texts = supplies, .text_count = &supply_count, .text_max = SUPPLIES_MAX },
		{ .name = "wait-seconds", .number = &wait_seconds, .min = 0, .max = 3600 },
		TOOL_TLS_OPTIONS,
	};
	tool_read_options(argc, argv, options, sizeof options / sizeof options[0]);
	for (int i = 0; i < node_count; i++)
		replicas_add(nodes[i]);
	for (int i = 0; i < db_count; i++)
		files_add(dbs[i]);
	for (int i = 0; i < acks_count; i++)
		books_read_acks(acks[i]);
	for (int i = 0; i < supply_count; i++)
		books_add_supply(supplies[i]);
	if (node_count == 0 && db_count == 0)
		tool_fail("compare needs --node or --db");
}

static void print_report(const struct replicas_summary *summary, int64_t waited_us, int64_t took_us)
{
	json_t *report = json_pack("{s:s,s:i,s:i,s:I,s:s,s:I,s:I,s:I,s:O,s:I,s:I,s:I}", "verdict", problem_count == 0 ? "same" : "different",
		"nodes", node_count, "files", db_count, "index", (json_int_t)summary->index, "chain", summary->chain,
		"items", (json_int_t)summary->items, "orders", (json_int_t)summary->orders, "purchases", (json_int_t)books_ack_count(),
		"problems", problems, "problem_count", (json_int_t)problem_count, "waited_ms", (json_int_t)(waited_us / 1000),
		"took_ms", (json_int_t)(took_us / 1000));
	if (report == NULL || json_dumpf(report, stdout, JSON_SORT_KEYS) != 0)
		tool_fail("cannot print the report");
	putchar('\n');
	json_decref(report);
}

int main(int argc, char **argv)
{
	struct replicas_summary summary = { 0 };
	problems = json_array();
	if (problems == NULL || curl_global_init(CURL_GLOBAL_ALL) != 0)
		tool_fail("cannot start");
	read_options(argc, argv);
	int64_t began_us = tool_now_us(), deadline_us = began_us + wait_seconds * 1000000, waited_us = 0;
	bool ready = node_count == 0 || replicas_await(deadline_us, &summary);
	waited_us = tool_now_us() - began_us;
	if (ready && node_count > 0) {
		replicas_compare(deadline_us, &summary);
		books_check();
	}
	files_compare(deadline_us);
	print_report(&summary, waited_us, tool_now_us() - began_us);
	replicas_close();
	books_free();
	json_decref(problems);
	curl_global_cleanup();
	return problem_count == 0 ? 0 : 1;
}
