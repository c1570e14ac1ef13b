/*
 * cache_space: whether the cache's disk takes more. nginx breaks an answer off in the middle when it can't store it.
 */
#ifndef PYGMY_NGINX_CACHE_SPACE_H
#define PYGMY_NGINX_CACHE_SPACE_H

#include <stdbool.h>

/* Below so much free space nothing is stored: more than the largest answers that all nginx workers write at once. */
#define CACHE_SPACE_MIN_BYTES (8 * 1024 * 1024)
#define CACHE_INODES_MIN 64

/* Asks the file system of folder (one system call; any thread). False when it can't be asked. */
bool cache_space_is_left(const char *folder);

#endif
