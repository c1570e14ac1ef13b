/*
 * apply_rows: the digest of the rows that an entry changed, which goes into the chain hash.
 *
 * SQLite calls the preupdate hook (the base of its session extension) with each row before it changes it: the digest covers the
 * operation, the table and every column's value, before and after. So a row that differs on one replica, in whatever column, is found
 * by the next write to it. The values are hashed in the order of the changes, so every statement of apply that changes rows
 * changes one row, or says in which order.
 *
 * Not covered: `log` and `log_id`, which are no replicated state; `changes`, which is derived (from the results' slots) and holds the chain
 * hash; and `store`, whose columns are hashed by themselves (rows_put_position): its update comes after the hash.
 */
#define SQLITE_ENABLE_PREUPDATE_HOOK
#include "db/apply_internal.h"

#include "db/codec.h"

static const char *const covered_tables[] = { "items", "orders", "results", "slots", "members" };

enum cell_tag { CELL_NULL = 0, CELL_INTEGER, CELL_FLOAT, CELL_TEXT, CELL_BLOB };

static void flush(struct row_digest *digest)
{
	if (digest->used > 0)
		crypto_generichash_update(&digest->state, (const unsigned char *)digest->buf, digest->used);
	digest->used = 0;
}

static void put_bytes(struct row_digest *digest, const void *bytes, size_t len)
{
	if (len > sizeof digest->buf - digest->used)
		flush(digest);
	if (len > sizeof digest->buf) {
		crypto_generichash_update(&digest->state, bytes, len);
	} else if (len > 0) {
		memcpy(digest->buf + digest->used, bytes, len);
		digest->used += len;
	}
}

static void put_uint(struct row_digest *digest, uint64_t value)
{
	char buf[VARINT_MAX_BYTES];
	struct codec_writer writer = codec_writer(buf, sizeof buf);
	codec_put_uint(&writer, value);
	put_bytes(digest, buf, writer.len);
}

static void put_cell(struct row_digest *digest, int type, int64_t integer, double real, struct slice bytes)
{
	static const enum cell_tag tags[] = { [SQLITE_INTEGER] = CELL_INTEGER, [SQLITE_FLOAT] = CELL_FLOAT, [SQLITE_TEXT] = CELL_TEXT,
					      [SQLITE_BLOB] = CELL_BLOB, [SQLITE_NULL] = CELL_NULL };
	put_uint(digest, tags[type]);
	if (type == SQLITE_INTEGER) {
		put_uint(digest, (uint64_t)integer);
	} else if (type == SQLITE_FLOAT) {
		put_bytes(digest, &real, sizeof real);
	} else if (type != SQLITE_NULL) {
		put_uint(digest, bytes.len);
		put_bytes(digest, bytes.ptr, bytes.len);
	}
}

/* A text's bytes are read as a blob's: no conversion, no copy. */
static void put_value(struct row_digest *digest, sqlite3_value *value)
{
	int type = sqlite3_value_type(value);
	struct slice bytes = SLICE_EMPTY;
	if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
		bytes.ptr = sqlite3_value_blob(value);
		bytes.len = bytes.ptr == NULL ? 0 : (size_t)sqlite3_value_bytes(value);
	}
	put_cell(digest, type, type == SQLITE_INTEGER ? sqlite3_value_int64(value) : 0,
		 type == SQLITE_FLOAT ? sqlite3_value_double(value) : 0, bytes);
}

typedef int (*read_column)(sqlite3 *, int, sqlite3_value **);

static void put_columns(struct row_digest *digest, sqlite3 *handle, read_column read)
{
	int count = sqlite3_preupdate_count(handle);
	put_uint(digest, (uint64_t)count);
	for (int i = 0; i < count && digest->rc == SQLITE_OK; i++) {
		sqlite3_value *value = NULL;
		int rc = read(handle, i, &value);
		if (rc == SQLITE_OK && value != NULL)
			put_value(digest, value);
		else
			digest->rc = rc == SQLITE_OK ? SQLITE_NOMEM : rc;
	}
}

static void on_row_change(void *context, sqlite3 *handle, int operation, const char *schema, const char *table, sqlite3_int64 old_key,
			  sqlite3_int64 new_key)
{
	struct row_digest *digest = context;
	size_t which = 0;
	(void)schema;
	(void)old_key;
	(void)new_key;
	while (which < sizeof covered_tables / sizeof covered_tables[0] && strcmp(table, covered_tables[which]) != 0)
		which++;
	if (!digest->open || which == sizeof covered_tables / sizeof covered_tables[0])
		return;
	put_uint(digest, (uint64_t)operation);
	put_uint(digest, which);
	if (operation != SQLITE_INSERT)
		put_columns(digest, handle, sqlite3_preupdate_old);
	if (operation != SQLITE_DELETE)
		put_columns(digest, handle, sqlite3_preupdate_new);
}

void rows_attach(struct apply *apply)
{
	sqlite3_preupdate_hook(apply->database->handle, on_row_change, &apply->rows);
}

void rows_detach(struct apply *apply)
{
	sqlite3_preupdate_hook(apply->database->handle, NULL, NULL);
}

void rows_begin(struct row_digest *digest)
{
	crypto_generichash_init(&digest->state, NULL, 0, CHAIN_BYTES);
	digest->used = 0;
	digest->rc = SQLITE_OK;
	digest->open = true;
}

int rows_end(struct row_digest *digest, uint8_t out[CHAIN_BYTES])
{
	flush(digest);
	crypto_generichash_final(&digest->state, out, CHAIN_BYTES);
	digest->open = false;
	return digest->rc;
}

void rows_put_position(struct row_digest *digest, const struct apply_position *position)
{
	const uint64_t columns[] = { position->index, position->catalogue_loaded ? 1 : 0, position->damaged_entries, position->floor,
				     (uint64_t)position->audit_item, (uint64_t)position->audit_order, position->log_bytes };
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
		put_uint(digest, columns[i]);
}

void rows_put_row(struct row_digest *digest, sqlite3_stmt *statement)
{
	int count = sqlite3_column_count(statement);
	put_uint(digest, (uint64_t)count);
	for (int i = 0; i < count; i++) {
		int type = sqlite3_column_type(statement, i);
		put_cell(digest, type, type == SQLITE_INTEGER ? sqlite3_column_int64(statement, i) : 0,
			 type == SQLITE_FLOAT ? sqlite3_column_double(statement, i) : 0,
			 type == SQLITE_TEXT || type == SQLITE_BLOB ? column_blob(statement, i) : SLICE_EMPTY);
	}
}
