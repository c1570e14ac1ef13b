/*
 * small_file: reads a whole file that must be small (settings, token).
 */
#ifndef PYGMY_CLIENT_SMALL_FILE_H
#define PYGMY_CLIENT_SMALL_FILE_H

#include <sys/types.h>

#include "client/pygmy/text.h"

/*
 * Appends the file's bytes to out, whose maximum is the limit. *mode (may be NULL) gets its permission bits.
 * Does not block on a FIFO: only regular files and character devices are read. Errors: an errno value; EFBIG when it does not fit, EINVAL for
 * what is no such file. 0 when done.
 */
int small_file_read(const char *path, struct text *out, mode_t *mode);

#endif
