/*
 * slow_sync: a library to be preloaded into a process whose disk is to be slow: each fsync and fdatasync takes $SLOW_SYNC_MS longer.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void be_slow(void)
{
	const char *text = getenv("SLOW_SYNC_MS");
	long ms = text != NULL ? strtol(text, NULL, 10) : 0;
	struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
	nanosleep(&pause, NULL);
}

int fsync(int fd)
{
	be_slow();
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	be_slow();
	return (int)syscall(SYS_fdatasync, fd);
}
