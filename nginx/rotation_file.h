/*
 * rotation_file: the list of nodes, kept over a restart of a frontend.
 *
 *     pygmy-rotation 1 <hash of the seeds> <hash of what follows>\n
 *     the text of db/node_list.h
 *
 * Hashes are 16 lowercase hex digits. A file that belongs to other seeds, is longer than such a file can be, or is damaged, is as if there were none.
 * (So it need not be synced to the disk: the seeds, and then the nodes themselves, tell the list, too.)
 */
#ifndef PYGMY_NGINX_ROTATION_FILE_H
#define PYGMY_NGINX_ROTATION_FILE_H

#include "nginx/rotation.h"

/* Writes path.<pid>.new and renames it. False: it can't be written, or the list is not the log's. Blocks for the disk. */
bool rotation_file_save(const struct rotation *rotation, const struct rotation_list *list, const char *path);

/* Takes the list in. False: there is none that is sound, or a newer one is known. */
bool rotation_file_load(struct rotation *rotation, const char *path);

#endif
