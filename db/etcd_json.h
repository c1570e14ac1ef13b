/*
 * etcd_json: what etcd's gateway answers, as jansson values that were looked at before they were believed.
 *
 * The gateway leaves out fields that are zero or empty, writes 64-bit numbers as decimal text and byte strings as base64.
 * Every getter takes an absent field for its zero, and refuses one of another type or with nonsense in it.
 */
#ifndef PYGMY_DB_ETCD_JSON_H
#define PYGMY_DB_ETCD_JSON_H

#include <jansson.h>

#include "db/buffer.h"
#include "db/etcd.h"

#define ETCD_JSON_DEPTH_MAX 12
#define ETCD_JSON_TOKENS_MAX 100000   /* brackets, braces and commas: bounds the memory that a text of few bytes can take */

/* The text's object, for json_decref; NULL when it is not one JSON object within the bounds above, or without memory. */
json_t *etcd_json_parse(struct slice text);

/* A field that is an object or a list; *out is NULL (which the getters take for an empty one) when it is absent. False: another type. */
bool etcd_json_object(const json_t *parent, const char *name, const json_t **out);
bool etcd_json_list(const json_t *parent, const char *name, const json_t **out);

/* A whole number, as decimal text or as a JSON number. */
bool etcd_json_number(const json_t *parent, const char *name, uint64_t *out);
bool etcd_json_bool(const json_t *parent, const char *name, bool *out);

/* A text as it stands; valid as long as parent. */
bool etcd_json_text(const json_t *parent, const char *name, struct slice *out);
/* Appends the bytes that a base64 text stands for. False: it is none, or they do not fit. */
bool etcd_json_bytes(const json_t *parent, const char *name, struct buffer *out);
/* How many bytes that text stands for at most. */
size_t etcd_json_bytes_max(const json_t *parent, const char *name);

/* header of an answer: ids and revision. */
bool etcd_json_header(const json_t *answer, struct etcd_position *out);
/* The position in a key's description (kv): create_revision, mod_revision, version; out's other fields stay. */
bool etcd_json_position(const json_t *kv, struct etcd_position *out);

#endif
