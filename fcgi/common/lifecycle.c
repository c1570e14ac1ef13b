/* lifecycle: see lifecycle.h. */
#include "fcgi/common/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/monotonic.h"

static bool write_marker(const struct lifecycle *lifecycle, const char *state)
{
	char temporary[PATH_MAX + 8], line[160];
	int len = snprintf(line, sizeof line, "pygmy-lifecycle 1 %s %" PRIu64 " %" PRIu64 " %" PRId64 "\n", state, lifecycle->starts,
		lifecycle->crashes, lifecycle->started_ms);
	snprintf(temporary, sizeof temporary, "%s.new", lifecycle->path);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	bool good = write(fd, line, (size_t)len) == len && fsync(fd) == 0;
	good = close(fd) == 0 && good;
	return good && rename(temporary, lifecycle->path) == 0;
}

static void mark(const struct lifecycle *lifecycle, const char *state)
{
	if (!write_marker(lifecycle, state))
		diagnose_warning("lifecycle: can't write %s: %s", lifecycle->path, strerror(errno));
}

/* False when there is no marker, or none that makes sense. */
static bool read_marker(struct lifecycle *lifecycle, bool *was_running)
{
	char line[160], state[16];
	int fd = open(lifecycle->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		if (errno != ENOENT)
			diagnose_warning("lifecycle: can't read %s: %s", lifecycle->path, strerror(errno));
		return false;
	}
	ssize_t len = read(fd, line, sizeof line - 1);
	close(fd);
	line[len > 0 ? len : 0] = '\0';
	int64_t started_ms;
	if (sscanf(line, "pygmy-lifecycle 1 %15s %" SCNu64 " %" SCNu64 " %" SCNd64, state, &lifecycle->starts, &lifecycle->crashes,
			&started_ms) != 4) {
		diagnose_warning("lifecycle: %s is not a marker of this version; it is written anew", lifecycle->path);
		lifecycle->starts = 0;
		lifecycle->crashes = 0;
		return false;
	}
	*was_running = strcmp(state, "running") == 0;
	return true;
}

void lifecycle_begin(struct lifecycle *lifecycle, const char *db_path, const char *name)
{
	memset(lifecycle, 0, sizeof *lifecycle);
	const char *slash = strrchr(db_path, '/');
	int folder_len = slash == NULL ? 1 : (int)(slash - db_path);
	snprintf(lifecycle->path, sizeof lifecycle->path, "%.*s/%s.lifecycle", folder_len, slash == NULL ? "." : db_path, name);
	bool was_running = false;
	if (!read_marker(lifecycle, &was_running)) {
		lifecycle->how = LIFECYCLE_FIRST_START;
	} else if (was_running) {
		lifecycle->how = LIFECYCLE_AFTER_CRASH;
		lifecycle->crashes++;
	} else {
		lifecycle->how = LIFECYCLE_AFTER_STOP;
	}
	lifecycle->starts++;
	lifecycle->started_ms = wallclock_ms();
	mark(lifecycle, "running");
	diagnose_info("lifecycle: %s (start %" PRIu64 ", crashes so far %" PRIu64 ")", lifecycle_how_text(lifecycle->how), lifecycle->starts,
		lifecycle->crashes);
}

void lifecycle_end(const struct lifecycle *lifecycle)
{
	mark(lifecycle, "stopped");
}

const char *lifecycle_how_text(enum lifecycle_start how)
{
	switch (how) {
	case LIFECYCLE_FIRST_START: return "first_start";
	case LIFECYCLE_AFTER_STOP: return "after_stop";
	case LIFECYCLE_AFTER_CRASH: return "after_crash";
	}
	return "unknown";
}
