/*
 * memory_vfs: SQLite's files in memory, for replicas that are killed and lose power thousands of times a minute.
 *
 * It is made for one thread whose connections never overlap in a transaction, so locks always succeed, but for the exclusive one by which
 * SQLite finds out that a connection is the last. What a crash leaves behind is decided by the caller: a killed process leaves
 * its files as they are (close the connection without a checkpoint), a power cut takes away any part of the WAL's end.
 */
#ifndef PYGMY_TESTS_SIMULATION_MEMORY_VFS_H
#define PYGMY_TESTS_SIMULATION_MEMORY_VFS_H

#include <stddef.h>
#include <stdint.h>

/* Makes it the default VFS of the process. Returns whether it worked. */
int memory_vfs_register(void);

/* All connections must be closed. Nothing happens to files that are not there. */
void memory_file_remove(const char *name);
void memory_file_copy(const char *from, const char *to);
void memory_file_truncate(const char *name, size_t size);
/* 0 for a file that is not there. */
size_t memory_file_size(const char *name);

/* Removes every file. */
void memory_files_clear(void);

#endif
