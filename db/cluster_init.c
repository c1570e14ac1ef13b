/*
 * cluster_init: see cluster_init.h.
 *
 * Entries are compared by what they ask for: types, request keys and payloads of their commands, not the times of two runs. The
 * request keys hold a random name, which the first run chose and the genesis keeps, so that they are new also to a database that
 * went through another init before.
 */
#include "db/cluster_init.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#include "db/catalogue_file.h"
#include "db/cluster.h"
#include "db/command.h"
#include "db/database.h"
#include "db/entry.h"
#include "db/limits.h"
#include "db/monotonic.h"
#include "db/snapshot.h"

#define ARENA_BYTES ((size_t)256 * 1024 * 1024)
#define ENTRIES_MAX 4096              /* a catalogue file has less than a hundred parts */
#define FOREIGN_MAX 10000             /* entries of others that are read back */
#define RUN_NAME_LEN 16
#define KEY_PREFIX "init/0/"
#define DIGEST_BYTES 32

struct part {
	struct slice bytes;           /* the sealed entry */
	uint8_t digest[DIGEST_BYTES];
};

struct run {
	struct etcd *etcd;
	const struct cluster_init *init;
	struct cluster_init_result *out;
	struct arena arena;
	struct part *parts;
	size_t part_count;
	char name[RUN_NAME_LEN + 1];
	struct snapshot_info base;    /* of the database that is continued; zeros: none */
	struct etcd_position log;
};

__attribute__((format(printf, 3, 4))) static enum cluster_init_outcome say(struct run *run, enum cluster_init_outcome outcome, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(run->out->why, sizeof run->out->why, format, args);
	va_end(args);
	return outcome;
}

static int64_t soon(const struct run *run)
{
	return monotonic_ms() + (run->init->call_ms > 0 ? run->init->call_ms : CLUSTER_INIT_CALL_MS);
}

/* ---- comparing entries ----------------------------------------------------------------------------------- */

/* What an entry is to this init. */
enum kind {
	KIND_OURS,                    /* of some init: genesis, members, first catalogue */
	KIND_FOREIGN,                 /* of a store at work */
	KIND_DAMAGED
};

static bool is_of_init(const struct command *command)
{
	return command->type == COMMAND_GENESIS || slice_starts_with(command->request_key, SLICE_LITERAL(KEY_PREFIX)) ||
	       (command->type == COMMAND_IMPORT && command->import.first_catalogue);
}

static void add_to_digest(crypto_generichash_state *state, const struct command *command)
{
	const unsigned char type = (unsigned char)command->type;
	uint64_t key_len = command->request_key.len;
	crypto_generichash_update(state, &type, 1);
	crypto_generichash_update(state, (const unsigned char *)&key_len, sizeof key_len);
	crypto_generichash_update(state, (const unsigned char *)command->request_key.ptr, command->request_key.len);
	crypto_generichash_update(state, command->payload_hash, PAYLOAD_HASH_BYTES);
}

/* arena is for the decoder. first (may be NULL) gets the entry's first command. */
static enum kind read_entry(struct slice bytes, struct arena *arena, uint8_t digest[DIGEST_BYTES], struct command *first)
{
	crypto_generichash_state state;
	struct slice body;
	bool ours = false;
	if (entry_open(bytes, &body) != ENTRY_OK)
		return KIND_DAMAGED;
	crypto_generichash_init(&state, NULL, 0, DIGEST_BYTES);
	for (int i = 0; body.len > 0; i++) {
		struct command command;
		if (command_decode(&body, arena, &command) != COMMAND_OK)
			return KIND_DAMAGED;
		add_to_digest(&state, &command);
		ours = ours || is_of_init(&command);
		if (i == 0 && first != NULL)
			*first = command;
	}
	crypto_generichash_final(&state, digest, DIGEST_BYTES);
	return ours ? KIND_OURS : KIND_FOREIGN;
}

/* ---- making the entries ------------------------------------------------------------------------------------ */

/* Takes a sealed entry, whose bytes stay. */
static bool add_part(struct run *run, struct slice bytes)
{
	struct arena scratch;
	arena_init(&scratch, ARENA_BYTES);
	struct part *part = &run->parts[run->part_count];
	bool good = bytes.ptr != NULL && run->part_count < ENTRIES_MAX && read_entry(bytes, &scratch, part->digest, NULL) == KIND_OURS;
	part->bytes = bytes;
	run->part_count += good;
	arena_close(&scratch);
	return good;
}

static struct slice seal(struct run *run, const struct command *commands, size_t count)
{
	char *entry = arena_take(&run->arena, ENTRY_MAX_BYTES);
	size_t len = 0;
	if (entry == NULL)
		return SLICE_EMPTY;
	for (size_t i = 0; i < count; i++) {
		struct slice bytes = command_encode(&commands[i], &run->arena);
		if (bytes.ptr == NULL || ENTRY_HEAD_BYTES + len + bytes.len > ENTRY_MAX_BYTES)
			return SLICE_EMPTY;
		memcpy(entry + ENTRY_HEAD_BYTES + len, bytes.ptr, bytes.len);
		len += bytes.len;
	}
	entry_seal((struct slice){ entry + ENTRY_HEAD_BYTES, len }, entry);
	return (struct slice){ entry, ENTRY_HEAD_BYTES + len };
}

static struct command command_of(struct run *run, enum command_type type, const char *what, struct slice whom)
{
	return (struct command){ .type = type, .time_ms = wallclock_ms(), .base_index = run->base.index,
				 .request_key = arena_printf(&run->arena, KEY_PREFIX "%s-%s%.*s", run->name, what, (int)whom.len, whom.ptr) };
}

static bool add_genesis(struct run *run)
{
	struct command command = command_of(run, COMMAND_GENESIS, "genesis", SLICE_LITERAL(""));
	command.genesis = (struct genesis_command){ run->base.index, { (const char *)run->base.chain, CHAIN_BYTES } };
	return command.request_key.ptr != NULL && add_part(run, seal(run, &command, 1));
}

static bool is_named(const struct cluster_init *init, struct slice name)
{
	for (size_t i = 0; i < init->member_count; i++)
		if (slice_equal(init->members[i].name, name))
			return true;
	return false;
}

/* The new members first: there must never be none. */
static bool add_members(struct run *run, const struct slice *old, size_t old_count)
{
	struct command commands[2 * MEMBERS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < run->init->member_count; i++) {
		const struct cluster_init_member *member = &run->init->members[i];
		commands[count] = command_of(run, COMMAND_MEMBER_SET, "member-", member->name);
		commands[count++].member_set = (struct member_set_command){ member->name, member->catalog_url, member->order_url };
	}
	for (size_t i = 0; i < old_count; i++) {
		if (is_named(run->init, old[i]))
			continue;
		commands[count] = command_of(run, COMMAND_MEMBER_REMOVE, "without-", old[i]);
		commands[count++].member_remove.name = old[i];
	}
	for (size_t i = 0; i < count; i++)
		if (commands[i].request_key.ptr == NULL)
			return false;
	return add_part(run, seal(run, commands, count));
}

static enum pygmy_error take_catalogue_part(void *context, struct slice entry, struct arena *arena)
{
	struct run *run = context;
	(void)arena;
	return add_part(run, arena_copy(&run->arena, entry)) ? PYGMY_OK : PYGMY_OUT_OF_MEMORY;
}

/* ---- the database that is continued -------------------------------------------------------------------------- */

static enum pygmy_error read_members(struct run *run, struct slice old[MEMBERS_MAX], size_t *count)
{
	static const char *const sql[] = { "SELECT name FROM members ORDER BY name" };
	struct database database;
	int rc = SQLITE_ROW;
	*count = 0;
	enum pygmy_error error = database_open(&database, run->init->continue_path, DATABASE_FOREIGN);
	if (error != PYGMY_OK)
		return error;
	error = database_prepare(&database, sql, 1);
	while (error == PYGMY_OK && *count < MEMBERS_MAX && (rc = sqlite3_step(database.statements[0])) == SQLITE_ROW) {
		old[*count] = arena_copy(&run->arena, column_text(database.statements[0], 0));
		error = old[(*count)++].ptr == NULL ? PYGMY_OUT_OF_MEMORY : PYGMY_OK;
	}
	if (error == PYGMY_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
		error = database_error(&database, rc, "read members");
	database_close(&database);
	return error;
}

static enum cluster_init_outcome make_parts(struct run *run)
{
	struct slice old[MEMBERS_MAX];
	size_t old_count = 0;
	run->part_count = 0;
	if (run->init->continue_path != NULL && read_members(run, old, &old_count) != PYGMY_OK)
		return say(run, CLUSTER_INIT_BAD_INPUT, "the members in %s can't be read", run->init->continue_path);
	if (!add_genesis(run) || !add_members(run, old, old_count))
		return say(run, CLUSTER_INIT_NO_MEMORY, "there is no memory");
	if (run->init->catalogue_path != NULL) {
		enum pygmy_error error = catalogue_file_load(run->init->catalogue_path, take_catalogue_part, run);
		if (error != PYGMY_OK)
			return say(run, error == PYGMY_OUT_OF_MEMORY ? CLUSTER_INIT_NO_MEMORY : CLUSTER_INIT_BAD_INPUT,
				   "the catalogue %s can't be used: %s", run->init->catalogue_path, error_text(error));
	}
	run->out->entries = run->part_count;
	run->out->base_index = run->base.index;
	return CLUSTER_INIT_DONE;
}

/* What is wrong with the files must be known before anything is written. */
static enum cluster_init_outcome check_database(struct run *run)
{
	char why[SNAPSHOT_WHY_BYTES] = "";
	if (run->init->continue_path == NULL)
		return CLUSTER_INIT_DONE;
	enum pygmy_error error = snapshot_check(run->init->continue_path, &run->base, why);
	if (error == PYGMY_OK)
		return CLUSTER_INIT_DONE;
	return say(run, CLUSTER_INIT_BAD_INPUT, "%s can't be continued: %s", run->init->continue_path, why[0] != '\0' ? why : error_text(error));
}

/* ---- the log -------------------------------------------------------------------------------------------------- */

static enum cluster_init_outcome unreachable(struct run *run, enum etcd_outcome outcome)
{
	return say(run, CLUSTER_INIT_UNREACHABLE, "etcd: %s (%s); run the same command again to complete it", etcd_outcome_text(outcome),
		   etcd_last_error(run->etcd));
}

/* Which of the parts, up to the one that is due, has this digest; -1: none. */
static int find_part(const struct run *run, const uint8_t digest[DIGEST_BYTES], size_t due)
{
	for (size_t i = 0; i <= due && i < run->part_count; i++)
		if (memcmp(run->parts[i].digest, digest, DIGEST_BYTES) == 0)
			return (int)i;
	return -1;
}

struct past {
	uint8_t (*digests)[DIGEST_BYTES];     /* of the versions of init, newest first */
	size_t count;
};

/* Walks back to the first version. The genesis is the last that is read: *genesis is a copy of it. */
static enum cluster_init_outcome read_past(struct run *run, struct past *past, struct slice *genesis)
{
	struct etcd_value value = { .position = { .version = run->log.version + 1 } };
	uint64_t revision = run->log.mod_revision;
	struct arena arena;
	if (run->log.version > FOREIGN_MAX)
		return say(run, CLUSTER_INIT_DIFFERS, "the log in etcd has %" PRIu64 " entries: a store uses it", run->log.version);
	past->digests = arena_take(&run->arena, (size_t)run->log.version * DIGEST_BYTES);
	if (past->digests == NULL)
		return say(run, CLUSTER_INIT_NO_MEMORY, "there is no memory");
	arena_init(&arena, ARENA_BYTES);
	enum etcd_outcome outcome = ETCD_OK;
	bool makes_sense = true;
	while (outcome == ETCD_OK && makes_sense && value.position.version > 1) {
		uint64_t above = value.position.version;
		arena_reset(&arena);
		outcome = etcd_log_read(run->etcd, CLUSTER_LOG_KEY, revision, soon(run), &arena, &value);
		if (outcome != ETCD_OK)
			break;
		revision = value.position.mod_revision - 1;
		enum kind kind = read_entry(value.bytes, &arena, past->digests[past->count], NULL);
		past->count += kind == KIND_OURS;
		makes_sense = kind != KIND_DAMAGED && value.position.version == above - 1 &&
			      value.position.create_revision == run->log.create_revision;
	}
	if (outcome == ETCD_OK && makes_sense)
		*genesis = arena_copy(&run->arena, value.bytes);
	arena_close(&arena);
	if (outcome == ETCD_COMPACTED || !makes_sense)
		return say(run, CLUSTER_INIT_DIFFERS, "the log in etcd is not one that `pygmy init` has just begun: a store uses it, or another program");
	return outcome != ETCD_OK ? unreachable(run, outcome) : CLUSTER_INIT_DONE;
}

/* The name that the first run chose. */
static bool read_name(struct run *run, struct slice genesis)
{
	uint8_t digest[DIGEST_BYTES];
	struct command command;
	struct slice prefix = SLICE_LITERAL(KEY_PREFIX);
	if (genesis.ptr == NULL || read_entry(genesis, &run->arena, digest, &command) != KIND_OURS || command.type != COMMAND_GENESIS ||
	    command.request_key.len < prefix.len + RUN_NAME_LEN)
		return false;
	memcpy(run->name, command.request_key.ptr + prefix.len, RUN_NAME_LEN);
	return run->name[strspn(run->name, "0123456789abcdef")] == '\0';
}

/* There is a log, and init has not come to its end: finds out how far it came. */
static enum cluster_init_outcome resume(struct run *run, size_t *next)
{
	static const char other[] = "an init with other members, another catalogue or another database was interrupted; run that one again, or begin "
				    "with an empty etcd";
	struct past past = { 0 };
	struct slice genesis = SLICE_EMPTY;
	enum cluster_init_outcome outcome = read_past(run, &past, &genesis);
	if (outcome != CLUSTER_INIT_DONE)
		return outcome;
	if (!read_name(run, genesis))
		return say(run, CLUSTER_INIT_DIFFERS, "the log in etcd was not begun by `pygmy init`");
	outcome = make_parts(run);
	for (size_t i = past.count; outcome == CLUSTER_INIT_DONE && i-- > 0;) {
		int found = find_part(run, past.digests[i], *next);
		if (found < 0)
			return say(run, CLUSTER_INIT_DIFFERS, "%s", other);
		*next += (size_t)found == *next;
	}
	run->out->found = *next;
	return outcome;
}

static enum cluster_init_outcome begin_log(struct run *run, size_t *next)
{
	unsigned char random[RUN_NAME_LEN / 2];
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(run->name, sizeof run->name, random, sizeof random);
	enum cluster_init_outcome outcome = make_parts(run);
	if (outcome != CLUSTER_INIT_DONE)
		return outcome;
	enum etcd_outcome created = etcd_log_create(run->etcd, CLUSTER_LOG_KEY, run->parts[0].bytes, soon(run), &run->log);
	if (created == ETCD_COMPARE_FAILED)
		return say(run, CLUSTER_INIT_DIFFERS, "somebody else has begun a log in this etcd meanwhile");
	*next = 1;
	return created == ETCD_OK ? CLUSTER_INIT_DONE : unreachable(run, created);
}

static enum cluster_init_outcome append_rest(struct run *run, size_t next)
{
	for (; next < run->part_count; next++) {
		struct etcd_position position;
		if (run->init->go_on != NULL && !run->init->go_on(run->init->context))
			return say(run, CLUSTER_INIT_STOPPED, "interrupted; run the same command again to complete it");
		enum etcd_outcome outcome =
			etcd_log_append(run->etcd, CLUSTER_LOG_KEY, run->log.create_revision, run->parts[next].bytes, soon(run), &position);
		if (outcome == ETCD_COMPARE_FAILED)
			return say(run, CLUSTER_INIT_DIFFERS, "somebody has replaced the log in this etcd meanwhile");
		if (outcome != ETCD_OK)
			return unreachable(run, outcome);
	}
	char text[64];
	int len = snprintf(text, sizeof text, "{\"create_revision\":%" PRIu64 "}", run->log.create_revision);
	enum etcd_outcome outcome = etcd_put(run->etcd, CLUSTER_INITIALIZED_KEY, (struct slice){ text, (size_t)len }, 0, soon(run));
	return outcome == ETCD_OK ? CLUSTER_INIT_DONE : unreachable(run, outcome);
}

/* Whether there is a log, and whether init came to its end. */
static enum cluster_init_outcome look(struct run *run, bool *has_log)
{
	struct etcd_value value;
	enum etcd_outcome outcome = etcd_log_position(run->etcd, CLUSTER_LOG_KEY, soon(run), &run->log);
	if (outcome != ETCD_OK)
		return unreachable(run, outcome);
	*has_log = run->log.version > 0;
	outcome = etcd_log_read(run->etcd, CLUSTER_INITIALIZED_KEY, 0, soon(run), &run->arena, &value);
	if (outcome == ETCD_NOT_FOUND)
		return CLUSTER_INIT_DONE;
	if (outcome != ETCD_OK)
		return unreachable(run, outcome);
	return say(run, CLUSTER_INIT_EXISTS, *has_log ? "this etcd already holds a store's log; nothing was changed. For another store take another etcd" :
		   "this etcd held a store's log, which was deleted; nothing was changed. Begin with an empty etcd");
}

static enum cluster_init_outcome run_all(struct run *run)
{
	bool has_log = false;
	size_t next = 0;
	enum cluster_init_outcome outcome = check_database(run);
	if (outcome == CLUSTER_INIT_DONE)
		outcome = look(run, &has_log);
	if (outcome == CLUSTER_INIT_DONE)
		outcome = has_log ? resume(run, &next) : begin_log(run, &next);
	if (outcome == CLUSTER_INIT_DONE)
		outcome = append_rest(run, next);
	return outcome;
}

enum cluster_init_outcome cluster_init_run(struct etcd *etcd, const struct cluster_init *init, struct cluster_init_result *out)
{
	struct run run = { .etcd = etcd, .init = init, .out = out };
	memset(out, 0, sizeof *out);
	arena_init(&run.arena, ARENA_BYTES);
	run.parts = arena_take(&run.arena, ENTRIES_MAX * sizeof run.parts[0]);
	enum cluster_init_outcome outcome = run.parts == NULL ? say(&run, CLUSTER_INIT_NO_MEMORY, "there is no memory") : run_all(&run);
	out->cluster_id = run.log.cluster_id;
	arena_close(&run.arena);
	return outcome;
}
