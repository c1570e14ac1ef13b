/*
 * frontend_calls: the library's functions in the shape that suits nginx's Lua: plain pointers and lengths, the clock read here.
 *
 * Lua calls them by FFI while a request is handled; see nginx/coherence.lua. None of them blocks (has_space asks the file
 * system, once for each answer that a worker gave).
 */
#ifndef PYGMY_NGINX_FRONTEND_CALLS_H
#define PYGMY_NGINX_FRONTEND_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct coherence_table;

/* Below so much free space nothing is stored in the cache: more than the largest answers that all nginx workers write at once. */
#define CACHE_SPACE_MIN_BYTES (8 * 1024 * 1024)

/* cache_key_write() now; route is an enum cache_route. */
size_t coherence_frontend_key(const struct coherence_table *table, int route, const char *args, size_t args_len,
	int64_t lease_ms, char *key);

/* cache_key_write_tag() */
size_t coherence_frontend_tag(const struct coherence_table *table, int route, const char *args, size_t args_len, char *key);

/* cache_key_raise() */
bool coherence_frontend_raise(struct coherence_table *table, const char *key, size_t key_len, const char *changed,
	size_t changed_len);

/* Whether the file system of dir takes some more files. False when it can't be asked. */
bool coherence_frontend_has_space(const char *dir);

#endif
