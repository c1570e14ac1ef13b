/* applier_internal: what applier.c and applier_file.c share. */
#ifndef PYGMY_DB_APPLIER_INTERNAL_H
#define PYGMY_DB_APPLIER_INTERNAL_H

#include "db/applier.h"

/* X(NAME, sql) */
#define APPLIER_STATEMENTS(X) \
	X(BEGIN, "BEGIN IMMEDIATE") \
	X(COMMIT, "COMMIT") \
	X(READ_LOG, "SELECT cluster_id, create_revision, base_index, mod_revision, log_id FROM log, store") \
	X(WRITE_LOG, "UPDATE log SET cluster_id = ?1, create_revision = ?2, base_index = ?3, mod_revision = ?4") \
	X(WRITE_LOG_ID, "UPDATE store SET log_id = ?1")

enum applier_statement {
#define X(name, sql) APPLIER_##name,
	APPLIER_STATEMENTS(X)
#undef X
	APPLIER_STATEMENT_COUNT
};

struct applier {
	struct database database;     /* its statements are apply's */
	sqlite3_stmt *statements[APPLIER_STATEMENT_COUNT];
	struct apply *apply;
	struct apply_position position;
	struct applier_log log;
	struct writer_turn *turn;
	bool has_turn;
	struct arena entry_arena;
	struct arena results_arena;
};

#define TURN_WAIT_MS 500
void applier_take_turn(struct applier *applier);
void applier_end_turn(struct applier *applier);

/* Reads position and log from the file; on an error neither of them changes. */
enum pygmy_error applier_read_state(struct applier *applier);

/* Whoever removed or replaced the file took the replica away: what is written now would be seen by nobody who opens it. */
enum pygmy_error applier_check_file(struct applier *applier);

#endif
