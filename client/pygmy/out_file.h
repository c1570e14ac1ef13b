/*
 * out_file: a file that is there whole or not at all.
 *
 * Written beside its place under another name, made durable, then renamed. An existing file keeps its permissions; a symbolic link
 * keeps pointing to it. What is no regular file (a FIFO, /dev/null) is written directly.
 */
#ifndef PYGMY_CLIENT_OUT_FILE_H
#define PYGMY_CLIENT_OUT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct out_file {
	FILE *stream;
	char path[PATH_MAX];
	char temporary[PATH_MAX];     /* empty: written directly */
};

/* Errors: an errno value, and nothing to close; 0 when open. */
int out_file_open(struct out_file *file, const char *path);

/* Puts the file in its place. Errors: an errno value, and the old file is untouched. Closed in any case. */
int out_file_commit(struct out_file *file);

/* Forgets what was written. */
void out_file_abandon(struct out_file *file);

#endif
