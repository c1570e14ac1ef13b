/*
 * args: one pass over argv; no state of its own.
 */
#include "client/pygmy/args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool args_parse_integer(const char *text, int64_t min, int64_t max, int64_t *out)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0')
		return false;
	errno = 0;
	long long value = strtoll(text, NULL, 10);
	if (errno != 0 || value < min || value > max)
		return false;
	*out = value;
	return true;
}

__attribute__((format(printf, 2, 3))) static bool args_fail(struct args *args, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(args->error, sizeof(args->error), format, arguments);
	va_end(arguments);
	return false;
}

static const struct args_option *find_option(const struct args_table *tables, size_t table_count, const char *name, size_t len)
{
	for (size_t t = 0; t < table_count; t++) {
		for (size_t i = 0; i < tables[t].count; i++) {
			const struct args_option *option = &tables[t].options[i];
			if (strlen(option->name) == len && memcmp(option->name, name, len) == 0)
				return option;
		}
	}
	return NULL;
}

static bool take_value(struct args *args, const struct args_option *option, const char *value)
{
	if (option->kind == ARGS_STRING) {
		const char **target = option->target;
		if (*target != NULL)
			return args_fail(args, "%s is given twice", option->name);
		*target = value;
		return true;
	}
	if (option->kind == ARGS_LIST) {
		struct args_list *list = option->target;
		if (list->count == ARGS_POSITIONALS_MAX)
			return args_fail(args, "%s is given more than %d times", option->name, ARGS_POSITIONALS_MAX);
		list->values[list->count++] = value;
		return true;
	}
	int64_t *target = option->target;
	if (*target != ARGS_NOT_GIVEN)
		return args_fail(args, "%s is given twice", option->name);
	if (!args_parse_integer(value, option->min, option->max, target))
		return args_fail(args, "%s takes a whole number from %" PRId64 " to %" PRId64, option->name, option->min, option->max);
	return true;
}

/* Reads the option at argv[args->consumed] and its value. */
static bool take_option(struct args *args, const struct args_table *tables, size_t table_count, int argc, char **argv)
{
	const char *word = argv[args->consumed];
	size_t name_len = strcspn(word, "=");
	const struct args_option *option = find_option(tables, table_count, word, name_len);
	if (option == NULL)
		return args_fail(args, "there is no option %.*s", (int)(name_len < 60 ? name_len : 60), word);
	args->consumed++;
	bool has_value = word[name_len] == '=';
	if (option->kind == ARGS_FLAG) {
		if (has_value)
			return args_fail(args, "%s takes no value", option->name);
		*(bool *)option->target = true;
		return true;
	}
	if (has_value)
		return take_value(args, option, word + name_len + 1);
	if (args->consumed == argc)
		return args_fail(args, "%s needs a value", option->name);
	return take_value(args, option, argv[args->consumed++]);
}

bool args_parse(const struct args_table *tables, size_t table_count, int argc, char **argv, bool stop_at_positional,
		struct args *args)
{
	*args = (struct args){ .consumed = 0 };
	bool options_end = false;
	while (args->consumed < argc) {
		const char *word = argv[args->consumed];
		if (!options_end && strcmp(word, "--") == 0) {
			options_end = true;
			args->consumed++;
			continue;
		}
		if (!options_end && word[0] == '-' && word[1] != '\0') {
			if (!take_option(args, tables, table_count, argc, argv))
				return false;
			continue;
		}
		if (stop_at_positional)
			return true;
		if (args->positional_count == ARGS_POSITIONALS_MAX)
			return args_fail(args, "there are more than %d arguments", ARGS_POSITIONALS_MAX);
		args->positionals[args->positional_count++] = word;
		args->consumed++;
	}
	return true;
}
