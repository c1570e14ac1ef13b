/*
 * frontends: whom a write waits for, and until when: the frontends that the log registers, as this node knows them.
 *
 * One that counts must confirm what a write changed, or else its lease must have lapsed. One that is fenced gets no lease from any replica
 * that has applied the fence; so whatever lease it has is older than the fence, and has lapsed T after anybody saw the fence applied.
 * That time is the node's (node_state.h), not the process's: a worker that starts need not wait for fences of long ago.
 */
#ifndef PYGMY_DB_FRONTENDS_H
#define PYGMY_DB_FRONTENDS_H

#include "db/node_state.h"
#include "db/replica.h"

struct frontends;

struct frontend_list {
	struct registered_frontend items[FRONTENDS_MAX];
	size_t count;
	uint64_t position;            /* index as of which it is true */
	int64_t fence_seen_ms;        /* of the newest fence in it: since then this node knows of it; monotonic, 0: nobody is fenced */
};

/* db_path is copied; state must outlive it. Errors: OUT_OF_MEMORY. */
enum pygmy_error frontends_create(const char *db_path, struct node_state *state, struct frontends **out);
void frontends_destroy(struct frontends *frontends);      /* NULL is allowed */

/* The list as of now. False: the database can't be read now; *out is not to be used then. Up to FRONTENDS_LOOKS_MAX threads at once. */
#define FRONTENDS_LOOKS_MAX 4
bool frontends_look(struct frontends *frontends, struct frontend_list *out);

/* The same of a reader's position. Errors: STORAGE_*. */
enum pygmy_error frontends_read(struct reader *reader, struct node_state *state, struct frontend_list *out);

#endif
