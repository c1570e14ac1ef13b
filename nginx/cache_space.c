/* cache_space: see cache_space.h. */
#include "nginx/cache_space.h"

#include <stdint.h>
#include <sys/statvfs.h>

bool cache_space_is_left(const char *folder)
{
	struct statvfs fs;
	if (statvfs(folder, &fs) != 0)
		return false;
	/* Some file systems count no inodes: f_files is 0 then. */
	bool has_inodes = fs.f_files == 0 || fs.f_favail >= CACHE_INODES_MIN;
	return has_inodes && (uint64_t)fs.f_bavail * fs.f_frsize >= CACHE_SPACE_MIN_BYTES;
}
