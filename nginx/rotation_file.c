/* rotation_file: see rotation_file.h. */
#include "nginx/rotation_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_FORMAT "pygmy-rotation 1 %016" PRIx64 " %016" PRIx64 "\n"
#define HEAD_LEN (sizeof "pygmy-rotation 1 " - 1 + 16 + 1 + 16 + 1)
#define FILE_MAX_BYTES (HEAD_LEN + NODE_LIST_TEXT_MAX_BYTES)
#define PATH_MAX_BYTES 4096

/* FNV-1a. */
static uint64_t hash_of(const char *text, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static bool write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	bool good = write(fd, text, len) == (ssize_t)len;
	return close(fd) == 0 && good;
}

bool rotation_file_save(const struct rotation *rotation, const struct rotation_list *list, const char *path)
{
	char file[FILE_MAX_BYTES + 1], fresh[PATH_MAX_BYTES], head[HEAD_LEN + 1];
	size_t len = rotation_write(list, file + HEAD_LEN, sizeof file - HEAD_LEN);
	int path_len = snprintf(fresh, sizeof fresh, "%s.%ld.new", path, (long)getpid());
	if (len == 0 || path_len < 0 || (size_t)path_len >= sizeof fresh)
		return false;
	snprintf(head, sizeof head, HEAD_FORMAT, rotation_seeds_hash(rotation), hash_of(file + HEAD_LEN, len));
	memcpy(file, head, HEAD_LEN);
	if (write_file(fresh, file, HEAD_LEN + len) && rename(fresh, path) == 0)
		return true;
	unlink(fresh);
	return false;
}

bool rotation_file_load(struct rotation *rotation, const char *path)
{
	char file[FILE_MAX_BYTES + 1], head[HEAD_LEN + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	ssize_t len = read(fd, file, sizeof file);
	close(fd);
	if (len <= (ssize_t)HEAD_LEN || len > (ssize_t)FILE_MAX_BYTES)
		return false;
	struct slice text = { file + HEAD_LEN, (size_t)len - HEAD_LEN };
	snprintf(head, sizeof head, HEAD_FORMAT, rotation_seeds_hash(rotation), hash_of(text.ptr, text.len));
	if (memcmp(head, file, HEAD_LEN) != 0)
		return false;
	enum rotation_outcome outcome = rotation_take(rotation, text);
	return outcome == ROTATION_SAME || outcome == ROTATION_CHANGED;
}
