/*
 * sync_cost: what one durable commit costs this disk: `sync_cost FOLDER` prints the median microseconds of an fdatasync behind seven
 * WAL frames (24 + 4096 bytes each), overwritten in place as SQLite's write-ahead log is, with a short pause between two.
 *
 * The benchmark prints it beside the purchases: one client alone can't buy faster than the disk syncs. Exit status 1 when
 * the folder can't be written.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BYTES (24 + 4096)
#define FRAMES 7
#define FILE_BYTES (4 * 1024 * 1024)
#define ROUNDS 500

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int measure(int fd, int64_t *times)
{
	static char frames[FRAMES * FRAME_BYTES], whole[FILE_BYTES];
	const struct timespec pause = { 0, 300000 };
	off_t at = 32;
	memset(frames, 'x', sizeof frames);
	if (pwrite(fd, whole, sizeof whole, 0) != (ssize_t)sizeof whole || fsync(fd) != 0)
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		if (pwrite(fd, frames, sizeof frames, at) != (ssize_t)sizeof frames)
			return 1;
		int64_t began_us = now_us();
		if (fdatasync(fd) != 0)
			return 1;
		times[i] = now_us() - began_us;
		at += (off_t)sizeof frames;
		if (at + (off_t)sizeof frames > FILE_BYTES)
			at = 32;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char path[4096];
	int64_t times[ROUNDS];
	if (argc != 2 || snprintf(path, sizeof path, "%s/sync-cost-XXXXXX", argv[1]) >= (int)sizeof path) {
		fprintf(stderr, "usage: sync_cost FOLDER\n");
		return 2;
	}
	int fd = mkstemp(path);
	int failed = fd < 0 || measure(fd, times) != 0;
	if (failed)
		perror(path);
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	if (failed)
		return 1;
	qsort(times, ROUNDS, sizeof times[0], by_size);
	printf("%lld\n", (long long)times[ROUNDS / 2]);
	return 0;
}
