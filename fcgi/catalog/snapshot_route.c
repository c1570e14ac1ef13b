/*
 * snapshot_route: a copy of the whole database, for peers that lost theirs and for backups.
 *
 * The worker makes the file (db/snapshot.h), and nginx sends it (nginx/snapshot.conf). It is a read like others: it waits until the replica
 * shows what the request asks for (X-Pygmy-Consistency, X-Pygmy-Min-Revision, X-Pygmy-Allow-Stale), and a replica whose content is not
 * to be trusted gives none.
 */
#include <sodium.h>

#include "fcgi/catalog/catalog.h"
#include "fcgi/common/read.h"

static bool make(struct exchange *exchange, char path[PATH_MAX], struct snapshot_info *info)
{
	struct snapshot_maker *maker = exchange->worker->snapshots;
	struct reader *reader = read_begin(exchange);
	if (reader == NULL)
		return false;
	reader_end(reader);
	enum pygmy_error error = maker != NULL ? snapshot_make(maker, path, info) : PYGMY_NOT_READY;
	if (error == PYGMY_STORAGE_FULL)
		exchange_fail(exchange, error, "There is no room on the disk for a copy of the database.");
	else if (error != PYGMY_OK)
		exchange_fail(exchange, error, NULL);
	return error == PYGMY_OK;
}

void snapshot_get(struct exchange *exchange)
{
	struct answer *answer = &exchange->answer;
	struct snapshot_info info;
	char path[PATH_MAX], chain[2 * CHAIN_BYTES + 1];
	if (!make(exchange, path, &info))
		return;
	sodium_bin2hex(chain, sizeof chain, info.chain, sizeof info.chain);
	answer->file = arena_copy(&exchange->arena, slice_of(strrchr(path, '/') + 1));
	answer->chain = arena_copy(&exchange->arena, slice_of(chain));
	if (answer->file.len == 0 || answer->chain.len == 0) {
		exchange_fail(exchange, PYGMY_OUT_OF_MEMORY, NULL);
		return;
	}
	answer->content_type = SNAPSHOT_CONTENT_TYPE;
	answer->revision = info.index;
	answer->status = 200;
}
