/*
 * read: answers out of the replica: how fresh they must be, and what the frontends need to know of them.
 */
#ifndef PYGMY_FCGI_READ_H
#define PYGMY_FCGI_READ_H

#include "db/replica.h"
#include "fcgi/common/exchange.h"

/*
 * Begins a read at the position that the request asks for (client and nginx), waiting MIN_REVISION_WAIT_MS at most. NULL: the
 * answer has been made an error. End it with reader_end.
 */
struct reader *read_begin(struct exchange *exchange);

/*
 * Names the slot that the answer depends on: X-Pygmy-Changed, and whether nginx may keep the answer, which it may when it computed
 * the same slot. False: the answer has been made an error.
 */
bool read_depends_on(struct exchange *exchange, struct reader *reader, uint32_t slot);

/* Gives a complete 200 answer its tag, or makes it a 304 when the client has that one, a 412 when If-Match does not fit. */
void read_tag_item(struct exchange *exchange, const struct item *item);
void read_tag_body(struct exchange *exchange);

#endif
