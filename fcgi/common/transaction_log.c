/* transaction_log: see transaction_log.h. */
#include "fcgi/common/transaction_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/limits.h"

#define LINE_MAX_BYTES 512
#define TRACE_MAX_BYTES 64

/* Reports the first of a row of failures, and the end of the row: a full disk must not fill another log. */
static void report(struct transaction_log *log, int error)
{
	if (atomic_exchange(&log->last_errno, error) == error)
		return;
	if (error != 0)
		diagnose_error("transaction log: can't write %s: %s; purchases go on without their lines", log->path, strerror(error));
	else
		diagnose_info("transaction log: %s is written again; lines lost so far: %" PRIuFAST64, log->path, atomic_load(&log->lost));
}

/* Under the write lock (or alone). */
static void open_file(struct transaction_log *log)
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

static void rename_files(const struct transaction_log *log)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];
	for (int i = TRANSACTION_LOG_FILES - 1; i >= 1; i--) {
		snprintf(to, sizeof to, "%s.%d", log->path, i);
		if (i > 1)
			snprintf(from, sizeof from, "%s.%d", log->path, i - 1);
		else
			snprintf(from, sizeof from, "%s", log->path);
		if (rename(from, to) != 0 && errno != ENOENT)
			diagnose_warning("transaction log: can't rename %s: %s", from, strerror(errno));
	}
}

/* Opens the file when it is not, rotates it when it is full. Several threads may come here for the same reason. */
static void prepare_file(struct transaction_log *log)
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

void transaction_log_open(struct transaction_log *log, const char *path, int64_t max_bytes)
{
	memset(log, 0, sizeof *log);
	snprintf(log->path, sizeof log->path, "%s", path);
	log->max_bytes = max_bytes;
	log->fd = -1;
	pthread_rwlock_init(&log->lock, NULL);
	prepare_file(log);
}

void transaction_log_close(struct transaction_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
	pthread_rwlock_destroy(&log->lock);
}

static int format_line(const struct transaction *transaction, bool fresh_line, char *line, size_t size)
{
	struct tm utc;
	char order[24] = "-";
	struct slice trace = transaction->trace_id.len > 0 ? transaction->trace_id : SLICE_LITERAL("-");
	time_t seconds = (time_t)(transaction->time_ms / 1000);
	gmtime_r(&seconds, &utc);
	if (transaction->order_id > 0)
		snprintf(order, sizeof order, "%" PRId64, transaction->order_id);
	return snprintf(line, size,
		"%s%04d-%02d-%02dT%02d:%02d:%02d.%03dZ key=%.*s item=%" PRId64 " quantity=%" PRId64 " result=%s order=%s repeated=%s trace=%.*s\n",
		fresh_line ? "\n" : "", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
		(int)(transaction->time_ms % 1000), (int)transaction->key.len, transaction->key.ptr, transaction->item_id,
		transaction->quantity, error_code(transaction->error), order, transaction->repeated ? "yes" : "no", (int)(trace.len < TRACE_MAX_BYTES ? trace.len : TRACE_MAX_BYTES), trace.ptr);
}

/* Under the read lock. */
static void append(struct transaction_log *log, const struct transaction *transaction)
{
	char line[LINE_MAX_BYTES];
	int len = format_line(transaction, atomic_exchange(&log->torn, false), line, sizeof line);
	ssize_t written = -1;
	errno = EMSGSIZE;
	if (len > 0 && len < (int)sizeof line)
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

void transaction_log_write(struct transaction_log *log, const struct transaction *transaction)
{
	pthread_rwlock_rdlock(&log->lock);
	bool ready = log->fd >= 0 && atomic_load_explicit(&log->bytes, memory_order_relaxed) < log->max_bytes;
	pthread_rwlock_unlock(&log->lock);
	if (!ready)
		prepare_file(log);
	pthread_rwlock_rdlock(&log->lock);
	if (log->fd >= 0)
		append(log, transaction);
	else
		atomic_fetch_add(&log->lost, 1);
	pthread_rwlock_unlock(&log->lock);
}
