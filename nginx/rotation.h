/*
 * rotation: which nodes a frontend may ask, and which of them answer; shared by all its nginx workers.
 *
 * The list. It begins with the seeds (the addresses of the configuration). From the first answer on it is the list of the log's members, which
 * any node that is complete tells (db/node_list.h): so nodes come and go without a reload. Revisions only rise within one log; another log is
 * believed, since the answer to a strict question comes from the log that etcd has now. Other seeds than before make the list anew; and where no node
 * of the list answers for a while, the seeds are asked as well. A node keeps its
 * place, and what is known of it, as long as its two addresses stay the same.
 *
 * The states. Of each node two workers are asked, catalog and order, each for itself:
 *   in        asked. A node that nobody has tried yet is in: a frontend that has just started refuses nobody.
 *   unready   it answers, but not as one that is ready: not complete, lagging, diverged, draining; or it refused a request.
 *   silent    no connection, no answer in time.
 * A verdict counts from when its question was asked, and a later one wins: so a probe that was sent before a request failed does not bring the node
 * back, the next one does. A failure counts from when it was seen. Only probes bring a node back.
 *
 * The choice. Reads go round those that are in (turns); purchases go to the first of the list that is in (first): those of one node share a batch.
 * The list is in the order of names, so that all frontends choose the same. A try behind the first goes to a node that this request has not
 * asked. When none is in, those that are unready are asked, then the silent ones: a wrong verdict costs time, never a refusal.
 *
 * Memory. One anonymous shared mapping, made by the master and inherited, so it lives as long as that. The states are words that are
 * changed by compare-and-swap; a word carries the number of the node that it speaks of, so what comes late about a node that has left has no effect. The
 * list is copied by each worker when its generation has changed. Who changes it holds a robust lock, which is never waited for while requests are served; a
 * process that dies with it leaves an odd generation, which nobody copies and the next one mends. So nobody ever waits for a process that was
 * stopped or killed.
 *
 * All functions but create and destroy: any process that has the mapping; none blocks but rotation_set_seeds (the master's, for a second at most).
 * Times are milliseconds of coherence_clock_ms() given by the caller.
 */
#ifndef PYGMY_NGINX_ROTATION_H
#define PYGMY_NGINX_ROTATION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "db/node_list.h"

#define ROTATION_NODES_MAX MEMBERS_MAX
#define ROTATION_PLACE_MAX_BYTES NODE_URL_MAX_BYTES

enum rotation_kind { ROTATION_CATALOG, ROTATION_ORDER, ROTATION_KINDS };
enum rotation_state { ROTATION_IN, ROTATION_UNREADY, ROTATION_SILENT, ROTATION_STATES };

union rotation_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct rotation_worker {
	char place[ROTATION_PLACE_MAX_BYTES + 1];     /* host:port; "": it has none */
	uint32_t address_len;                         /* 0: the host is a name that is not resolved yet */
	union rotation_address address;
};

struct rotation_node {
	char name[NODE_NAME_MAX_BYTES + 1];           /* "" for a seed */
	uint32_t slot;                                /* where its states stand */
	uint32_t id;                                  /* never 0; that of no other node that had this slot lately */
	struct rotation_worker workers[ROTATION_KINDS];
};

/* The list, as one worker of nginx keeps a copy of it. All zeros: none yet. */
struct rotation_list {
	uint64_t generation;
	uint64_t revision;            /* of the log; 0: these are the seeds */
	char log_id[LOG_ID_HEX_LEN + 1];
	uint32_t count;
	struct rotation_node nodes[ROTATION_NODES_MAX];
};

/* For who describes the structure in another language. */
extern const size_t rotation_list_bytes;

struct rotation;

/* An empty one in memory that child processes share; NULL when there is none. */
struct rotation *rotation_create(void);
void rotation_destroy(struct rotation *rotation);

/* ---- the list ------------------------------------------------------------------------------- */

struct rotation_seed {
	struct rotation_worker workers[ROTATION_KINDS];
};

/*
 * The configuration's nodes, at start and at each reload. The same as before change nothing; others replace the list. False: there are
 * none, too many, or the list is being changed for a second already.
 */
bool rotation_set_seeds(struct rotation *rotation, const struct rotation_seed *seeds, uint32_t count);
/* None of the nodes answers any more: the seeds are asked, too, until one of them tells the list. True: they were not in it. */
bool rotation_add_seeds(struct rotation *rotation);
/* A number that other seeds do not have: a list that was kept belongs to them. */
uint64_t rotation_seeds_hash(const struct rotation *rotation);

enum rotation_outcome {
	ROTATION_SAME = 0,
	ROTATION_CHANGED,             /* nodes have come or gone */
	ROTATION_OLD,                 /* the list that is known is a newer one */
	ROTATION_REFUSED,             /* not a list */
	ROTATION_BUSY                 /* another worker changes it just now */
};

/* Takes in what a node told. */
enum rotation_outcome rotation_take(struct rotation *rotation, struct slice text);

/* Brings copy up to date; true when it was not. When the list is being changed, or its change was broken off, copy stays as it is. */
bool rotation_look(const struct rotation *rotation, struct rotation_list *copy);

/* Writes the list of the log's members as node_list.h says; 0 while only the seeds are known. */
size_t rotation_write(const struct rotation_list *list, char *buf, size_t buf_size);

/* Reads "host:port" with a host that is an address. False: it is a name. */
bool rotation_read_place(const char *place, union rotation_address *address, uint32_t *address_len);

/* A name was resolved (again): it has this address from now on. Errors: false, nothing was changed (it has left, or the list is being changed). */
bool rotation_resolved(struct rotation *rotation, uint32_t slot, uint32_t id, enum rotation_kind kind, const union rotation_address *address,
	uint32_t address_len);

/* ---- states --------------------------------------------------------------------------------- */

enum rotation_state rotation_state(const struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind);

/* A verdict whose question was asked at asked_at_ms. True: the worker has come into the rotation or left it. */
bool rotation_judge(struct rotation *rotation, uint32_t slot, uint32_t id, enum rotation_kind kind, enum rotation_state state, int64_t asked_at_ms);

/* Whether the worker has left the rotation less than ROTATION_DOUBT_MS ago: the verdict may be wrong, or over soon. */
#define ROTATION_DOUBT_MS 2000
bool rotation_is_doubtful(const struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind, int64_t now_ms);

/* How often the worker has left the rotation. */
uint64_t rotation_leaves(const struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind);

/* ---- the choice ----------------------------------------------------------------------------- */

enum rotation_policy { ROTATION_TURNS, ROTATION_FIRST };

/*
 * The index in the list of the node to ask, of those whose bit (1 << slot) is not in tried; -1: there is none. turn: a number that rises from
 * request to request.
 */
int rotation_choose(const struct rotation *rotation, const struct rotation_list *list, enum rotation_kind kind, enum rotation_policy policy,
	uint32_t tried, uint32_t turn);

/* How many are in. */
uint32_t rotation_count_in(const struct rotation *rotation, const struct rotation_list *list, enum rotation_kind kind);

/* ---- what is to be done --------------------------------------------------------------------- */

/* Whether the caller is the one to probe a worker now, or to ask for the list: true for one caller in interval_ms. */
bool rotation_claim_probe(struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind, int64_t now_ms, int64_t interval_ms);
/* The same for looking up the address of a worker whose host is a name: every ROTATION_NAME_MS, or _NO_NAME_MS while it has none. */
#define ROTATION_NAME_MS 10000
#define ROTATION_NO_NAME_MS 1000
bool rotation_claim_name(struct rotation *rotation, const struct rotation_node *node, enum rotation_kind kind, int64_t now_ms);
bool rotation_claim_list(struct rotation *rotation, int64_t now_ms, int64_t interval_ms);

#endif
