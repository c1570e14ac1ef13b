/*
 * entry: one value of the log: an envelope around the commands of one batch.
 *
 *     offset  0   4 bytes   magic "PGMY"
 *             4   1 byte    format, 1
 *             5   3 bytes   0
 *             8   4 bytes   length of the body, little endian
 *            12  16 bytes   BLAKE2b-128 of the body
 *            28   ...       body: the commands, one behind the other (command.h)
 *
 * A damaged envelope (wrong magic, length or checksum) is the same no-op on every replica. A sound one with a format or
 * command that this version does not know stops the replica: it must be upgraded.
 */
#ifndef PYGMY_DB_ENTRY_H
#define PYGMY_DB_ENTRY_H

#include "db/slice.h"

#define ENTRY_HEAD_BYTES 28

enum entry_error { ENTRY_OK = 0, ENTRY_DAMAGED, ENTRY_UNKNOWN_FORMAT };

/* Writes the head for body into the ENTRY_HEAD_BYTES bytes at out. */
void entry_seal(struct slice body, char *out);

/* Checks the envelope; *body points into entry. No allocation. */
enum entry_error entry_open(struct slice entry, struct slice *body);

#endif
