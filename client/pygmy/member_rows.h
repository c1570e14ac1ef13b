/*
 * member_rows: the members of a cluster and its log, as tables, out of the answer to GET /members.
 */
#ifndef PYGMY_CLIENT_MEMBER_ROWS_H
#define PYGMY_CLIENT_MEMBER_ROWS_H

#include "client/pygmy/client.h"

/* Whether the answer is that of a cluster; a store on one machine answers itself. */
bool member_rows_is_cluster(const json_t *envelope);

/* A line per member, and one about the log and etcd. What is missing in the answer is shown as "-". */
void member_rows_show(const struct client *client, const json_t *envelope);

#endif
