/* line_log: see line_log.h. */
#include "db/line_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/limits.h"

/* Reports the first of a row of failures, and the end of the row: a full disk must not fill another log. */
static void report(struct line_log *log, int error)
{
	if (atomic_exchange(&log->last_errno, error) == error)
		return;
	if (error != 0)
		diagnose_error("%s: can't write %s: %s; the store goes on without these lines", log->name, log->path, strerror(error));
	else
		diagnose_info("%s: %s is written again; lines lost so far: %" PRIuFAST64, log->name, log->path, atomic_load(&log->lost));
}

/* Under the write lock (or alone). */
static void open_file(struct line_log *log)
{
	struct stat status;
	log->fd = open(log->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log->fd < 0 || fstat(log->fd, &status) != 0) {
		report(log, errno);
		if (log->fd >= 0)
			close(log->fd);
		log->fd = -1;
		return;
	}
	char last = '\n';
	if (status.st_size > 0 && pread(log->fd, &last, 1, status.st_size - 1) != 1)
		last = '\n';
	atomic_store(&log->bytes, status.st_size);
	atomic_store(&log->torn, last != '\n');
}

static void rename_files(const struct line_log *log)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];
	for (int i = LINE_LOG_FILES - 1; i >= 1; i--) {
		snprintf(to, sizeof to, "%s.%d", log->path, i);
		if (i > 1)
			snprintf(from, sizeof from, "%s.%d", log->path, i - 1);
		else
			snprintf(from, sizeof from, "%s", log->path);
		if (rename(from, to) != 0 && errno != ENOENT)
			diagnose_warning("%s: can't rename %s: %s", log->name, from, strerror(errno));
	}
}

/* Opens the file when it is not, rotates it when it is full. Several threads may come here for the same reason. */
static void prepare_file(struct line_log *log)
{
	pthread_rwlock_wrlock(&log->lock);
	if (log->fd >= 0 && atomic_load(&log->bytes) >= log->max_bytes) {
		close(log->fd);
		log->fd = -1;
		rename_files(log);
	}
	if (log->fd < 0)
		open_file(log);
	pthread_rwlock_unlock(&log->lock);
}

void line_log_open(struct line_log *log, const char *name, const char *path, int64_t max_bytes)
{
	memset(log, 0, sizeof *log);
	log->name = name;
	snprintf(log->path, sizeof log->path, "%s", path);
	log->max_bytes = max_bytes;
	log->fd = -1;
	pthread_rwlock_init(&log->lock, NULL);
	prepare_file(log);
}

void line_log_close(struct line_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
	pthread_rwlock_destroy(&log->lock);
}

/* The line with its newline. Returns its length, or one that is not below size when it does not fit. */
static int format_line(bool fresh_line, int64_t time_ms, const char *format, va_list args, char *line, size_t size)
{
	struct tm utc;
	time_t seconds = (time_t)(time_ms / 1000);
	gmtime_r(&seconds, &utc);
	int head = snprintf(line, size, "%s%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", fresh_line ? "\n" : "", utc.tm_year + 1900, utc.tm_mon + 1,
		utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(time_ms % 1000));
	int rest = vsnprintf(line + head, size - (size_t)head, format, args);
	int len = head + rest + 1;
	if (rest < 0 || len >= (int)size)
		return (int)size;
	line[len - 1] = '\n';
	return len;
}

/* Under the read lock. */
static void append(struct line_log *log, int64_t time_ms, const char *format, va_list args)
{
	char line[LINE_LOG_LINE_MAX_BYTES];
	int len = format_line(atomic_exchange(&log->torn, false), time_ms, format, args, line, sizeof line);
	ssize_t written = -1;
	errno = EMSGSIZE;
	if (len < (int)sizeof line)
		written = write(log->fd, line, (size_t)len);
	if (written > 0)
		atomic_fetch_add(&log->bytes, written);
	if (written == len) {
		atomic_fetch_add_explicit(&log->lines, 1, memory_order_relaxed);
		report(log, 0);
		return;
	}
	int error = written < 0 ? errno : ENOSPC;
	if (written > 0)
		atomic_store(&log->torn, true);
	atomic_fetch_add(&log->lost, 1);
	report(log, error);
}

void line_log_write(struct line_log *log, int64_t time_ms, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	pthread_rwlock_rdlock(&log->lock);
	bool ready = log->fd >= 0 && atomic_load_explicit(&log->bytes, memory_order_relaxed) < log->max_bytes;
	pthread_rwlock_unlock(&log->lock);
	if (!ready)
		prepare_file(log);
	pthread_rwlock_rdlock(&log->lock);
	if (log->fd >= 0)
		append(log, time_ms, format, args);
	else
		atomic_fetch_add(&log->lost, 1);
	pthread_rwlock_unlock(&log->lock);
	va_end(args);
}
