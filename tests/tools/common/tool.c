/* tool: see tool.h. */
#include "tests/tools/common/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void tool_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static void read_number(const struct tool_option *option, const char *text)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < option->min || number > option->max)
		tool_fail("--%s takes a number from %lld to %lld, not '%s'", option->name, (long long)option->min, (long long)option->max, text);
	*option->number = number;
}

static void read_text(const struct tool_option *option, const char *text)
{
	if (*option->text_count == option->text_max)
		tool_fail("--%s is given more than %d times", option->name, option->text_max);
	option->texts[(*option->text_count)++] = text;
}

void tool_read_options(int argc, char **argv, const struct tool_option *options, size_t option_count)
{
	for (int i = 1; i < argc; i += 2) {
		const struct tool_option *option = NULL;
		for (size_t j = 0; j < option_count && strncmp(argv[i], "--", 2) == 0; j++)
			if (strcmp(argv[i] + 2, options[j].name) == 0)
				option = &options[j];
		if (option == NULL || i + 1 == argc)
			tool_fail("%s: unknown option, or its value is missing: %s", argv[0], argv[i]);
		if (option->number != NULL)
			read_number(option, argv[i + 1]);
		else
			read_text(option, argv[i + 1]);
	}
}

int64_t tool_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void tool_sleep_ms(int64_t ms)
{
	struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };
	while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
		continue;
}

uint64_t tool_random(struct tool_chance *chance)
{
	uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int64_t tool_random_below(struct tool_chance *chance, int64_t bound)
{
	return (int64_t)(tool_random(chance) % (uint64_t)bound);
}

uint64_t tool_seed(int64_t given)
{
	struct timespec now;
	if (given != 0)
		return (uint64_t)given;
	clock_gettime(CLOCK_REALTIME, &now);
	struct tool_chance chance = { (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec };
	return tool_random(&chance) % UINT64_C(1000000000000) + 1;
}

void tool_count(json_t *counters, const char *name)
{
	json_object_set_new(counters, name, json_integer(json_integer_value(json_object_get(counters, name)) + 1));
}
