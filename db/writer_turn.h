/*
 * writer_turn: whose turn it is to write, among the worker processes that share a database file.
 *
 * SQLite's own write lock is what keeps the file right; a loser of it polls with growing pauses, which costs latency and is
 * unfair. This is a turnstile in front of it: a robust, process-shared mutex in a small file beside the
 * database, whose waiters the kernel wakes. A holder that is killed gives it back (EOWNERDEAD). It is an
 * optimisation only: when it can't be had in time, the writer goes on to SQLite's lock all the same.
 *
 * The file's name holds the machine's boot id: a lock that was taken when the power went is never met again.
 */
#ifndef PYGMY_DB_WRITER_TURN_H
#define PYGMY_DB_WRITER_TURN_H

#include <stdbool.h>

struct writer_turn;

/* Never fails: without memory or a writable folder every turn is free. *out may be NULL then. */
void writer_turn_open(const char *db_path, struct writer_turn **out);
void writer_turn_close(struct writer_turn *turn);

/* Waits at most timeout_ms. Returns whether it was taken: only then call writer_turn_end, on the same thread. */
bool writer_turn_begin(struct writer_turn *turn, int timeout_ms);
void writer_turn_end(struct writer_turn *turn);

#endif
