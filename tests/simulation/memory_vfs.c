/* memory_vfs: see memory_vfs.h. */
#include "tests/simulation/memory_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 64
#define NAME_BYTES 128
#define SHM_REGIONS_MAX 64

struct memory_file {
	char name[NAME_BYTES];        /* "": free */
	unsigned char *bytes;
	size_t size, room;
	int connections;
	void *shm[SHM_REGIONS_MAX];
};

struct open_file {
	sqlite3_file base;
	struct memory_file *file;
	int delete_on_close;
};

static struct memory_file files[FILES_MAX];

static void out_of_room(const char *what)
{
	fprintf(stderr, "memory_vfs: too many %s\n", what);
	abort();
}

static struct memory_file *find(const char *name)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	return NULL;
}

static struct memory_file *create(const char *name)
{
	struct memory_file *file = find("");
	if (file == NULL || strlen(name) >= NAME_BYTES)
		out_of_room("files");
	snprintf(file->name, sizeof file->name, "%s", name);
	return file;
}

/* Keeps the memory for the next file. */
static void forget(struct memory_file *file)
{
	for (int i = 0; i < SHM_REGIONS_MAX; i++) {
		free(file->shm[i]);
		file->shm[i] = NULL;
	}
	file->name[0] = '\0';
	file->size = 0;
	file->connections = 0;
}

static void reserve(struct memory_file *file, size_t size)
{
	if (size <= file->room)
		return;
	size_t room = size < 65536 ? 65536 : 2 * size;
	unsigned char *bytes = realloc(file->bytes, room);
	if (bytes == NULL)
		out_of_room("bytes");
	file->bytes = bytes;
	file->room = room;
}

static void resize(struct memory_file *file, size_t size)
{
	reserve(file, size);
	if (size > file->size)
		memset(file->bytes + file->size, 0, size - file->size);
	file->size = size;
}

/* ---- what the simulation does ----------------------------------------------------------------------- */

void memory_file_remove(const char *name)
{
	struct memory_file *file = find(name);
	if (file != NULL)
		forget(file);
}

void memory_file_copy(const char *from, const char *to)
{
	memory_file_remove(to);
	struct memory_file *source = find(from), *target = create(to);
	if (source == NULL)
		out_of_room("names");
	resize(target, source->size);
	memcpy(target->bytes, source->bytes, source->size);
}

void memory_file_truncate(const char *name, size_t size)
{
	struct memory_file *file = find(name);
	if (file != NULL && size < file->size)
		file->size = size;
}

size_t memory_file_size(const char *name)
{
	const struct memory_file *file = find(name);
	return file == NULL ? 0 : file->size;
}

void memory_files_clear(void)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (files[i].name[0] != '\0')
			forget(&files[i]);
}

/* ---- files ------------------------------------------------------------------------------------------ */

static struct memory_file *file_of(sqlite3_file *base)
{
	return ((struct open_file *)base)->file;
}

static int io_close(sqlite3_file *base)
{
	struct open_file *open = (struct open_file *)base;
	open->file->connections--;
	if (open->delete_on_close)
		forget(open->file);
	return SQLITE_OK;
}

static int io_read(sqlite3_file *base, void *out, int len, sqlite3_int64 offset)
{
	const struct memory_file *file = file_of(base);
	size_t at = (size_t)offset, wanted = (size_t)len, there = at < file->size ? file->size - at : 0;
	size_t count = wanted < there ? wanted : there;
	if (count > 0)
		memcpy(out, file->bytes + at, count);
	memset((char *)out + count, 0, wanted - count);
	return count == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int io_write(sqlite3_file *base, const void *bytes, int len, sqlite3_int64 offset)
{
	struct memory_file *file = file_of(base);
	size_t end = (size_t)offset + (size_t)len;
	if (end > file->size)
		resize(file, end);
	memcpy(file->bytes + offset, bytes, (size_t)len);
	return SQLITE_OK;
}

static int io_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	resize(file_of(base), (size_t)size);
	return SQLITE_OK;
}

static int io_sync(sqlite3_file *base, int flags)
{
	(void)base;
	(void)flags;
	return SQLITE_OK;
}

static int io_size(sqlite3_file *base, sqlite3_int64 *size)
{
	*size = (sqlite3_int64)file_of(base)->size;
	return SQLITE_OK;
}

static int io_lock(sqlite3_file *base, int lock)
{
	return lock == SQLITE_LOCK_EXCLUSIVE && file_of(base)->connections > 1 ? SQLITE_BUSY : SQLITE_OK;
}

static int io_unlock(sqlite3_file *base, int lock)
{
	(void)base;
	(void)lock;
	return SQLITE_OK;
}

static int io_check_reserved(sqlite3_file *base, int *out)
{
	(void)base;
	*out = 0;
	return SQLITE_OK;
}

static int io_control(sqlite3_file *base, int operation, void *argument)
{
	(void)base;
	(void)operation;
	(void)argument;
	return SQLITE_NOTFOUND;
}

static int io_sector_size(sqlite3_file *base)
{
	(void)base;
	return 4096;
}

static int io_characteristics(sqlite3_file *base)
{
	(void)base;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int io_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
	struct memory_file *file = file_of(base);
	if (region >= SHM_REGIONS_MAX)
		out_of_room("pages in a WAL");
	if (file->shm[region] == NULL && extend != 0)
		file->shm[region] = calloc(1, (size_t)size);
	*out = file->shm[region];
	return SQLITE_OK;
}

static int io_shm_lock(sqlite3_file *base, int offset, int n, int flags)
{
	(void)base;
	(void)offset;
	(void)n;
	(void)flags;
	return SQLITE_OK;
}

static void io_shm_barrier(sqlite3_file *base)
{
	(void)base;
}

/* The index in memory ends with the last connection, so that the next one recovers it from the WAL, as after a crash. */
static int io_shm_unmap(sqlite3_file *base, int delete)
{
	struct memory_file *file = file_of(base);
	(void)delete;
	for (int i = 0; file->connections <= 1 && i < SHM_REGIONS_MAX; i++) {
		free(file->shm[i]);
		file->shm[i] = NULL;
	}
	return SQLITE_OK;
}

static const sqlite3_io_methods io_methods = {
	2, io_close, io_read, io_write, io_truncate, io_sync, io_size, io_lock, io_unlock, io_check_reserved, io_control,
	io_sector_size, io_characteristics, io_shm_map, io_shm_lock, io_shm_barrier, io_shm_unmap, NULL, NULL
};

/* ---- the VFS ---------------------------------------------------------------------------------------- */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out_flags)
{
	static unsigned temporary;
	char unnamed[NAME_BYTES];
	struct open_file *open = (struct open_file *)base;
	(void)vfs;
	snprintf(unnamed, sizeof unnamed, "temporary-%u", temporary++);
	const char *used = name == NULL ? unnamed : name;
	struct memory_file *file = find(used);
	base->pMethods = NULL;
	if (file == NULL && (flags & SQLITE_OPEN_CREATE) == 0)
		return SQLITE_CANTOPEN;
	open->file = file != NULL ? file : create(used);
	open->file->connections++;
	open->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
	base->pMethods = &io_methods;
	if (out_flags != NULL)
		*out_flags = flags;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	(void)vfs;
	(void)sync;
	memory_file_remove(name);
	return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
	(void)vfs;
	(void)flags;
	*out = memory_file_size(name) > 0;
	return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	(void)vfs;
	snprintf(out, (size_t)size, "%s", name);
	return SQLITE_OK;
}

int memory_vfs_register(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	if (real == NULL)
		return 0;
	vfs = *real;
	vfs.zName = "memory-files";
	vfs.pNext = NULL;
	vfs.szOsFile = (int)sizeof(struct open_file);
	vfs.xOpen = vfs_open;
	vfs.xDelete = vfs_delete;
	vfs.xAccess = vfs_access;
	vfs.xFullPathname = vfs_full_pathname;
	return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK;
}
