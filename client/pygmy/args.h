/*
 * args: reads a command line by tables of options.
 *
 * `--name value`, `--name=value`, flags, `--` ends the options. An option that is not in a table, has no value or not
 * the right one, or is given twice (but those of a list), is an error with a sentence. Options may stand before and behind the positionals.
 */
#ifndef PYGMY_CLIENT_ARGS_H
#define PYGMY_CLIENT_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGS_POSITIONALS_MAX 64
#define ARGS_ERROR_MAX_BYTES 256
#define ARGS_NOT_GIVEN INT64_MIN          /* what an integer target holds before */

enum args_kind { ARGS_FLAG, ARGS_STRING, ARGS_INTEGER, ARGS_LIST };

/* The values of an option that may be given several times. */
struct args_list {
	const char *values[ARGS_POSITIONALS_MAX];
	size_t count;
};

struct args_option {
	const char *name;             /* with its dashes */
	enum args_kind kind;
	void *target;                 /* bool *, const char **(NULL before), int64_t *(ARGS_NOT_GIVEN before), struct args_list *(empty before) */
	int64_t min, max;             /* of an integer, both allowed */
};

#define ARGS_OPTION_FLAG(option, where) { .name = (option), .kind = ARGS_FLAG, .target = (where) }
#define ARGS_OPTION_STRING(option, where) { .name = (option), .kind = ARGS_STRING, .target = (where) }
#define ARGS_OPTION_LIST(option, where) { .name = (option), .kind = ARGS_LIST, .target = (where) }
#define ARGS_OPTION_INTEGER(option, where, least, most) \
	{ .name = (option), .kind = ARGS_INTEGER, .target = (where), .min = (least), .max = (most) }

struct args_table {
	const struct args_option *options;
	size_t count;
};

struct args {
	const char *positionals[ARGS_POSITIONALS_MAX];   /* point into argv */
	size_t positional_count;
	int consumed;                                    /* entries of argv that were read */
	char error[ARGS_ERROR_MAX_BYTES];                /* when false was returned */
};

/*
 * Reads argv[0..argc). stop_at_positional: ends before the first positional (args->consumed is its index).
 * Strings point into argv. Errors: false and args->error.
 */
bool args_parse(const struct args_table *tables, size_t table_count, int argc, char **argv, bool stop_at_positional,
		struct args *args);

/* A whole decimal number within min and max: no blanks, no plus sign. Errors: false. */
bool args_parse_integer(const char *text, int64_t min, int64_t max, int64_t *out);

#endif
