/*
 * roll: who is in the cluster and who comes and goes, as events for heartbeat.log. Knows neither clock nor network.
 *
 * It is given, again and again, the heartbeats that etcd holds and the configured members, and tells what changed. That a heartbeat is
 * missing counts only while etcd is known to answer with its quorum, and after ROLL_MISSED lists in a row, so a lost etcd says
 * nothing about anybody.
 */
#ifndef PYGMY_DB_ROLL_H
#define PYGMY_DB_ROLL_H

#include "db/member.h"
#include "db/replica.h"

#define ROLL_MAX (2 * MEMBERS_MAX)
#define ROLL_MISSED 2

/* X(NAME, "words in the log") */
#define ROLL_EVENTS(X) \
	X(PRESENT, "present")         /* was up when this node came */ \
	X(JOINED, "joined") \
	X(LEFT, "left") \
	X(CAME_BACK, "came back") \
	X(RESTARTED, "restarted") \
	X(READY, "ready") \
	X(CATCHING_UP, "catching up") \
	X(LOADING, "loading a snapshot") \
	X(IN_DOUBT, "in doubt") \
	X(DIVERGED, "diverged") \
	X(UNFIT, "not ready") \
	X(ADDED, "added") \
	X(REMOVED, "removed")

enum roll_event {
#define X(name, text) ROLL_##name,
	ROLL_EVENTS(X)
#undef X
};

struct roll_entry {
	char name[NODE_NAME_MAX_BYTES + 1];
	bool live, configured, was_live;
	int missed;                   /* lists in a row */
	enum node_phase phase;
	int64_t since_ms;
	bool listed;                  /* in the round that runs */
};

struct roll {
	struct roll_entry entries[ROLL_MAX];
	int count;
	bool has_list;                /* had a first list of heartbeats */
	bool has_configured;
};

/* member: the heartbeat, NULL when there is none. */
typedef void (*roll_visit)(void *context, enum roll_event event, const char *name, const struct member *member);

void roll_init(struct roll *roll);

/* A list of heartbeats came. is_sure: etcd answers with its quorum. */
void roll_take_live(struct roll *roll, const struct member *members, size_t count, bool is_sure, roll_visit visit, void *context);
/* The configured members, as this replica knows them. */
void roll_take_configured(struct roll *roll, const struct configured_member *members, size_t count, roll_visit visit, void *context);

/* Static text. */
const char *roll_event_text(enum roll_event event);

#endif
