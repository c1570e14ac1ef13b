/*
 * cache_key: under which key nginx's cache keeps the answer to a request.
 *
 *     <slot>@<revision>#<nonce>.<era>/<resource and normalised arguments>
 *
 * slot, revision and era (decimal) are what coherence_table says of the resource at that moment; the nonce is the table's. So an
 * answer is found again only while its slot has not changed, by nginxes that share that table, within one era of its log.
 * The resource is `item:<id>`, or `topic:<topic>?after=<id>&limit=<n>` with the bytes of the topic that are not
 * letters, digits or one of `-._~` written as %XX; arguments that were left out stand there with their defaults.
 *
 * No key means: go past the cache. So do requests that are not canonical. For /lookup that is anything but `id=<id>`; for
 * /search whatever the workers would refuse: see db/limits.h and db/query_string.h for what they take. A request that
 * bypasses the cache never becomes wrong by that, only slower.
 *
 * A tag is a key that is not one: `<slot>@0#<nonce>.<era>/`. It goes along with a request past the cache, so that its answer
 * can raise the slot it belongs to.
 *
 * No allocation, no blocking, any thread or process that has the table. nginx calls this by FFI on every request.
 */
#ifndef PYGMY_NGINX_CACHE_KEY_H
#define PYGMY_NGINX_CACHE_KEY_H

#include <stdint.h>

#include "db/slice.h"
#include "nginx/coherence_table.h"

#define CACHE_KEY_MAX_BYTES 512

enum cache_route { CACHE_ROUTE_LOOKUP = 0, CACHE_ROUTE_SEARCH = 1 };

/*
 * Writes the key of a request (args: its raw query string) into key, which has room for CACHE_KEY_MAX_BYTES. Returns its length,
 * or 0 when the request is not canonical or the table has no lease at now_ms.
 */
size_t cache_key_write(const struct coherence_table *table, enum cache_route route, struct slice args, int64_t now_ms,
	int64_t lease_ms, char *key);

/* Writes the tag instead. 0 when no resource can be made out. */
size_t cache_key_write_tag(const struct coherence_table *table, enum cache_route route, struct slice args, char *key);

/*
 * Raises the slot of a key or tag to a revision, in decimal as the header X-Pygmy-Changed has it. When the key's era has passed,
 * the lease is put in doubt instead. Returns false, having changed nothing, when either is not of its form.
 */
bool cache_key_raise(struct coherence_table *table, struct slice key, struct slice changed, int64_t now_ms);

#endif
