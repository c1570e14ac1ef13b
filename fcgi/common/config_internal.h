/*
 * config_internal: what the files config*.c share.
 */
#ifndef PYGMY_FCGI_CONFIG_INTERNAL_H
#define PYGMY_FCGI_CONFIG_INTERNAL_H

#include "db/slice.h"
#include "fcgi/common/config.h"

struct settings {
	char *file;                   /* the whole file, NUL-terminated, or NULL */
	char *why;
	size_t why_size;
};

/* An empty setting is as good as none. */
struct slice config_find(const struct settings *settings, const char *name);

/* The setting, else leaf below the folder that another setting names (both may be NULL), else empty. False: too long. */
bool config_text(const struct settings *settings, const char *name, const char *folder_name, const char *leaf, char *out, size_t size);

/* config_cluster.c: what a node of a cluster is told besides. */
bool config_load_cluster(const struct settings *settings, struct worker_config *config);

#endif
