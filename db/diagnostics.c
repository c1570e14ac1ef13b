/* diagnostics: one line, one write. */
#include "db/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PREFIX_MAX 200        /* time, level and name */

static const char *process_name = "pygmy";
static enum diagnostics_level least_level = DIAGNOSTICS_INFO;
static const char *const level_names[] = { "debug", "info", "warning", "error" };
static const char cut_mark[] = " [cut]";

void diagnostics_init(const char *name, enum diagnostics_level least)
{
	process_name = name;
	least_level = least;
}

static size_t write_prefix(char *line, size_t size, enum diagnostics_level level)
{
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t len = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
	int more = snprintf(line + len, size - len, ".%03ldZ %s %s: ", now.tv_nsec / 1000000, level_names[level], process_name);
	return len + (size_t)more;
}

void diagnose(enum diagnostics_level level, const char *format, ...)
{
	if (level < least_level)
		return;
	char line[DIAGNOSTICS_LINE_MAX];
	size_t prefix = write_prefix(line, PREFIX_MAX, level);
	if (prefix > PREFIX_MAX - 1)
		prefix = PREFIX_MAX - 1;
	size_t room = sizeof line - prefix;           /* the newline will stand where vsnprintf puts its NUL */
	va_list args;
	va_start(args, format);
	int wanted = vsnprintf(line + prefix, room, format, args);
	va_end(args);
	if (wanted < 0)
		return;
	size_t len = prefix + (size_t)wanted;
	if ((size_t)wanted >= room) {
		len = sizeof line - 1;
		memcpy(line + sizeof line - sizeof cut_mark, cut_mark, sizeof cut_mark - 1);
	}
	for (size_t i = prefix; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	/* A log that can't be written must not stop the store; there is nobody to tell. */
	ssize_t written = write(STDERR_FILENO, line, len);
	(void)written;
}
