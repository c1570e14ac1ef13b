/*
 * stepped_clock: a library to be preloaded into a process whose clock is to be set, back or forth, while it runs.
 *
 * $STEPPED_CLOCK names a file of at least OFFSET_BYTES bytes that begins with a number of milliseconds (digits, perhaps a minus sign, then a
 * blank): so far is CLOCK_REALTIME off. Write it in place (dd conv=notrunc), since the file stays mapped. CLOCK_MONOTONIC is left alone,
 * as when a machine's clock is set. (The package faketime takes waits on monotonic conditions for waits on the real time.)
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define OFFSET_BYTES 32

static const char *offset_text;

__attribute__((constructor)) static void open_offset(void)
{
	const char *path = getenv("STEPPED_CLOCK");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, OFFSET_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (map != MAP_FAILED)
		offset_text = map;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, now);
	if (rc == 0 && offset_text != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += strtoll(offset_text, NULL, 10) / 1000;
	return rc;
}

time_t time(time_t *out)
{
	struct timespec now = { 0 };
	clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now = { 0 };
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*out = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return 0;
}
