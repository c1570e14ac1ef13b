/*
 * etcd_call: asks one endpoint after the other until one gives an answer that counts, and keeps count of what may have
 * happened. Only for the files of the client, etcd*.c.
 *
 * An attempt is lost when its endpoint says nothing, nonsense, or that it can't help now (no leader, overload, a time limit of
 * its own); then the next one is asked. Once an attempt of a write may have been carried out, nothing but success or an answer that
 * is true anyway (NOT_FOUND, COMPACTED) ends with another outcome than UNKNOWN.
 */
#ifndef PYGMY_DB_ETCD_CALL_H
#define PYGMY_DB_ETCD_CALL_H

#include "db/etcd_endpoint.h"
#include "db/etcd_json.h"

struct etcd {
	struct etcd_endpoint endpoints[ETCD_ENDPOINTS_MAX];
	int count;
	int preferred;                /* asked first */
	struct curl_slist *headers, *headers_leader;
	struct buffer body;           /* of the request; every call builds its own */
	char error[ETCD_ERROR_MAX_BYTES];
};

/*
 * Reads an answer with status 200. ETCD_OK, an outcome that ends the call, or ETCD_UNKNOWN: the answer makes no sense, which is a
 * lost attempt. It may be called more than once in a call, and sets what it gives only together with ETCD_OK.
 */
typedef enum etcd_outcome (*etcd_read)(void *context, const json_t *answer);

struct etcd_request {
	const char *path;
	bool is_write;
	bool without_leader;          /* one member can answer it by itself */
	int endpoint;                 /* -1: any; else this one alone, once, until the deadline */
	etcd_read read;
	void *context;
	bool *was_uncertain;          /* may be NULL; else set: an attempt that failed may have been carried out */
};

/* Sends what stands in etcd->body. */
enum etcd_outcome etcd_call(struct etcd *etcd, const struct etcd_request *request, int64_t deadline_ms);

/* Remembers why the call fails, and gives outcome back. */
enum etcd_outcome etcd_fail(struct etcd *etcd, enum etcd_outcome outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Append to the body: a key as a JSON string, a number as JSON's decimal text. */
void etcd_body_start(struct etcd *etcd, const char *text);
void etcd_body_text(struct etcd *etcd, const char *text);
void etcd_body_bytes(struct etcd *etcd, struct slice bytes);
void etcd_body_number(struct etcd *etcd, uint64_t number);

#endif
