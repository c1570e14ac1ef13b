/*
 * line_log: a log file of lines, each with its time, that is rotated by size: what happened to purchases, and to members.
 *
 * One write() per line on an O_APPEND file, so lines of several threads don't mix. Past max_bytes the file becomes <path>.1, .1 becomes
 * .2 and so on; LINE_LOG_FILES are kept. Nobody fails for a line: those that could not be written are counted, and the first of a row
 * of failures is reported.
 */
#ifndef PYGMY_DB_LINE_LOG_H
#define PYGMY_DB_LINE_LOG_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct line_log {
	const char *name;             /* for messages: "transaction log" */
	char path[PATH_MAX];
	int64_t max_bytes;            /* of one file */
	pthread_rwlock_t lock;        /* write: the file is being exchanged; read: it is written to */
	int fd;                       /* -1: not open */
	atomic_int_fast64_t bytes;
	atomic_uint_fast64_t lines;
	atomic_uint_fast64_t lost;
	atomic_bool torn;             /* the last line may be cut: start on a fresh one */
	atomic_int last_errno;        /* of the failure that was reported last; 0: writing works */
};

#define LINE_LOG_LINE_MAX_BYTES 512

/*
 * name: a static text. path: of the file that is written to. A file that can't be opened is reported, and tried again with each line.
 */
void line_log_open(struct line_log *log, const char *name, const char *path, int64_t max_bytes);
void line_log_close(struct line_log *log);

/*
 * Writes `2026-01-31T12:00:00.123Z text`; time_ms is since the epoch. text must hold no control characters; a line that is longer than
 * LINE_LOG_LINE_MAX_BYTES is lost. Any thread. Blocks on file I/O only.
 */
void line_log_write(struct line_log *log, int64_t time_ms, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
