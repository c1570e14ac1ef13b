/*
 * faulty_vfs: SQLite's file layer with faults: the n-th call of a kind fails once or from then on, or the disk is full.
 *
 * Counted faults strike only the thread that armed them, so that they are repeatable beside a checkpointer; a full disk strikes
 * everybody. A failing write may be torn: half of it is on disk. Register it before anything is opened.
 */
#ifndef PYGMY_TESTS_UNIT_FAULTY_VFS_H
#define PYGMY_TESTS_UNIT_FAULTY_VFS_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum fault_kind { FAULT_WRITE, FAULT_SYNC, FAULT_TRUNCATE, FAULT_OPEN, FAULT_READ, FAULT_SHM_MAP, FAULT_KINDS };

struct fault_plan {
	enum fault_kind kind;
	int countdown;                /* the call that fails: 1 is the next one; 0: none */
	int code;                     /* what it returns */
	bool stays;                   /* and so do all later ones */
	bool torn;
	int fired;
};

static _Thread_local struct fault_plan fault_plan;
static atomic_bool fault_disk_full;

struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real;           /* behind this struct */
};

static inline sqlite3_file *real_file(sqlite3_file *file)
{
	return ((struct faulty_file *)file)->real;
}

static inline sqlite3_vfs *real_vfs(sqlite3_vfs *vfs)
{
	return vfs->pAppData;
}

/* What the call has to return; SQLITE_OK: carry it out. */
static inline int fault_strike(enum fault_kind kind)
{
	struct fault_plan *plan = &fault_plan;
	if (plan->countdown == 0 || plan->kind != kind)
		return SQLITE_OK;
	if (plan->countdown > 1) {
		plan->countdown--;
		return SQLITE_OK;
	}
	plan->fired++;
	if (!plan->stays)
		plan->countdown = 0;
	return plan->code;
}

static inline void fault_arm(enum fault_kind kind, int nth, int code, bool stays, bool torn)
{
	fault_plan = (struct fault_plan){ .kind = kind, .countdown = nth, .code = code, .stays = stays, .torn = torn };
}

/* Returns how often it struck. */
static inline int fault_disarm(void)
{
	int fired = fault_plan.fired;
	fault_plan = (struct fault_plan){ .countdown = 0 };
	return fired;
}

static inline int faulty_close(sqlite3_file *file)
{
	return real_file(file)->pMethods->xClose(real_file(file));
}

static inline int faulty_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
	int rc = fault_strike(FAULT_READ);
	return rc != SQLITE_OK ? rc : real_file(file)->pMethods->xRead(real_file(file), bytes, len, offset);
}

static inline int faulty_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
	sqlite3_file *real = real_file(file);
	sqlite3_int64 size = 0;
	int rc = fault_strike(FAULT_WRITE);
	/* What is overwritten has its blocks: only a write that makes the file longer is torn by a lack of space. */
	bool torn = fault_plan.torn && len > 1;
	if (rc == SQLITE_FULL && torn)
		torn = real->pMethods->xFileSize(real, &size) == SQLITE_OK && offset + len > size;
	if (rc != SQLITE_OK && torn)
		real->pMethods->xWrite(real, bytes, len / 2, offset);
	if (rc == SQLITE_OK && atomic_load(&fault_disk_full) && real->pMethods->xFileSize(real, &size) == SQLITE_OK && offset + len > size)
		rc = SQLITE_FULL;
	return rc != SQLITE_OK ? rc : real->pMethods->xWrite(real, bytes, len, offset);
}

static inline int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int rc = fault_strike(FAULT_TRUNCATE);
	return rc != SQLITE_OK ? rc : real_file(file)->pMethods->xTruncate(real_file(file), size);
}

static inline int faulty_sync(sqlite3_file *file, int flags)
{
	int rc = fault_strike(FAULT_SYNC);
	return rc != SQLITE_OK ? rc : real_file(file)->pMethods->xSync(real_file(file), flags);
}

static inline int faulty_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_file(file)->pMethods->xFileSize(real_file(file), size);
}

static inline int faulty_lock(sqlite3_file *file, int lock)
{
	return real_file(file)->pMethods->xLock(real_file(file), lock);
}

static inline int faulty_unlock(sqlite3_file *file, int lock)
{
	return real_file(file)->pMethods->xUnlock(real_file(file), lock);
}

static inline int faulty_check_reserved(sqlite3_file *file, int *out)
{
	return real_file(file)->pMethods->xCheckReservedLock(real_file(file), out);
}

static inline int faulty_control(sqlite3_file *file, int op, void *argument)
{
	return real_file(file)->pMethods->xFileControl(real_file(file), op, argument);
}

static inline int faulty_sector_size(sqlite3_file *file)
{
	return real_file(file)->pMethods->xSectorSize(real_file(file));
}

static inline int faulty_characteristics(sqlite3_file *file)
{
	return real_file(file)->pMethods->xDeviceCharacteristics(real_file(file));
}

static inline int faulty_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
	int rc = fault_strike(FAULT_SHM_MAP);
	return rc != SQLITE_OK ? rc : real_file(file)->pMethods->xShmMap(real_file(file), page, size, extend, out);
}

static inline int faulty_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return real_file(file)->pMethods->xShmLock(real_file(file), offset, n, flags);
}

static inline void faulty_shm_barrier(sqlite3_file *file)
{
	real_file(file)->pMethods->xShmBarrier(real_file(file));
}

static inline int faulty_shm_unmap(sqlite3_file *file, int delete)
{
	return real_file(file)->pMethods->xShmUnmap(real_file(file), delete);
}

static inline int faulty_fetch(sqlite3_file *file, sqlite3_int64 offset, int len, void **out)
{
	return real_file(file)->pMethods->xFetch(real_file(file), offset, len, out);
}

static inline int faulty_unfetch(sqlite3_file *file, sqlite3_int64 offset, void *page)
{
	return real_file(file)->pMethods->xUnfetch(real_file(file), offset, page);
}

static const sqlite3_io_methods faulty_methods = {
	3, faulty_close, faulty_read, faulty_write, faulty_truncate, faulty_sync, faulty_file_size, faulty_lock, faulty_unlock,
	faulty_check_reserved, faulty_control, faulty_sector_size, faulty_characteristics, faulty_shm_map, faulty_shm_lock,
	faulty_shm_barrier, faulty_shm_unmap, faulty_fetch, faulty_unfetch
};

static inline int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	struct faulty_file *faulty = (struct faulty_file *)file;
	int rc = fault_strike(FAULT_OPEN);
	memset(faulty, 0, sizeof *faulty);
	if (rc != SQLITE_OK)
		return rc;
	faulty->real = (sqlite3_file *)(void *)(faulty + 1);
	rc = real_vfs(vfs)->xOpen(real_vfs(vfs), name, faulty->real, flags, out_flags);
	if (faulty->real->pMethods != NULL)
		faulty->base.pMethods = &faulty_methods;
	return rc;
}

/* The unix VFS finds its own state through the pointer it is called with. */
static inline int faulty_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	return real_vfs(vfs)->xDelete(real_vfs(vfs), name, sync);
}

static inline int faulty_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
	return real_vfs(vfs)->xAccess(real_vfs(vfs), name, flags, out);
}

static inline int faulty_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	return real_vfs(vfs)->xFullPathname(real_vfs(vfs), name, size, out);
}

/* Makes it the default VFS of the process. */
static inline int faulty_vfs_register(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	if (real == NULL || vfs.zName != NULL)
		return SQLITE_ERROR;
	vfs = *real;
	vfs.zName = "faulty";
	vfs.pNext = NULL;
	vfs.szOsFile = (int)sizeof(struct faulty_file) + real->szOsFile;
	vfs.pAppData = real;
	vfs.xOpen = faulty_open;
	vfs.xDelete = faulty_delete;
	vfs.xAccess = faulty_access;
	vfs.xFullPathname = faulty_full_pathname;
	return sqlite3_vfs_register(&vfs, 1);
}

#endif
