/*
 * member: what a member of the cluster publishes about itself in etcd, twice a second and with a lease (its heartbeat).
 *
 * The value is JSON with exactly these members. It comes from outside: the parser checks every limit, and refuses the rest whole.
 */
#ifndef PYGMY_DB_MEMBER_H
#define PYGMY_DB_MEMBER_H

#include "db/cluster.h"
#include "db/node_state.h"
#include "db/schema.h"
#include "db/slice.h"

/* Another member's state was compared with the own at this index, and was the same. */
struct member_agreement {
	char name[NODE_NAME_MAX_BYTES + 1];
	uint64_t index;
};

struct member {
	char name[NODE_NAME_MAX_BYTES + 1];
	enum node_phase phase;
	uint64_t applied;             /* index */
	uint8_t chain[CHAIN_BYTES];   /* at applied */
	uint64_t durable;             /* index that the last completed checkpoint covers */
	int64_t since_ms;             /* up since, epoch, UTC */
	uint64_t era;                 /* counts how often, since then, its state was replaced: what it published before may not be so any more */
	char version[24];             /* of the program: [A-Za-z0-9.+~-] */
	char catalog_url[NODE_URL_MAX_BYTES + 1];     /* where peers get snapshots, "" for none */
	struct member_agreement agreements[MEMBERS_MAX];
	size_t agreement_count;
};

#define MEMBER_TEXT_MAX_BYTES 2048

/* Writes the JSON text. Returns its length; buf of MEMBER_TEXT_MAX_BYTES always suffices. 0: buf is too small, or a field is not valid. */
size_t member_write(const struct member *member, char *buf, size_t buf_size);
/* False: text is not a member's, or breaks a limit; *out is not to be used then. */
bool member_parse(struct slice text, struct member *out);

/* 1 to NODE_NAME_MAX_BYTES of [A-Za-z0-9-]. */
bool node_name_is_valid(struct slice name);
/* http:// or https://, a host and a port, nothing behind it. */
bool node_url_is_valid(struct slice url);

#endif
