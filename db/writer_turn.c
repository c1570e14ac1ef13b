/* writer_turn: see writer_turn.h. */
#include "db/writer_turn.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include "db/diagnostics.h"

#define TURN_PATH_MAX 4096
#define BOOT_ID_LEN 36

struct writer_turn {
	pthread_mutex_t mutex;        /* this is the file's content */
};

static bool read_boot_id(char out[BOOT_ID_LEN + 1])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t len = read(fd, out, BOOT_ID_LEN);
	close(fd);
	out[BOOT_ID_LEN] = '\0';
	return len == BOOT_ID_LEN;
}

static struct writer_turn *map_file(int fd)
{
	void *map = mmap(NULL, sizeof(struct writer_turn), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

static bool init_mutex(struct writer_turn *turn)
{
	pthread_mutexattr_t attributes;
	bool ok = pthread_mutexattr_init(&attributes) == 0 && pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
		  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 && pthread_mutex_init(&turn->mutex, &attributes) == 0;
	pthread_mutexattr_destroy(&attributes);
	return ok;
}

/* Makes the file complete under another name first, so that nobody maps a half-made mutex. Losing the race is fine. */
static void make_file(const char *path)
{
	char temporary[TURN_PATH_MAX + 16];
	snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return;
	struct writer_turn *turn = NULL;
	if (posix_fallocate(fd, 0, sizeof *turn) == 0)
		turn = map_file(fd);
	if (turn != NULL) {
		if (init_mutex(turn) && link(temporary, path) != 0 && errno != EEXIST)
			diagnose_warning("%s: %s", path, strerror(errno));
		munmap(turn, sizeof *turn);
	}
	unlink(temporary);
	close(fd);
}

/* The files of earlier boots, which nobody uses any more. */
static void remove_old_files(const char *db_path, const char *current)
{
	char pattern[TURN_PATH_MAX];
	glob_t found;
	if (snprintf(pattern, sizeof pattern, "%s-turn-*", db_path) >= (int)sizeof pattern || glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (strlen(found.gl_pathv[i]) == strlen(current) && strcmp(found.gl_pathv[i], current) != 0)
			unlink(found.gl_pathv[i]);
	globfree(&found);
}

static struct writer_turn *open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat status;
	struct writer_turn *turn = NULL;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && status.st_size == (off_t)sizeof *turn)
		turn = map_file(fd);
	close(fd);
	return turn;
}

void writer_turn_open(const char *db_path, struct writer_turn **out)
{
	char path[TURN_PATH_MAX], boot_id[BOOT_ID_LEN + 1];
	*out = NULL;
	if (!read_boot_id(boot_id) || snprintf(path, sizeof path, "%s-turn-%s", db_path, boot_id) >= (int)sizeof path)
		return;
	*out = open_file(path);
	if (*out == NULL) {
		make_file(path);
		remove_old_files(db_path, path);
		*out = open_file(path);
	}
	if (*out == NULL)
		diagnose_warning("%s can't be used: writers wait on SQLite's lock alone", path);
}

void writer_turn_close(struct writer_turn *turn)
{
	if (turn != NULL)
		munmap(turn, sizeof *turn);
}

/* pthread_mutex_clocklock, of which ThreadSanitizer (gcc 12) has to be told. */
static int lock_until(pthread_mutex_t *mutex, const struct timespec *until)
{
#ifdef __SANITIZE_THREAD__
	__tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
#endif
	int rc = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, until);
#ifdef __SANITIZE_THREAD__
	bool locked = rc == 0 || rc == EOWNERDEAD;
	__tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
#endif
	return rc;
}

bool writer_turn_begin(struct writer_turn *turn, int timeout_ms)
{
	struct timespec until;
	if (turn == NULL)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	int rc = lock_until(&turn->mutex, &until);
	if (rc == EOWNERDEAD) {
		pthread_mutex_consistent(&turn->mutex);
		rc = 0;
	}
	return rc == 0;
}

void writer_turn_end(struct writer_turn *turn)
{
	pthread_mutex_unlock(&turn->mutex);
}
