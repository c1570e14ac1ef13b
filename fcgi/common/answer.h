/*
 * answer: the head of what goes back to nginx. The body stands in the exchange's writer.
 */
#ifndef PYGMY_FCGI_ANSWER_H
#define PYGMY_FCGI_ANSWER_H

#include <stdint.h>

#include "db/error.h"
#include "db/item.h"
#include "fcgi/common/writer.h"

struct answer {
	enum pygmy_error error;       /* PYGMY_OK for a success */
	int status;                   /* HTTP */
	int told_status;              /* by which nginx is told of it; 0: by the same */
	const char *content_type;
	uint64_t revision;            /* X-Pygmy-Revision: the position that was read */
	uint64_t changed;             /* X-Pygmy-Changed: the last change of the resource's slot */
	int64_t stale_ms;             /* X-Pygmy-Stale-Ms: how old it may be; 0: it is fresh */
	bool has_revision;
	bool has_changed;
	bool cacheable;               /* nginx may keep it under the slot's revision */
	bool challenge;               /* WWW-Authenticate */
	int retry_after_s;            /* 0: none */
	char etag[ETAG_HEX_LEN + 1];  /* "": none */
	struct slice location;
	struct slice allow;
	struct slice request_key;     /* the client's or nginx's, as it came */
	struct slice file;            /* nginx sends it instead of the body: its name below /.snapshot/ */
	struct slice chain;           /* X-Pygmy-Chain: of a snapshot, in hex digits */
};

/* The reason phrase; "Unknown" for a status that the store does not use. */
const char *http_reason(int status);

/*
 * Writes the FastCGI (CGI) response head with the empty line behind it. body_len: of the body that a GET would get.
 * 304 has neither type nor length.
 */
void answer_write_head(const struct answer *answer, size_t body_len, struct writer *out);

#endif
