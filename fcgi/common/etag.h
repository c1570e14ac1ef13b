/*
 * etag: the conditional headers (RFC 9110, section 13), for strong tags of the store's own form.
 */
#ifndef PYGMY_FCGI_ETAG_H
#define PYGMY_FCGI_ETAG_H

#include "db/item.h"
#include "fcgi/common/refusal.h"

/*
 * Whether If-None-Match names the tag (32 hex digits without quotes) or is `*`: then the answer is 304. Compares weakly.
 * A header that is not well-formed names nothing.
 */
bool if_none_match_names(struct slice header, const char tag[ETAG_HEX_LEN + 1]);

/*
 * Whether If-Match lets a read with this tag be answered: it is not there, is `*`, or names the tag. Compares strongly. A header that
 * is not well-formed names nothing.
 */
bool if_match_allows(struct slice header, const char tag[ETAG_HEX_LEN + 1]);

/*
 * If-Match as commands carry it: the tag without quotes, `*`, or empty without the header. A weak tag, or one that is not of
 * the store's form, can't match: PRECONDITION_FAILED. Errors also: INVALID_HEADER (malformed, or more than one tag).
 */
bool if_match_parse(struct slice header, struct slice *tag, struct refusal *refusal);

#endif
