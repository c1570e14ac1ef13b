/* frontend_calls: see frontend_calls.h. */
#include "nginx/frontend_calls.h"

#include <sys/statvfs.h>

#include "nginx/cache_key.h"

#define CACHE_INODES_MIN 64

size_t coherence_frontend_key(const struct coherence_table *table, int route, const char *args, size_t args_len,
	int64_t lease_ms, char *key)
{
	return cache_key_write(table, (enum cache_route)route, (struct slice){ args, args_len }, coherence_clock_ms(), lease_ms, key);
}

size_t coherence_frontend_tag(const struct coherence_table *table, int route, const char *args, size_t args_len, char *key)
{
	return cache_key_write_tag(table, (enum cache_route)route, (struct slice){ args, args_len }, key);
}

bool coherence_frontend_raise(struct coherence_table *table, const char *key, size_t key_len, const char *changed,
	size_t changed_len)
{
	return cache_key_raise(table, (struct slice){ key, key_len }, (struct slice){ changed, changed_len });
}

bool coherence_frontend_has_space(const char *dir)
{
	struct statvfs fs;
	if (statvfs(dir, &fs) != 0)
		return false;
	/* Some file systems count no inodes: f_files is 0 then. */
	bool has_inodes = fs.f_files == 0 || fs.f_favail >= CACHE_INODES_MIN;
	return has_inodes && (uint64_t)fs.f_bavail * fs.f_frsize >= CACHE_SPACE_MIN_BYTES;
}
